package backends

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter caps what a backend may ask for: beyond it, a wrong header
// would keep the service away longer than the fault does.
const MaxRetryAfter = 5 * time.Minute

// Throttled is ErrThrottled with what is known of it: errors.As finds how long
// the backend wants to be left alone, errors.Is finds ErrThrottled and whatever
// Err wraps.
type Throttled struct {
	After time.Duration // at least 0; 0: it did not say
	Err   error         // the answer in words; may be nil
}

// Error implements error.
func (t *Throttled) Error() string {
	text := ErrThrottled.Error()
	if t.After > 0 {
		text += fmt.Sprintf(" for %v", t.After)
	}
	if t.Err != nil {
		text += ": " + t.Err.Error()
	}
	return text
}

// Unwrap gives errors.Is and errors.As both sides.
func (t *Throttled) Unwrap() []error {
	if t.Err == nil {
		return []error{ErrThrottled}
	}
	return []error{ErrThrottled, t.Err}
}

// httpDate is IMF-fixdate of RFC 9110 section 5.6.7, the only form that servers
// may send.
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// ParseRetryAfter reads a Retry-After header (RFC 9110 section 10.2.3): seconds
// or a date, which is taken against now. The result lies between 0 and
// MaxRetryAfter; what cannot be read, and a date gone by, are 0.
func ParseRetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(MaxRetryAfter/time.Second))) * time.Second
	}
	at, err := time.Parse(httpDate, header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}
