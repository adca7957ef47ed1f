package api

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// statusClientGone and codeClientGone are logged for a request whose client
// left before the answer. They are never sent.
const (
	statusClientGone = 499
	codeClientGone   = "ClientClosedRequest"
)

// instance identifies this gateway within a deployment, as x-amz-id-2.
var instance = func() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}()

// exchange is one request with its answer: the state of what was sent, and the
// facts for the log and the metrics.
type exchange struct {
	server *Server
	w      http.ResponseWriter
	conn   *http.ResponseController
	req    *Request
	in     *wire
	began  time.Time
	seat   seat
	held   func() // releases the place of a document, a form or its answer; nil: none is held
	html   bool   // show errors to people: see serveWebsite

	// rates belong to the tenant, user and bucket whose limits count this
	// request.
	rates []*rateOf

	status   int         // 0: the header is not out
	answered time.Time   // when the header was sent
	sent     int64       // bytes of the body
	sendErr  error       // of the connection
	abort    bool        // the answer cannot be finished
	decision string      // requestlog.Allow or Deny; empty before a decision
	reason   string      // of the decision or of a refusal, for the log
	refusal  error       // why a form was refused; its answer is already rendered
	answer   *iam.Answer // of an IAM or STS form; nil: it was none
	unread   bool        // the connection closes because of an unread body
	keyUse   buckets.KeyUse
}

// newExchange prepares a request. Only the clock of the log is real; the
// request's time is the Server's.
func (s *Server) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	var id [8]byte
	rand.Read(id[:])
	x := &exchange{
		server: s, w: w, conn: http.NewResponseController(w), began: time.Now(),
		req: &Request{HTTP: r, ID: upperHex(id[:]), Now: s.now(), server: s},
	}
	// Package blobs calls admitAt with the name of each backend that the request waits for.
	ctx := buckets.WithKeyUse(blobs.WithAdmission(meta.WithPatience(r.Context(), s.limits.Store), x.admitAt), &x.keyUse)
	from := x.req.stranger()
	x.req.HTTP = r.WithContext(meta.WithParty(ctx, func() any { return s.seats.party(&x.seat, from) }))
	x.in = &wire{body: r.Body, conn: x.conn, limits: s.limits, ended: r.ContentLength == 0}
	h := w.Header()
	h.Set("X-Amz-Request-Id", x.req.ID)
	h.Set("X-Amz-Id-2", instance)
	h.Set("X-Content-Type-Options", "nosniff")
	return x
}

// upperHex is hex as S3 writes request ids.
func upperHex(b []byte) string {
	out := []byte(hex.EncodeToString(b))
	for i, c := range out {
		if c >= 'a' {
			out[i] = c - 'a' + 'A'
		}
	}
	return string(out)
}

// start sends the header. An unread rest of the body is drained within
// drainTimeout when it is small; otherwise the connection closes, see linger.
func (x *exchange) start(status int) {
	x.addCORS()
	now := time.Now()
	// For the header, which is written after the body was drained.
	x.conn.SetWriteDeadline(now.Add(x.server.limits.Idle + drainTimeout))
	if !x.in.ended {
		x.conn.SetReadDeadline(now.Add(drainTimeout))
		if n := x.req.HTTP.ContentLength; x.expects() || x.in.failed || n < 0 || x.drainProxied(n-x.in.read) > maxDrain {
			x.w.Header().Set("Connection", "close")
			x.unread = true
		}
	}
	// net/http sends no 100 for an empty body. botocore asks for it all the
	// same. It would take the final status for that of the connection's next
	// request, and then wait for ever.
	if x.req.HTTP.ContentLength == 0 && x.req.HTTP.Header.Get("Expect") != "" {
		x.w.Header().Set("Connection", "close")
	}
	x.status, x.answered = status, now
	x.w.WriteHeader(status)
}

// Write sends bytes of a body in units that even a slow client can take within
// Limits.Pause.
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

// gone reports whether the client left, so that the failure is not the
// gateway's. An answer of the wrong length is the gateway's fault, and a client
// that takes nothing in time is slow and not gone.
func (x *exchange) gone() bool {
	return x.in.gone || x.req.Context().Err() != nil ||
		x.sendErr != nil && !errors.Is(x.sendErr, http.ErrContentLength) && !errors.Is(x.sendErr, os.ErrDeadlineExceeded)
}

// finish writes the request's one log line and updates the metrics. For a cut
// answer they have the status of the error, although another was sent.
func (x *exchange) finish(err error) {
	e := s3err.From(err)
	o := Observation{Status: x.status, Duration: time.Since(x.began), BytesIn: x.in.read, BytesOut: x.sent}
	o.Signature, _ = x.req.signedAs()
	if x.req.Op != nil {
		o.Operation = x.req.Op.Name
	}
	if e != nil {
		o.Code = string(e.Code)
		switch {
		case x.gone():
			o.Status, o.Code = statusClientGone, codeClientGone
		case x.abort:
			o.Status, o.Cut = e.Code.Status(), true
		}
		if x.server.engine != nil {
			x.server.engine.Damage().Notice(err)
		}
	}
	x.logRequest(e, &o)
	x.server.observe(o)
	// Last, because it may wait for the bucket's settings.
	x.logAccess(e)
}
