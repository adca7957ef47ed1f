package api

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// statusClientGone is what the log shows for a request whose client left
// before it was answered, codeClientGone its code. They are never sent.
const (
	statusClientGone = 499
	codeClientGone   = "ClientClosedRequest"
)

// instance tells the gateways of one deployment apart, as x-amz-id-2.
var instance = func() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}()

// exchange is one request with its answer: what has been sent of it, and what
// the log and the metrics will be told.
type exchange struct {
	server *Server
	w      http.ResponseWriter
	conn   *http.ResponseController
	req    *Request
	in     *wire
	began  time.Time
	seat   seat
	held   func() // gives back the place of a document or form; nil: none is taken
	html   bool   // errors are shown to people: see serveWebsite

	// rates are who has limits and counts this request.
	rates []*rateOf

	status   int       // 0: the header is not out
	answered time.Time // when it was sent
	sent     int64
	sendErr  error  // of the connection
	abort    bool   // the answer cannot be finished
	unread   bool   // the connection ends because of a body that was not read
	reason   string // of a refusal, for the log
	refusal  error  // what a form was refused with, in its answer already
}

func (s *Server) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	var id [8]byte
	rand.Read(id[:])
	x := &exchange{
		server: s, w: w, conn: http.NewResponseController(w), began: time.Now(),
		req: &Request{HTTP: r, ID: upperHex(id[:]), Now: s.now(), server: s},
	}
	ctx := engine.WithAdmission(meta.WithPatience(r.Context(), s.limits.Store), x.admitAt)
	x.req.HTTP = r.WithContext(ctx)
	x.in = &wire{body: r.Body, conn: x.conn, limits: s.limits, ended: r.ContentLength == 0}
	h := w.Header()
	h.Set("X-Amz-Request-Id", x.req.ID)
	h.Set("X-Amz-Id-2", instance)
	h.Set("X-Content-Type-Options", "nosniff")
	return x
}

func upperHex(b []byte) string {
	out := []byte(hex.EncodeToString(b))
	for i, c := range out {
		if c >= 'a' {
			out[i] = c - 'a' + 'A'
		}
	}
	return string(out)
}

// start sends the header. A body that was not read to its end is let go: small
// ones within drainTimeout, others with the connection, see linger.
func (x *exchange) start(status int) {
	x.addCORS()
	now := time.Now()
	x.conn.SetWriteDeadline(now.Add(x.server.limits.Idle + drainTimeout))
	if !x.in.ended {
		x.conn.SetReadDeadline(now.Add(drainTimeout))
		if n := x.req.HTTP.ContentLength; x.in.failed || n < 0 || n-x.in.read > maxDrain {
			x.w.Header().Set("Connection", "close")
			x.unread = true
		}
	}
	// net/http answers 100 to no empty body. botocore asks for it all the same,
	// and takes the final status it got instead for that of the connection's
	// next request, then waits for ever.
	if x.req.HTTP.ContentLength == 0 && x.req.HTTP.Header.Get("Expect") != "" {
		x.w.Header().Set("Connection", "close")
	}
	x.status, x.answered = status, now
	x.w.WriteHeader(status)
}

// Write sends bytes of a body in units of which even a slow client takes one in time.
func (x *exchange) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		unit := p[:min(len(p), writeUnit)]
		if err = pace(x.req.Context(), x.rates, downloadOf, len(unit)); err != nil {
			break
		}
		x.conn.SetWriteDeadline(time.Now().Add(x.server.limits.Pause))
		var m int
		m, err = x.w.Write(unit)
		n, p = n+m, p[m:]
	}
	x.sent += int64(n)
	if err != nil {
		x.sendErr = err
	}
	return n, err
}

// gone reports whether the client left, so that what failed is no fault of ours.
func (x *exchange) gone() bool {
	return x.in.gone || x.req.Context().Err() != nil ||
		x.sendErr != nil && !errors.Is(x.sendErr, http.ErrContentLength) && !errors.Is(x.sendErr, os.ErrDeadlineExceeded)
}

// finish writes the one log line of the request and tells the metrics. Keys are
// names that clients may want kept, so the line has the bucket alone; nothing
// of the query or of the header is logged.
func (x *exchange) finish(err error) {
	e := s3err.From(err)
	o := Observation{Status: x.status, Duration: time.Since(x.began), BytesIn: x.in.read, BytesOut: x.sent}
	o.Signature, _ = x.req.signedAs()
	if x.req.Op != nil {
		o.Operation = x.req.Op.Name
	}
	if e != nil {
		o.Code = string(e.Code)
		if x.gone() {
			o.Status, o.Code = statusClientGone, codeClientGone
		}
	}
	x.logRequest(e, &o)
	x.server.observe(o)
	x.logAccess(e)
}

// logRequest writes the request's line, if anyone wants to read it.
func (x *exchange) logRequest(e *s3err.Error, o *Observation) {
	level := slog.LevelInfo
	failed := e != nil && o.Status != statusClientGone && e.Code.Status() >= 500 && e.Code != s3err.NotImplemented
	if failed {
		level = slog.LevelError
	}
	if !x.server.log.Enabled(x.req.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", x.req.ID), slog.String("op", o.Operation), slog.String("method", x.req.HTTP.Method),
		slog.String("bucket", x.req.Target.Bucket), slog.Int("status", o.Status),
		slog.Int64("in", o.BytesIn), slog.Int64("out", o.BytesOut), slog.Float64("seconds", o.Duration.Seconds()),
		slog.String("principal", x.req.principal()), slog.String("remote", x.req.HTTP.RemoteAddr),
		slog.String("source", x.req.sourceIP()),
	}
	if o.Signature != "" {
		attrs = append(attrs, slog.String("signature", o.Signature))
	}
	if o.Code != "" {
		attrs = append(attrs, slog.String("code", o.Code))
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", x.reason))
	}
	if failed {
		attrs = append(attrs, slog.String("error", e.Error()))
	}
	x.server.log.LogAttrs(x.req.Context(), level, "request", attrs...)
}

func (r *Request) principal() string {
	if r.Principal.Anonymous() {
		return "anonymous"
	}
	if r.Owner().IsZero() {
		return ""
	}
	return r.Owner().String()
}
