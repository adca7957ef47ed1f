package api

import (
	"math"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// unsatisfiable is a position that no object reaches: numbers beyond it are as
// far out of range as this one, and one may still be added without overflow.
const unsatisfiable = math.MaxInt64 - 1

// parseRange reads a Range header. It returns nil for what S3 ignores: no
// header, another unit, several ranges, or anything malformed; the answer is
// then the whole object. A range that is well formed but lies outside every
// object is returned, for the engine to refuse.
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

// parseCopyRange reads x-amz-copy-source-range, of which S3 accepts only
// bytes=first-last, both given. Whether the object is that long is for the
// engine to say. It returns nil for an empty value.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
func parseCopyRange(value string) (*engine.Range, error) {
	if value == "" {
		return nil, nil
	}
	first, last, _ := cutRange(value)
	a, okA := position(first)
	b, okB := position(last)
	if !okA || !okB || a > b {
		return nil, s3err.New(s3err.InvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy").
			With("ArgumentName", "x-amz-copy-source-range").With("ArgumentValue", value)
	}
	return &engine.Range{First: a, Last: b}, nil
}

// cutRange splits bytes=first-last into its two numbers, still as text.
func cutRange(value string) (first, last string, ok bool) {
	unit, spec, ok := strings.Cut(strings.TrimSpace(value), "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return "", "", false
	}
	first, last, ok = strings.Cut(spec, "-")
	return first, last, ok
}

// position reads a run of decimal digits; numbers too large to hold become
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
