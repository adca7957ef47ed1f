package meta

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/s3err"
)

// Coded gives an error of the store the code for the client. The caller first
// handles the errors that have a meaning in its operation.
func Coded(err error) error {
	switch {
	case err == nil, errors.As(err, new(s3err.Code)):
		return err
	case errors.Is(err, ErrNoBucket):
		return s3err.Wrap(s3err.NoSuchBucket, err)
	case errors.Is(err, ErrFull):
		return s3err.Wrap(s3err.InsufficientStorage, err)
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	case errors.Is(err, ErrUnknown):
		// The change may have happened. The client only learns that it was not
		// acknowledged, and retries.
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	case errors.Is(err, ErrReservationLost):
		// The collector took this process for dead: the client may retry.
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	}
	return fmt.Errorf("store: %w", err)
}
