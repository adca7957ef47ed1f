// Package requestlog is the line that the log has of each request, of S3, IAM, STS and the
// admin API alike: one set of names, so that one search finds a person's deeds on all of
// them. It knows no request; a line never holds a key, a query, a header but the user
// agent, or a secret. docs/operating/logs.md says what each field means.
package requestlog

import (
	"context"
	"log/slog"
	"time"

	"github.com/sanctum-storage/gateway/access"
)

// The APIs, as lines name them.
const (
	S3      = "s3"
	Website = "website"
	IAM     = "iam"
	STS     = "sts"
	Admin   = "admin"
)

// The decision.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Words in the place of a principal's ARN.
const (
	anonymous = "anonymous" // nothing was signed
	unproven  = "unproven"  // what was to prove who it is does not
)

// Message is that of every line.
const Message = "request"

// MaxText is how much of what a client sent stands in one field, in bytes.
const MaxText = 256

// Line is what is known of one request. What is empty has no field, but for those that
// every line has.
type Line struct {
	ID      string
	API     string
	Action  string // empty: it was none
	Method  string
	Bucket  string // name, as asked for
	KeyHash string // see engine.KeyHash
	// Resource is what the action is about where that is no bucket or object.
	Resource  string
	Principal *access.Principal
	// Unproven: a signature or token was there that does not prove its sender.
	Unproven  bool
	AccessKey string // one that exists, though it may have proved nothing
	Signature string // its version, where one was verified
	Subject   string // of a token of an identity provider
	Session   string // that a role is assumed with
	Source    string // address of the client
	Remote    string // address and port of the connection
	Agent     string
	Decision  string
	Reason    string
	Status    int
	Cut       bool // the answer had begun as another, and was cut
	Code      string
	BytesIn   int64
	BytesOut  int64
	Took      time.Duration
	Err       error       // of the gateway's own; nil where the client was at fault
	More      []slog.Attr // of damage
}

// Level is that of the line: error where the gateway failed.
func (l *Line) Level() slog.Level {
	if l.Err != nil {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Write writes the line.
func (l *Line) Write(ctx context.Context, log *slog.Logger) {
	if log.Enabled(ctx, l.Level()) {
		l.writeAt(ctx, time.Now(), log.Handler())
	}
}

// writeAt writes the line straight as bytes where the handler is a Handler, and as
// attributes else.
func (l *Line) writeAt(ctx context.Context, now time.Time, h slog.Handler) {
	if ours, ok := h.(*Handler); ok && ours.writeLine(now, l) {
		return
	}
	attrs := make(attributes, 0, room)
	l.fields(&attrs)
	// Straight to the handler: LogAttrs would look for the line of source first.
	rec := slog.NewRecord(now, l.Level(), Message, 0)
	rec.AddAttrs(attrs...)
	_ = h.Handle(ctx, rec) // as by LogAttrs, nobody is told
}

// fields is what takes the fields of a line, in their order.
type fields interface {
	text(name, value string)
	number(name string, value int64)
	float(name string, value float64)
	yes(name string)
	attr(slog.Attr)
}

// fields hands the fields of the line on. Those that are empty have none, but for those that
// every line has.
func (l *Line) fields(to fields) {
	some := func(name, value string) {
		if value != "" {
			to.text(name, value)
		}
	}
	to.text("request_id", l.ID)
	to.text("api", l.API)
	some("action", l.Action)
	some("method", Printable(l.Method))
	some("bucket", Printable(l.Bucket))
	some("key_hash", l.KeyHash)
	some("resource", Printable(l.Resource))
	to.text("principal", l.who())
	some("access_key", l.AccessKey)
	some("signature", l.Signature)
	some("subject", Printable(l.Subject))
	some("session", Printable(l.session()))
	if l.Principal != nil && !l.Principal.Issued.IsZero() {
		to.text("session_issued", l.Principal.Issued.UTC().Format(time.RFC3339))
	}
	some("source", l.Source)
	to.text("remote", l.Remote)
	some("user_agent", Printable(l.Agent))
	some("decision", l.Decision)
	some("reason", l.Reason)
	to.number("status", int64(l.Status))
	if l.Cut {
		to.yes("cut")
	}
	some("code", l.Code)
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

// room is how many fields a line has at most, beside More.
const room = 27

// attributes are fields for a handler that knows no lines.
type attributes []slog.Attr

func (a *attributes) text(name, value string)          { *a = append(*a, slog.String(name, value)) }
func (a *attributes) number(name string, value int64)  { *a = append(*a, slog.Int64(name, value)) }
func (a *attributes) float(name string, value float64) { *a = append(*a, slog.Float64(name, value)) }
func (a *attributes) yes(name string)                  { *a = append(*a, slog.Bool(name, true)) }
func (a *attributes) attr(attr slog.Attr)              { *a = append(*a, attr) }

func (l *Line) who() string {
	switch {
	case l.Unproven:
		return unproven
	case l.Principal == nil || l.Principal.Anonymous():
		return anonymous
	}
	return Printable(l.Principal.ARN())
}

func (l *Line) session() string {
	if l.Session == "" && l.Principal != nil {
		return l.Principal.SessionName
	}
	return l.Session
}

// Printable is the beginning of what a client sent, without characters that a log has no
// use for.
func Printable(s string) string {
	s = s[:min(len(s), MaxText)]
	for i := range len(s) {
		if odd(s[i]) {
			return replaced(s)
		}
	}
	return s
}

func odd(c byte) bool { return c < ' ' || c > '~' }

func replaced(s string) string {
	b := []byte(s)
	for i, c := range b {
		if odd(c) {
			b[i] = '?'
		}
	}
	return string(b)
}
