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

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	// maxLogField bounds the bytes of client text in one field.
	maxLogField = 8 << 10
	// logLookUp bounds the lookup of the bucket's settings after the request.
	logLookUp = time.Second
)

// logAccess buffers a record of the finished request if its bucket has logging.
// The request does not wait for the delivery. Its authorization has read the
// settings; only after a failed signature is the bucket looked up here.
func (x *exchange) logAccess(e *s3err.Error) {
	r, s := x.req, x.server
	if r.Op == nil || r.Target.Bucket == "" || r.Op.CreatesBucket {
		return
	}
	// The client may be gone by now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logLookUp)
	defer cancel()
	b := r.Bucket
	var err error
	if b.ID.IsZero() {
		if b, err = s.engine.Buckets().Get(ctx, r.Target.Bucket); err != nil {
			return // no such bucket, so no log
		}
	}
	// No setting was ever changed, so that there is no logging.
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

// logRecords buffers records about a bucket if it has logging. When that cannot
// be found out, n records count as dropped. known are the bucket's settings as
// read before, or nil; they apply when the bucket was deleted meanwhile.
func (s *Server) logRecords(ctx context.Context, b meta.Bucket, known *buckets.Settings, at time.Time, n int, records func() [][]byte) {
	settings, err := s.engine.Buckets().ReadableSettings(ctx, b)
	if errors.Is(err, s3err.NoSuchBucket) {
		if settings, err = known, nil; known == nil {
			return // deleted, and unknown whether it had a log
		}
	}
	if err != nil {
		s.logs.drop(n)
		return
	}
	l, ok, err := buckets.Parsed(settings, loggingSetting, readLogging)
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

// accessFields are the fields of a line of a server access log; "" means none.
// The last two, the ARN of an access point and aclRequired, are always empty.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
type accessFields [26]string

// Indexes of accessFields.
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

// record renders the line. An empty field is a hyphen.
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

// loggedKey renders a key as a field: URL-encoded twice, as S3 does.
func loggedKey(key string) string { return logKey(logKey(key)) }

// accessFields fills the fields of this request. The Authorization header, and
// the signature and session token of a presigned URL, are left out.
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

// requester returns an account's canonical user id, or the ARN of a user or
// role; "" for nobody.
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

// signedAs returns the signature's version and place; both "" without one.
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

// tlsFields returns version and cipher suite in the log's spelling.
func tlsFields(c *tls.ConnectionState) (version, suite string) {
	if c == nil {
		return "", ""
	}
	return strings.ReplaceAll(tls.VersionName(c.Version), "TLS ", "TLSv"), tls.CipherSuiteName(c.CipherSuite)
}

// objectSize returns the size of the object that was read or written.
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

// turnAround returns the milliseconds until the answer began, for a request
// without a body.
func (x *exchange) turnAround() string {
	if x.answered.IsZero() || x.in.read > 0 {
		return ""
	}
	return strconv.FormatInt(x.answered.Sub(x.began).Milliseconds(), 10)
}

// logKey URL-encodes a key once; slashes stay.
func logKey(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

// secretParameters of a URL prove the sender.
var secretParameters = []string{"x-amz-signature", "x-amz-security-token", "signature"}

// withoutSecrets replaces their values in a request target.
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
			parameters[i] = "hidden" // its name is unreadable, so it could be any
		}
	}
	return path + "?" + strings.Join(parameters, "&")
}

// positive renders a number; "" for zero.
func positive(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// quotedField renders client text as a quoted field. Quotes in it are escaped,
// so that it cannot end the field.
func quotedField(s string) string {
	if s == "" {
		s = "-"
	}
	return `"` + escaped(s, func(c byte) bool { return c < ' ' || c == 0x7f || c == '"' }) + `"`
}

// bareField renders client text as an unquoted field, which cannot hold spaces.
func bareField(s string) string {
	return escaped(s, func(c byte) bool { return c <= ' ' || c == 0x7f || c == '"' })
}

// escaped cuts s to maxLogField bytes and percent-encodes the bytes that escape
// selects.
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
