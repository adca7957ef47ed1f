package buckets

import (
	"net/netip"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// Lengths of a bucket name, in bytes.
const (
	minBucketName = 3
	maxBucketName = 63
)

// reserved beginnings and endings of bucket names.
var (
	reservedPrefixes = []string{"xn--", "sthree-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

// CheckName refuses, as InvalidBucketName, what cannot be the name of a general
// purpose bucket.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func CheckName(name string) error {
	bad := s3err.New(s3err.InvalidBucketName, "").With("BucketName", name)
	if len(name) < minBucketName || len(name) > maxBucketName {
		return bad
	}
	for i := range len(name) {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (c != '-' && c != '.' || i == 0 || i == len(name)-1) {
			return bad
		}
	}
	if strings.Contains(name, "..") {
		return bad
	}
	// A name in the form of an IP address could not be told from the host in a request of
	// virtual-hosted style.
	if _, err := netip.ParseAddr(name); err == nil {
		return bad
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(name, p) {
			return bad
		}
	}
	for _, s := range reservedSuffixes {
		if strings.HasSuffix(name, s) {
			return bad
		}
	}
	return nil
}
