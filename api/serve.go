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

// ServeHTTP answers one S3 request. When an answer fails after its header was
// sent, ServeHTTP aborts the connection by panicking with http.ErrAbortHandler:
// a client must never take half an object for a whole one.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.newExchange(w, r)
	err := x.run()
	x.finish(err)
	if x.abort {
		panic(http.ErrAbortHandler)
	}
	// Only after the log line: lingering holds the goroutine for seconds.
	x.linger()
}

// run serves and renders the request. A panic becomes an InternalError, or an
// aborted connection when the header is already out.
func (x *exchange) run() (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		// It only asks for the connection to be cut.
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
	// The seat comes first: a gateway at its limit spends nothing on a request
	// that it refuses.
	if !x.server.seats.enter(&x.seat, x.req.stranger()) {
		x.reason = "too many requests at once"
		return x.answerWith(nil, s3err.SlowDown)
	}
	defer func() {
		x.release()
		x.endRates()
		x.server.seats.leave(&x.seat)
	}()
	return x.answerWith(x.serve())
}

// answerWith sends the reply, or the error. A client can leave either untaken: over
// HTTP/2 even the shortest waits until the client lets it go on. So a request whose
// sender did not become known keeps its seat only as a stranger's. Without a seat,
// parties share the number of answers under way, and beyond it a stream is reset.
func (x *exchange) answerWith(reply *Reply, err error) error {
	who := x.req.stranger()
	if x.seat.unknown && !x.server.seats.asStranger(&x.seat, who) {
		x.server.seats.leave(&x.seat)
	}
	// Over HTTP/1 there is one such answer for each connection, which the kernel takes.
	if !x.seat.taken && x.req.HTTP.ProtoMajor > 1 {
		if !x.server.refusals.Take(who) {
			x.abort = true
			return err
		}
		defer x.server.refusals.Give(who)
	}
	if err != nil {
		err = x.renderError(err)
	} else if err = x.render(reply); err == nil {
		// A refused form has its answer already; the error is for the log.
		err = x.refusal
	}
	// net/http would send the last bytes after the request has left its place.
	if x.req.HTTP.ProtoMajor > 1 && !x.abort && x.conn.Flush() != nil {
		x.abort = true
	}
	return err
}

// stage is one step of a request's road. A reply or an error ends the road.
type stage struct {
	name string
	do   func(*exchange) (*Reply, error)
}

// road lists the stages that every request passes, from first to last: parse
// it, find its meaning and its sender, decide, and only then read the body and
// carry it out. The order is the gateway's security. A stage relies only on
// facts that earlier stages established, and a request that it refuses has cost
// nothing of the later ones. TestRoad asserts the order.
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

// checks makes a stage that never ends the road with a reply.
func checks(do func(*exchange) error) func(*exchange) (*Reply, error) {
	return func(x *exchange) (*Reply, error) { return nil, do(x) }
}

// serve takes a request along the road.
func (x *exchange) serve() (*Reply, error) {
	for _, stage := range road {
		if reply, err := stage.do(x); reply != nil || err != nil {
			return reply, err
		}
	}
	return nil, errors.New("the road has no end")
}

func (x *exchange) boundHeader() error { return checkHeaderSize(x.req.HTTP.Header) }

// answerWebsite answers requests whose host belongs to a website. They are
// anonymous, even when they are signed.
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

// cutTarget reads bucket, key and query from the request line, once for all
// stages.
func (x *exchange) cutTarget() (err error) {
	r := x.req
	if r.Target, err = ParseTarget(r.HTTP.RequestURI, r.HTTP.Host, x.server.domains); err == nil {
		r.Target = r.Target.ofControl(r.HTTP.Header)
	}
	return err
}

// answerIAM passes forms posted to the service's root to the IAM and STS APIs.
// They share the address because SDKs can be given a single endpoint.
func (x *exchange) answerIAM() (*Reply, error) {
	r := x.req
	if x.server.iam == nil || r.Target.Scope() != Service || len(r.Target.Query) > 0 || !iam.IsForm(r.HTTP) {
		return nil, nil
	}
	return x.serveForm()
}

// resolveOperation chooses the row of the operation table. It refuses a copy
// source on other methods and keys that climb out of their bucket here, before
// anything acts on them.
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

// answerPreflight answers a browser's CORS question, which is never signed.
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

// verifySignature authenticates the sender. A Version 2 signature does not
// cover the whole query, so that parameters outside of it are refused.
func (x *exchange) verifySignature() error {
	identity, err := x.server.authenticate(x.req)
	if err == nil && identity.Version == sigv4.Version2 {
		err = checkOpenParameters(x.req.Target.Query)
	}
	return err
}

// verifyForm reads the fields of an upload form, up to the file, and verifies
// the signature among them. It does nothing when a header was signed.
func (x *exchange) verifyForm() error {
	if x.req.Op.Body != FormBody || x.req.identity.AccessKey != "" {
		return nil
	}
	if err := x.reserveForm(); err != nil {
		return err
	}
	err := x.authenticateForm()
	// The place was for the unverified form; the file counts as the sender's.
	x.release()
	x.in.until = time.Time{}
	return err
}

// readAsked reads the request's parameters. Those that the URL carries instead
// of the header join the header first, after its signature was verified as it
// arrived.
func (x *exchange) readAsked() error {
	if err := x.req.mergeQueryHeaders(); err != nil {
		return err
	}
	x.req.readAsked()
	return nil
}

// refuseBody reports what is wrong with the body of a request without
// credentials. It waits until access was decided, so that a stranger who is
// denied learns only that.
func (x *exchange) refuseBody() error { return x.req.badPayload }

// checkForms refuses operations without a handler and malformed parameters. It
// comes after the decision: a denied client does not learn which of them exist.
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
	err := x.req.prepareBody(x.req.identity, x.in)
	if err == nil && x.req.Body != nil {
		x.req.Body.Arrived = x.decideLate
	}
	return err
}

// carryOut runs the handler. An absent object is told only to senders who may
// list the bucket.
func (x *exchange) carryOut() (*Reply, error) {
	r := x.req
	reply, err := x.handle()
	if err != nil && r.Op.Scope == ObjectScope {
		if hidden := r.hide(err); hidden != err {
			x.reason, err = "there is no such object; the client, which may not list the bucket, is told AccessDenied", hidden
		}
	}
	return reply, err
}

// resolveBucket finds the target's bucket and, in the same look at the store,
// the object for an operation that reads it. CreateBucket has no bucket yet.
func (x *exchange) resolveBucket() error {
	s, r := x.server, x.req
	if r.Target.Bucket == "" || r.Op.CreatesBucket {
		return nil
	}
	var err error
	// A request to a website may look up several keys, one after another.
	r.object = object{key: r.Target.Key, version: r.asked.version}
	switch {
	case r.Op.ReadsObject:
		r.Bucket, r.object.found, err = s.engine.Find(r.Context(), r.Target.Bucket, r.Target.Key, r.asked.version.value)
	case r.Op.WritesObject:
		r.Bucket, r.vacant, err = s.engine.Vacant(r.Context(), r.Target.Bucket, r.Target.Key)
	default:
		r.Bucket, err = s.engine.Buckets().Get(r.Context(), r.Target.Bucket)
	}
	if r.Op.Scope == ControlScope && errors.Is(err, s3err.NoSuchBucket) {
		err = s3err.NoSuchResource
	}
	r.object.bucket = r.Bucket
	return err
}
