package meta

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/s3err"
)

// Coded gives an error of the store the code that the client is told.
// Errors with a meaning of their own in an operation are handled before.
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
		// It may have happened. The client is told no more than that it was not
		// acknowledged, and tries again.
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	case errors.Is(err, ErrReservationLost):
		// The collector took this process for dead: the client may try again.
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	}
	return fmt.Errorf("store: %w", err)
}
