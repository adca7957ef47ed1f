package meta

import (
	"strconv"

	"github.com/sanctum-storage/gateway/s3err"
)

// CheckKey refuses an empty key of an object, and one that is longer than MaxKeyBytes:
// InvalidArgument, KeyTooLong. The errors are for the client.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
func CheckKey(key string) error {
	switch {
	case key == "":
		return s3err.New(s3err.InvalidArgument, "The object key must not be empty.")
	case len(key) > MaxKeyBytes:
		return s3err.New(s3err.KeyTooLong, "").
			With("Size", strconv.Itoa(len(key))).With("MaxSizeAllowed", strconv.Itoa(MaxKeyBytes))
	}
	return nil
}
