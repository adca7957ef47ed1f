package api

import (
	"math"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// unsatisfiable is beyond the end of every object. Larger numbers become this
// one, and adding 1 to it does not overflow.
const unsatisfiable = math.MaxInt64 - 1

// parseRange parses a Range header. It returns nil for headers that S3 ignores:
// none, another unit, several ranges, or a malformed one; then the answer is
// the whole object. A well-formed range outside of every object is returned,
// and the engine refuses it.
// Source: RFC 9110 section 14.1.2 and the GetObject page of the S3 API.
func parseRange(value string) *engine.Range {
	first, last, ok := cutRange(value)
	if !ok {
		return nil
	}
	switch {
	case first == "":
		n, ok := position(last)
		if !ok {
			return nil
		}
		if n == 0 {
			return &engine.Range{First: unsatisfiable, Last: -1}
		}
		return &engine.Range{Suffix: n}
	case last == "":
		n, ok := position(first)
		if !ok {
			return nil
		}
		return &engine.Range{First: n, Last: -1}
	}
	a, okA := position(first)
	b, okB := position(last)
	if !okA || !okB || a > b {
		return nil
	}
	return &engine.Range{First: a, Last: b}
}

// parseCopyRange parses x-amz-copy-source-range, of which S3 accepts only
// bytes=first-last with both numbers. The engine checks it against the object's
// length. nil: the value is empty.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
func parseCopyRange(value string) (*engine.Range, error) {
	if value == "" {
		return nil, nil
	}
	first, last, _ := cutRange(value)
	a, okA := position(first)
	b, okB := position(last)
	if !okA || !okB || a > b {
		return nil, s3err.New(s3err.InvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last "+
			"where first and last are the zero-based offsets of the first and last bytes to copy").
			With("ArgumentName", "x-amz-copy-source-range").With("ArgumentValue", value)
	}
	return &engine.Range{First: a, Last: b}, nil
}

// cutRange splits bytes=first-last into its numbers, as text.
func cutRange(value string) (first, last string, ok bool) {
	unit, spec, ok := strings.Cut(strings.TrimSpace(value), "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return "", "", false
	}
	first, last, ok = strings.Cut(spec, "-")
	return first, last, ok
}

// position parses decimal digits. Numbers too large for an int64 become
// unsatisfiable.
func position(s string) (n int64, ok bool) {
	if s == "" {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (unsatisfiable-9)/10 {
			n = unsatisfiable
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
