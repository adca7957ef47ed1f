package blobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/s3err"
)

// Coded gives an error of a backend the code that the client is told, as
// meta.Coded does for the store.
func Coded(err error) error {
	switch {
	case err == nil, hasCode(err):
		return err
	case errors.Is(err, backends.ErrThrottled):
		slow := s3err.Wrap(s3err.SlowDown, err)
		var t *backends.Throttled
		if errors.As(err, &t) {
			slow.RetryAfter = t.After
		}
		return slow
	case errors.Is(err, backends.ErrFull):
		return s3err.Wrap(s3err.InsufficientStorage, err)
	case errors.Is(err, backends.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	case errors.Is(err, backends.ErrDenied), errors.Is(err, backends.ErrReadOnly), Disagrees(err):
		// For the operator to mend; the client may try again after that.
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	// A copy elsewhere or a repair may follow. NoSuchKey would tell a client, wrongly, that the
	// object is gone.
	case errors.Is(err, backends.ErrCorrupt):
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	}
	return fmt.Errorf("backend: %w", err)
}

func hasCode(err error) bool {
	var c s3err.Code
	return errors.As(err, &c)
}
