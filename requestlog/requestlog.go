// Package requestlog is the line that the log has of each request, of S3, IAM, STS and the
// admin API alike: one set of names, so that one search finds a person's deeds on all of
// them. It knows no request; a line never holds a key, a query, a header but the user
// agent, or a secret. docs/operating/logs.md says what each field means.
package requestlog

import (
	"context"
	"log/slog"
	"sync"
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

// room is how many fields a line has at most, beside More.
const room = 27

// buffers are the fields of lines, for the next line when one is written.
var buffers = sync.Pool{New: func() any { attrs := make([]slog.Attr, 0, room); return &attrs }}

// Write writes the line.
func (l *Line) Write(ctx context.Context, log *slog.Logger) {
	if !log.Enabled(ctx, l.Level()) {
		return
	}
	buffer := buffers.Get().(*[]slog.Attr)
	attrs := (*buffer)[:0]
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	attrs = append(attrs, slog.String("request_id", l.ID), slog.String("api", l.API))
	text("action", l.Action)
	text("method", Printable(l.Method))
	text("bucket", Printable(l.Bucket))
	text("key_hash", l.KeyHash)
	text("resource", Printable(l.Resource))
	attrs = append(attrs, slog.String("principal", l.who()))
	text("access_key", l.AccessKey)
	text("signature", l.Signature)
	text("subject", Printable(l.Subject))
	text("session", Printable(l.session()))
	if l.Principal != nil && !l.Principal.Issued.IsZero() {
		attrs = append(attrs, slog.String("session_issued", l.Principal.Issued.UTC().Format(time.RFC3339)))
	}
	text("source", l.Source)
	attrs = append(attrs, slog.String("remote", l.Remote))
	text("user_agent", Printable(l.Agent))
	text("decision", l.Decision)
	text("reason", l.Reason)
	attrs = append(attrs, slog.Int("status", l.Status))
	if l.Cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	text("code", l.Code)
	attrs = append(attrs, slog.Int64("bytes_in", max(l.BytesIn, 0)), slog.Int64("bytes_out", max(l.BytesOut, 0)), slog.Float64("seconds", l.Took.Seconds()))
	attrs = append(attrs, l.More...)
	if l.Err != nil {
		attrs = append(attrs, slog.String("error", l.Err.Error()))
	}
	// Straight to the handler: LogAttrs would look for the line of source first. A group
	// without a name is written as its fields, which a record need not copy then.
	rec := slog.NewRecord(time.Now(), l.Level(), Message, 0)
	rec.AddAttrs(slog.Attr{Value: slog.GroupValue(attrs...)})
	_ = log.Handler().Handle(ctx, rec) // as by LogAttrs, nobody is told
	clear(attrs)
	*buffer = attrs
	buffers.Put(buffer)
}

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
