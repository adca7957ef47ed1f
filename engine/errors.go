package engine

import (
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/s3err"
)

// internal says what failed; a key provider that is away is a passing state.
func internal(doing string, err error) error {
	if errors.Is(err, encrypt.ErrUnavailable) {
		return s3err.Wrap(s3err.ServiceUnavailable, fmt.Errorf("%s: %w", doing, err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func hasCode(err error) bool {
	var c s3err.Code
	return errors.As(err, &c)
}
