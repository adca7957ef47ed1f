package backends

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter caps Retry-After: a wrong header must not keep the service away for
// longer than the fault lasts.
const MaxRetryAfter = 5 * time.Minute

// Throttled is ErrThrottled with details: errors.As finds how long the backend
// wants to be left alone, errors.Is finds ErrThrottled and the errors that Err
// wraps.
type Throttled struct {
	After time.Duration // at least 0; 0: unknown
	Err   error         // the text of the answer; may be nil
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

// Unwrap returns both ErrThrottled and Err.
func (t *Throttled) Unwrap() []error {
	if t.Err == nil {
		return []error{ErrThrottled}
	}
	return []error{ErrThrottled, t.Err}
}

// httpDate is IMF-fixdate of RFC 9110 section 5.6.7, the only form that servers may
// send.
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// ParseRetryAfter reads a Retry-After header (RFC 9110 section 10.2.3): seconds, or
// a date relative to now. The result is from 0 to MaxRetryAfter; an unreadable
// value and a past date are 0.
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
