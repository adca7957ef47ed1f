package outbound

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseContentRange parses "bytes first-last/size" (RFC 9110 section 14.4). On
// success first <= last < size.
func ParseContentRange(s string) (first, last, size int64, err error) {
	bad := fmt.Errorf("malformed Content-Range %.80q", s)
	span, total, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 || !strings.HasPrefix(s, "bytes ") {
		return 0, 0, 0, bad
	}
	for _, f := range []struct {
		text string
		into *int64
	}{{from, &first}, {to, &last}, {total, &size}} {
		n, err := strconv.ParseUint(f.text, 10, 63)
		if err != nil {
			return 0, 0, 0, bad
		}
		*f.into = int64(n)
	}
	if first > last || last >= size {
		return 0, 0, 0, bad
	}
	return first, last, size, nil
}
