package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits bound the requests and time that clients can take from the gateway. A
// field's zero value means its default.
type Limits struct {
	// Concurrent is the number of requests served at once; more are told
	// SlowDown. Strangers and tenants have shares of them, see seats.
	Concurrent int
	// Idle is how long a client may send no byte of a body. A client that keeps
	// sending is waited for, however slow it is.
	Idle time.Duration
	// Pause is how long a client may take no byte of an answer. It is long
	// because programs that work on each piece of an answer stop reading for
	// minutes.
	Pause time.Duration
	// Unknown is the time in which a form must arrive whole while its sender is
	// unknown.
	Unknown time.Duration
	// Store is the time limit of one call of the store.
	Store time.Duration
	// Turns is the number of requests of each turnKind that one tenant may have
	// at the store at once. All tenants together have three times as many; more
	// requests wait.
	Turns int
	// Backends is the number of concurrent requests to a backend, by its name.
	// 0 or absent: no limit of its own.
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

// Limits of every request, with their reasons.
const (
	// MaxHeaderFields bounds the number of header lines.
	MaxHeaderFields = 256
	// MaxHeaderBytes bounds the names and values of a header, without
	// longHeaders.
	// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
	MaxHeaderBytes = 8 << 10
	// MaxLongHeaderBytes bounds the names and values of longHeaders.
	MaxLongHeaderBytes = 16 << 10
	// maxDrain is the part of a refused body that is read so that the
	// connection can be used again; beyond it the connection closes. net/http
	// reads as much by itself.
	maxDrain = 256 << 10
	// maxProxiedDrain is the same for a body that a proxy sends.
	maxProxiedDrain = 8 << 20
	// drainTimeout bounds the time of either.
	drainTimeout = 5 * time.Second
	// maxLinger is how much of a refused body is read after the answer, while
	// the connection closes: a sender that looks for an answer only after the
	// whole body then finds the refusal, and not a reset connection.
	maxLinger = 64 << 20
	// lingerTimeout bounds the time of that.
	lingerTimeout = 30 * time.Second
	// beginTimeout bounds the wait for the first byte of an announced body in
	// linger.
	beginTimeout = 2 * time.Second
	// maxLingering is the number of connections in linger; further ones are
	// closed.
	maxLingering = 64
	// writeUnit is the most that is written at once, in bytes. A client has
	// Limits.Pause to take it.
	writeUnit = 512 << 10
	// maxTurnWait is how long a request waits for its turn. Many clients wait
	// as long for an answer.
	maxTurnWait = time.Minute
	// rateBurst is the least number of bytes that a bandwidth limit passes at
	// once.
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

// hasControl reports whether a text has a character that a header cannot hold.
// Values from URLs and forms may have any, and are shown in headers later.
// Source: RFC 9110, section 5.5
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// longHeaders do not count towards S3's limit: escaping makes three bytes of
// one byte of a key, and a session token holds the session's policies.
var longHeaders = []string{"X-Amz-Copy-Source", "X-Amz-Security-Token", "Authorization"}

// checkHeaderSize refuses headers that are too many or too long, or that have a
// control character.
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
