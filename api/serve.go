package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// ServeHTTP answers one S3 request. It aborts the connection, by panicking with
// http.ErrAbortHandler, when an answer fails after its header was sent: a
// client must never take half an object for a whole one.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.newExchange(w, r)
	err := x.run()
	x.finish(err)
	if x.abort {
		panic(http.ErrAbortHandler)
	}
	x.linger()
}

// run serves and renders, and turns a panic into an InternalError.
func (x *exchange) run() (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler {
			panic(v)
		}
		err = fmt.Errorf("panic: %v", v)
		x.server.log.LogAttrs(x.req.Context(), slog.LevelError, "panic",
			slog.String("request_id", x.req.ID), slog.String("stack", string(debug.Stack())))
		if x.status == 0 {
			x.renderError(err)
		} else {
			x.abort = true
		}
	}()
	if !x.server.seats.enter(&x.seat) {
		x.reason = "too many requests at once"
		return x.renderError(s3err.SlowDown)
	}
	defer func() {
		x.release()
		x.endRates()
		x.server.seats.leave(&x.seat)
	}()
	reply, err := x.serve()
	if err != nil {
		return x.renderError(err)
	}
	if err := x.render(reply); err != nil {
		return err
	}
	return x.refusal
}

// stage is one step of a request's road. A reply or an error ends the road.
type stage struct {
	name string
	do   func(*exchange) (*Reply, error)
}

// road is what every request goes through, from the first stage to the last: it is taken
// apart, it is found out what it means and who sent it, it is decided, and only then its
// body is looked at and it is carried out. The order is the security of the gateway: a
// stage relies only on facts that those above it have found, and a request that it
// refuses has cost nothing of those below.
var road = []stage{
	{"bound the header", checks((*exchange).boundHeader)},
	{"answer websites", (*exchange).answerWebsite},
	{"cut the target", checks((*exchange).cutTarget)},
	{"answer IAM and STS", (*exchange).answerIAM},
	{"resolve the operation", checks((*exchange).resolveOperation)},
	{"answer preflights", (*exchange).answerPreflight},
	{"verify the signature", checks((*exchange).verifySignature)},
	{"verify a form", checks((*exchange).verifyForm)},
	{"take a place", checks((*exchange).sit)},
	{"read what is asked", checks((*exchange).readAsked)},
	{"hold the tenant and user against their limits", checks((*exchange).limitKnown)},
	{"find the bucket and object", checks((*exchange).resolveBucket)},
	{"decide", checks((*exchange).authorize)},
	{"refuse a body that cannot be taken", checks((*exchange).refuseBody)},
	{"hold the bucket against its limits", checks((*exchange).limitBucket)},
	{"refuse what is not implemented or malformed", checks((*exchange).checkForms)},
	{"take places for a document", checks((*exchange).reserveDocument)},
	{"open the body", checks((*exchange).openBody)},
	{"decide about the document", checks((*exchange).decideDocument)},
	{"carry it out", (*exchange).carryOut},
}

// checks is a stage that never ends the road with a reply.
func checks(do func(*exchange) error) func(*exchange) (*Reply, error) {
	return func(x *exchange) (*Reply, error) { return nil, do(x) }
}

// serve takes a request along its road.
func (x *exchange) serve() (*Reply, error) {
	for _, stage := range road {
		if reply, err := stage.do(x); reply != nil || err != nil {
			return reply, err
		}
	}
	return nil, errors.New("the road has no end")
}

func (x *exchange) boundHeader() error { return checkHeaderSize(x.req.HTTP.Header) }

// answerWebsite answers where the host is that of a website: nobody asks there, whatever
// the request is signed with.
func (x *exchange) answerWebsite() (*Reply, error) {
	bucket := hostBucket(x.req.HTTP.Host, x.server.websites)
	if bucket == "" {
		return nil, nil
	}
	if err := x.sit(); err != nil {
		return nil, err
	}
	return x.serveWebsite(bucket)
}

func (x *exchange) cutTarget() (err error) {
	r := x.req
	if r.Target, err = ParseTarget(r.HTTP.RequestURI, r.HTTP.Host, x.server.domains); err == nil {
		r.Target = r.Target.ofControl(r.HTTP.Header)
	}
	return err
}

func (x *exchange) answerIAM() (*Reply, error) {
	r := x.req
	if x.server.iam == nil || r.Target.Scope() != Service || len(r.Target.Query) > 0 || !iam.IsForm(r.HTTP) {
		return nil, nil
	}
	return x.serveForm()
}

func (x *exchange) resolveOperation() (err error) {
	r := x.req
	if err = checkCopyHeader(r.HTTP.Method, r.HTTP.Header); err != nil {
		return err
	}
	if r.Op, err = r.Target.resolve(r.HTTP.Method, r.HTTP.Header); err != nil {
		return err
	}
	return checkClimb(r.HTTP.Method, r.Target.Key)
}

// answerPreflight answers a browser that asks what it may: its question is not signed.
func (x *exchange) answerPreflight() (*Reply, error) {
	if !x.req.Op.Preflight {
		return nil, nil
	}
	if err := x.sit(); err != nil {
		return nil, err
	}
	if err := x.resolveBucket(); err != nil {
		return nil, err
	}
	return x.req.Op.Handle(x.server, x.req)
}

func (x *exchange) verifySignature() error {
	identity, err := x.server.authenticate(x.req)
	if err == nil && identity.Version == sigv4.Version2 {
		err = checkOpenParameters(x.req.Target.Query)
	}
	return err
}

// verifyForm reads the fields of an upload form, up to the file, and verifies them in
// the place of a header.
func (x *exchange) verifyForm() error {
	if x.req.Op.Body != FormBody || x.req.identity.AccessKey != "" {
		return nil
	}
	if err := x.reserveForm(); err != nil {
		return err
	}
	err := x.authenticateForm()
	x.release()
	x.in.until = time.Time{}
	return err
}

func (x *exchange) readAsked() error {
	if err := x.req.mergeHoisted(); err != nil {
		return err
	}
	x.req.readAsked()
	return nil
}

// refuseBody refuses what a request without credentials says of its body, now that it may
// be told so.
func (x *exchange) refuseBody() error { return x.req.badPayload }

func (x *exchange) checkForms() error {
	r := x.req
	if r.Op.Handle == nil {
		return s3err.NotImplemented
	}
	if err := r.checkRepeated(); err != nil {
		return err
	}
	if err := checkHeaderRules(r.Op, r.HTTP.Header); err != nil {
		return err
	}
	return r.checkForms()
}

// openBody makes the body readable, at the pace that the limits allow.
func (x *exchange) openBody() error {
	x.in.rates, x.in.ctx = x.rates, x.req.Context()
	return x.req.prepareBody(x.req.identity, x.in)
}

func (x *exchange) carryOut() (*Reply, error) {
	r := x.req
	reply, err := x.handle()
	if err != nil && r.Op.Scope == ObjectScope {
		if hidden := r.hide(err); hidden != err {
			x.reason, err = "there is no such object, which only who may list the bucket is told", hidden
		}
	}
	return reply, err
}

// resolveBucket finds the target's bucket, and what the key holds for an
// operation that reads it. CreateBucket alone goes without.
func (x *exchange) resolveBucket() error {
	s, r := x.server, x.req
	if r.Target.Bucket == "" || r.Op.CreatesBucket {
		return nil
	}
	var err error
	r.object = object{key: r.Target.Key, version: r.asked.version}
	switch {
	case r.Op.ReadsObject:
		r.Bucket, r.object.found, err = s.engine.Find(r.Context(), r.Target.Bucket, r.Target.Key, r.asked.version.value)
	case r.Op.WritesObject:
		r.Bucket, r.vacant, err = s.engine.Vacant(r.Context(), r.Target.Bucket, r.Target.Key)
	default:
		r.Bucket, err = s.engine.Bucket(r.Context(), r.Target.Bucket)
	}
	if r.Op.Scope == ControlScope && errors.Is(err, s3err.NoSuchBucket) {
		err = s3err.NoSuchResource
	}
	r.object.bucket = r.Bucket
	return err
}
