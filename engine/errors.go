package engine

import (
	"errors"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/s3err"
)

// internal says what failed, and gives an error of the key provider its code.
func internal(doing string, err error) error { return buckets.OfProvider(doing, err) }

func hasCode(err error) bool {
	var c s3err.Code
	return errors.As(err, &c)
}
