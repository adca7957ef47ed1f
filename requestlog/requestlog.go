// Package requestlog is the log line of a request, the same for S3, IAM, STS
// and the admin API. One set of names makes one search find everything that a
// person did. A line never has a key, a query, a secret, or any header but the
// user agent. docs/operating/logs.md explains the fields.
package requestlog

import (
	"context"
	"log/slog"
	"time"

	"github.com/sanctum-storage/gateway/access"
)

// The APIs by their names in lines.
const (
	S3      = "s3"
	Website = "website"
	IAM     = "iam"
	STS     = "sts"
	Admin   = "admin"
)

// The values of the decision.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Words in place of a principal's ARN.
const (
	anonymous = "anonymous" // the request was not signed
	unproven  = "unproven"  // the sender's proof was not valid
)

// Message is the message of every line.
const Message = "request"

// MaxText bounds a field of client text, in bytes.
const MaxText = 256

// Line holds the facts about one request. Empty ones have no field, except
// those that every line has.
type Line struct {
	ID      string
	API     string
	Action  string // empty: unknown
	Method  string
	Bucket  string // name, as requested
	KeyHash string // see damage.Reports.KeyHash
	// KeysOpened and KeysSealed are the generations of the bucket's keys, see buckets.KeyUse.
	KeysOpened, KeysSealed string
	// Resource is the action's resource if that is not a bucket or object.
	Resource  string
	Principal *access.Principal
	// Unproven: a signature or token was sent that does not prove its sender.
	Unproven  bool
	AccessKey string // an existing one, even if nothing proved its use
	Signature string // its version, if one was verified
	Subject   string // of a token of an identity provider
	Session   string // of the session of a role
	Source    string // address of the client
	Remote    string // address and port of the connection
	Agent     string
	Decision  string
	Reason    string
	Status    int
	Cut       bool // the answer had started with another status and was cut
	Code      string
	BytesIn   int64
	BytesOut  int64
	Took      time.Duration
	Err       error       // an error of the gateway; nil if the client caused it
	More      []slog.Attr // about damage
}

// Level is the line's level: error if the gateway failed.
func (l *Line) Level() slog.Level {
	if l.Err != nil {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Write writes the line. The level is asked first, so that a line that nobody
// reads costs nothing.
func (l *Line) Write(ctx context.Context, log *slog.Logger) {
	if log.Enabled(ctx, l.Level()) {
		l.writeAt(ctx, time.Now(), log.Handler())
	}
}

// writeAt writes the line as bytes if the handler is a Handler, or else as
// attributes.
func (l *Line) writeAt(ctx context.Context, now time.Time, h slog.Handler) {
	if ours, ok := h.(*Handler); ok && ours.writeLine(now, l) {
		return
	}
	attrs := make(attributes, 0, room)
	l.fields(&attrs)
	// Directly to the handler, because LogAttrs would look up the line of
	// source first.
	rec := slog.NewRecord(now, l.Level(), Message, 0)
	rec.AddAttrs(attrs...)
	_ = h.Handle(ctx, rec) // like LogAttrs, which reports no errors
}

// fields receives the fields of a line, in their order.
type fields interface {
	text(name, value string)
	sent(name, value string) // by a client: as Printable has it
	number(name string, value int64)
	float(name string, value float64)
	yes(name string)
	attr(slog.Attr)
}

// fields passes on the fields of the line. Empty ones are left out, except
// those that every line has.
func (l *Line) fields(to fields) {
	some := func(name, value string) {
		if value != "" {
			to.text(name, value)
		}
	}
	sent := func(name, value string) {
		if value != "" {
			to.sent(name, value)
		}
	}
	to.text("request_id", l.ID)
	to.text("api", l.API)
	some("action", l.Action)
	sent("method", l.Method)
	sent("bucket", l.Bucket)
	some("key_hash", l.KeyHash)
	some("keys_opened", l.KeysOpened)
	some("keys_sealed", l.KeysSealed)
	sent("resource", l.Resource)
	to.sent("principal", l.who())
	some("access_key", l.AccessKey)
	some("signature", l.Signature)
	sent("subject", l.Subject)
	sent("session", l.session())
	if l.Principal != nil && !l.Principal.Issued.IsZero() {
		to.text("session_issued", l.Principal.Issued.UTC().Format(time.RFC3339))
	}
	some("source", l.Source)
	to.text("remote", l.Remote)
	sent("user_agent", l.Agent)
	some("decision", l.Decision)
	some("reason", l.Reason)
	to.number("status", int64(l.Status))
	if l.Cut {
		to.yes("cut")
	}
	some("code", l.Code)
	// The length of a body that was not stated is negative.
	to.number("bytes_in", max(l.BytesIn, 0))
	to.number("bytes_out", max(l.BytesOut, 0))
	to.float("seconds", l.Took.Seconds())
	for _, a := range l.More {
		to.attr(a)
	}
	if l.Err != nil {
		to.text("error", l.Err.Error())
	}
}

// room is the largest number of a line's fields, besides More.
const room = 29

// attributes are fields for other handlers.
type attributes []slog.Attr

func (a *attributes) text(name, value string)          { *a = append(*a, slog.String(name, value)) }
func (a *attributes) sent(name, value string)          { a.text(name, Printable(value)) }
func (a *attributes) number(name string, value int64)  { *a = append(*a, slog.Int64(name, value)) }
func (a *attributes) float(name string, value float64) { *a = append(*a, slog.Float64(name, value)) }
func (a *attributes) yes(name string)                  { *a = append(*a, slog.Bool(name, true)) }
func (a *attributes) attr(attr slog.Attr)              { *a = append(*a, attr) }

// who is the principal's ARN, or a word in its place.
func (l *Line) who() string {
	switch {
	case l.Unproven:
		return unproven
	case l.Principal == nil || l.Principal.Anonymous():
		return anonymous
	}
	return l.Principal.ARN()
}

// session is the requested session, or the one that signed.
func (l *Line) session() string {
	if l.Session == "" && l.Principal != nil {
		return l.Principal.SessionName
	}
	return l.Session
}

// Printable is the beginning of client text, with a question mark for each byte
// that is not printable ASCII.
func Printable(s string) string {
	s = s[:min(len(s), MaxText)]
	for i := range len(s) {
		if odd(s[i]) {
			return replaced(s)
		}
	}
	return s
}

// odd reports whether a byte must not be in a line, because it could forge
// another line or a terminal's control sequence.
func odd(c byte) bool { return c < ' ' || c > '~' }

// replaced replaces the odd bytes of s.
func replaced(s string) string {
	b := []byte(s)
	for i, c := range b {
		if odd(c) {
			b[i] = '?'
		}
	}
	return string(b)
}
