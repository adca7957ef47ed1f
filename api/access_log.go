package api

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	// maxLogField is how much of what a client sent stands in one field.
	maxLogField = 8 << 10
	// logLookUp bounds the search for what a record needs when it is not in memory.
	logLookUp = time.Second
)

// logAccess puts a record of the finished request into the buffer, if its bucket
// has logging. The request does not wait for its delivery. The settings were read
// when it was authorized; only who failed to sign makes the bucket be looked up.
func (x *exchange) logAccess(e *s3err.Error) {
	r, s := x.req, x.server
	if r.Op == nil || r.Target.Bucket == "" || r.Op.CreatesBucket {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logLookUp)
	defer cancel()
	b := r.Bucket
	var err error
	if b.ID.IsZero() {
		if b, err = s.engine.Bucket(ctx, r.Target.Bucket); err != nil {
			return // there is none whose log it could be
		}
	}
	if b.Revision == 0 {
		return
	}
	s.logRecords(ctx, b, r.settings, r.Now, 1+len(r.deletions), func() [][]byte {
		fields := x.accessFields(b, e)
		records := [][]byte{fields.record()}
		for i := range r.deletions {
			records = append(records, r.deletions[i].fields(fields).record())
		}
		return records
	})
}

// logRecords puts records about a bucket into the buffer, if it has logging. Where
// that cannot be learnt, so many are counted as dropped. known are its settings as they
// were read before, which hold once the bucket is gone; nil: they were not.
func (s *Server) logRecords(ctx context.Context, b meta.Bucket, known *engine.Settings, at time.Time, n int, records func() [][]byte) {
	settings, err := s.engine.ReadableSettings(ctx, b)
	if errors.Is(err, s3err.NoSuchBucket) {
		if settings, err = known, nil; known == nil {
			return // there is none whose log it could be
		}
	}
	if err != nil {
		s.logs.drop(n)
		return
	}
	l, ok, err := engine.Parsed(settings, engine.LoggingSetting, engine.ParseLogging)
	switch {
	case err != nil:
		s.logs.drop(n)
	case ok:
		g := s.logGroup(b, l, at)
		for _, record := range records() {
			s.logs.add(g, record)
		}
	}
}

// accessFields are the fields of a line of a server access log, empty for none.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
type accessFields [26]string

// Places of fields.
const (
	logOwner = iota
	logBucket
	logTime
	logRemote
	logRequester
	logRequest
	logOperationField
	logKeyField
	logURI
	logStatus
	logCode
	logSent
	logSize
	logTotal
	logTurnAround
	logReferer
	logAgent
	logVersion
	logHostID
	logSignature
	logSuite
	logAuthentication
	logHost
	logTLS
)

// record is the line.
func (f accessFields) record() []byte {
	line := make([]byte, 0, 512)
	for i, field := range f {
		if i > 0 {
			line = append(line, ' ')
		}
		if field == "" {
			field = "-"
		}
		line = append(line, field...)
	}
	return append(line, '\n')
}

func logStamp(t time.Time) string { return "[" + t.UTC().Format("02/Jan/2006:15:04:05 -0700") + "]" }

// loggedKey is a key as a field: URL-encoded twice, as S3 does.
func loggedKey(key string) string { return logKey(logKey(key)) }

// accessFields are those of the request. They have neither its Authorization nor the
// signature or session token of a presigned URL.
func (x *exchange) accessFields(b meta.Bucket, e *s3err.Error) (f accessFields) {
	r, h := x.req, x.w.Header()
	f[logOwner], f[logBucket], f[logTime] = b.Owner.Canonical(), b.Name, logStamp(r.Now)
	f[logRemote], f[logRequester], f[logRequest] = r.sourceIP(), r.requester(), r.ID
	f[logOperationField], f[logKeyField] = x.logOperation(), loggedKey(r.Target.Key)
	f[logURI] = quotedField(r.HTTP.Method + " " + withoutSecrets(r.HTTP.RequestURI) + " " + r.HTTP.Proto)
	f[logStatus] = positive(int64(x.status))
	if e != nil && (x.status >= http.StatusBadRequest || x.abort) {
		f[logCode] = string(e.Code)
	}
	f[logSent], f[logSize] = positive(x.sent), x.objectSize()
	f[logTotal], f[logTurnAround] = strconv.FormatInt(time.Since(x.began).Milliseconds(), 10), x.turnAround()
	f[logReferer], f[logAgent] = quotedField(r.HTTP.Header.Get("Referer")), quotedField(r.HTTP.Header.Get("User-Agent"))
	f[logVersion], f[logHostID] = h.Get("X-Amz-Version-Id"), h.Get("X-Amz-Id-2")
	f[logSignature], f[logAuthentication] = r.signedAs()
	f[logTLS], f[logSuite] = tlsFields(r.HTTP.TLS)
	f[logHost] = bareField(r.HTTP.Host)
	return f
}

// requester is the canonical user id of an account, the ARN of a user or role, or
// empty for nobody.
func (r *Request) requester() string {
	p := &r.Principal
	if p.Anonymous() || r.Owner().IsZero() {
		return ""
	}
	if p.ID == p.Tenant {
		return r.Owner().Canonical()
	}
	return bareField(p.ARN())
}

func (r *Request) signedAs() (version, kind string) {
	id := r.identity
	if id == nil || id.AccessKey == "" {
		return "", ""
	}
	if version = "SigV4"; id.Version == sigv4.Version2 {
		version = "SigV2"
	}
	if id.Presigned {
		return version, "QueryString"
	}
	return version, "AuthHeader"
}

func tlsFields(c *tls.ConnectionState) (version, suite string) {
	if c == nil {
		return "", ""
	}
	return strings.ReplaceAll(tls.VersionName(c.Version), "TLS ", "TLSv"), tls.CipherSuiteName(c.CipherSuite)
}

// objectSize is the size of the object that was read or written.
func (x *exchange) objectSize() string {
	r, h := x.req, x.w.Header()
	switch {
	case r.Op.Scope != ObjectScope || x.status < 200 || x.status >= 300:
		return ""
	case r.Body != nil:
		return strconv.FormatInt(r.Body.Size, 10)
	case !r.Op.ReadsObject || len(r.Op.Query) > 0:
		return ""
	}
	if _, total, ok := strings.Cut(h.Get("Content-Range"), "/"); ok {
		return total
	}
	return h.Get("Content-Length")
}

// turnAround is how long a request without a body took until its answer began.
func (x *exchange) turnAround() string {
	if x.answered.IsZero() || x.in.read > 0 {
		return ""
	}
	return strconv.FormatInt(x.answered.Sub(x.began).Milliseconds(), 10)
}

// logKey is a key, URL-encoded once; slashes stay as they are.
func logKey(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

// secretParameters are those of a URL that prove who sent it.
var secretParameters = []string{"x-amz-signature", "x-amz-security-token", "signature"}

// withoutSecrets hides them in a request target.
func withoutSecrets(target string) string {
	path, query, ok := strings.Cut(target, "?")
	if !ok {
		return target
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		name, _, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			for _, secret := range secretParameters {
				if strings.EqualFold(plain, secret) {
					parameters[i] = name + "=hidden"
				}
			}
		} else {
			parameters[i] = "hidden" // who knows what it is called
		}
	}
	return path + "?" + strings.Join(parameters, "&")
}

// positive is a number, or empty for zero.
func positive(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// quotedField is what a client sent as a field in quotes, which it does not end.
func quotedField(s string) string {
	if s == "" {
		s = "-"
	}
	return `"` + escaped(s, func(c byte) bool { return c < ' ' || c == 0x7f || c == '"' }) + `"`
}

// bareField is what a client sent as a field that ends at a space.
func bareField(s string) string {
	return escaped(s, func(c byte) bool { return c <= ' ' || c == 0x7f || c == '"' })
}

func escaped(s string, escape func(byte) bool) string {
	var b strings.Builder
	for _, c := range []byte(s[:min(len(s), maxLogField)]) {
		if escape(c) {
			b.WriteString("%" + strings.ToUpper(strconv.FormatInt(int64(c)+0x100, 16)[1:]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
