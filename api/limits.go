package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits bound what clients may make the gateway hold at once. The zero value
// of each field means its default.
type Limits struct {
	// Concurrent is the number of requests served at once; beyond it they are
	// told to slow down. Strangers and tenants have shares of them, see seats.
	Concurrent int
	// Idle is how long a client may send no byte of a body. One that goes on sending is
	// waited for, however slowly it does.
	Idle time.Duration
	// Pause is how long a client may take no byte of an answer: programs that read while
	// they work on what they have read stop for minutes.
	Pause time.Duration
	// Unknown is how long a form may take to come whose sender is not known before it
	// is here, as a whole.
	Unknown time.Duration
	// Store is how long one call of the store may take.
	Store time.Duration
	// Turns is how many requests that ask the store for much one tenant has under way
	// there, of each kind; all tenants together have three times as many. More wait for
	// their turn.
	Turns int
	// Backends is how many requests a backend takes at once, by its name; 0 or absent:
	// all that there are.
	Backends map[string]int
}

// Defaults of Limits.
const (
	DefaultConcurrent = 1024
	DefaultIdle       = 30 * time.Second
	DefaultPause      = 5 * time.Minute
	DefaultUnknown    = 15 * time.Second
	DefaultStore      = 5 * time.Second
	DefaultTurns      = 4
)

// Limits of every request.
const (
	// MaxHeaderFields bounds the lines of a header.
	MaxHeaderFields = 256
	// MaxHeaderBytes bounds their names and values, but for those of longHeaders.
	// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
	MaxHeaderBytes = 8 << 10
	// MaxLongHeaderBytes bounds those of longHeaders.
	MaxLongHeaderBytes = 16 << 10
	// maxDrain is how much of a refused request's body is read, so that the
	// connection can be used again; beyond it the connection is closed. It is
	// what net/http reads by itself.
	maxDrain = 256 << 10
	// maxProxiedDrain is how much of one is read that a proxy sends.
	maxProxiedDrain = 8 << 20
	// drainTimeout bounds the wait for it.
	drainTimeout = 5 * time.Second
	// maxLinger is how much more of a refused request's body is read once it was
	// answered, while its connection is being closed: a sender that looks for an answer
	// only when it has sent all finds the refusal, and no connection that was reset.
	maxLinger = 64 << 20
	// lingerTimeout bounds that as a whole.
	lingerTimeout = 30 * time.Second
	// beginTimeout is how much of that passes until the first byte of one that announced
	// its body.
	beginTimeout = 2 * time.Second
	// maxLingering is how many connections are read on so at once; others are closed.
	maxLingering = 64
	// writeUnit is the most that is written at once. A client has Limits.Pause to take
	// it.
	writeUnit = 512 << 10
	// maxTurnWait is how long a request waits for its turn. Many clients wait for an
	// answer as long.
	maxTurnWait = time.Minute
	// rateBurst is the least that a limit of bandwidth lets through at once.
	rateBurst = 512 << 10
	// retryAfter is the least Retry-After of a 503, in seconds.
	retryAfter = 5
)

func (l Limits) withDefaults() Limits {
	if l.Concurrent <= 0 {
		l.Concurrent = DefaultConcurrent
	}
	if l.Idle <= 0 {
		l.Idle = DefaultIdle
	}
	if l.Pause <= 0 {
		l.Pause = DefaultPause
	}
	if l.Store <= 0 {
		l.Store = DefaultStore
	}
	if l.Turns <= 0 {
		l.Turns = DefaultTurns
	}
	if l.Unknown <= 0 {
		l.Unknown = DefaultUnknown
	}
	return l
}

// hasControl reports whether a text has a character that has no place in a header. What
// comes in a URL or a form may hold any, and what is kept of it is shown in headers.
// Source: RFC 9110, section 5.5
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// longHeaders come on top of S3's limit: an escaped key takes three bytes for one,
// and a token holds the policies of its session.
var longHeaders = []string{"X-Amz-Copy-Source", "X-Amz-Security-Token", "Authorization"}

// checkHeaderSize refuses headers that are too many, too long, or hold what
// no header can have where they are repeated.
func checkHeaderSize(h http.Header) error {
	fields, size, long := 0, 0, 0
	for name, values := range h {
		fields += len(values)
		for _, v := range values {
			if slices.Contains(longHeaders, name) {
				long += len(name) + len(v)
			} else {
				size += len(name) + len(v)
			}
			if hasControl(v) {
				return s3err.New(s3err.InvalidArgument, "A header value holds a control character.").With("ArgumentName", name)
			}
		}
	}
	if fields > MaxHeaderFields || size > MaxHeaderBytes || long > MaxLongHeaderBytes {
		return s3err.New(s3err.RequestHeaderSectionTooLarge, "").With("MaxSizeAllowed", decimal(MaxHeaderBytes))
	}
	return nil
}
