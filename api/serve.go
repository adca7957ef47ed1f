package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
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

// serve is the road of every request: take it apart, find out what it means and
// who sent it, decide, and only then look at its body and act.
func (x *exchange) serve() (*Reply, error) {
	s, r := x.server, x.req
	var err error
	if err = checkHeaderSize(r.HTTP.Header); err != nil {
		return nil, err
	}
	if bucket := hostBucket(r.HTTP.Host, s.websites); bucket != "" {
		if err = x.sit(); err != nil {
			return nil, err
		}
		return x.serveWebsite(bucket)
	}
	if r.Target, err = ParseTarget(r.HTTP.RequestURI, r.HTTP.Host, s.domains); err != nil {
		return nil, err
	}
	r.Target = r.Target.ofControl(r.HTTP.Header)
	if s.iam != nil && r.Target.Scope() == Service && len(r.Target.Query) == 0 && iam.IsForm(r.HTTP) {
		return x.serveForm()
	}
	if err = checkCopyHeader(r.HTTP.Method, r.HTTP.Header); err != nil {
		return nil, err
	}
	if r.Op, err = r.Target.resolve(r.HTTP.Method, r.HTTP.Header); err != nil {
		return nil, err
	}
	if err = checkClimb(r.HTTP.Method, r.Target.Key); err != nil {
		return nil, err
	}
	if r.Op.Preflight {
		if err = x.sit(); err != nil {
			return nil, err
		}
		if err = s.resolveBucket(r); err != nil {
			return nil, err
		}
		return r.Op.Handle(s, r)
	}
	identity, err := s.authenticate(r)
	if err == nil && identity.Version == sigv4.Version2 {
		err = checkOpenParameters(r.Target.Query)
	}
	if err == nil && r.Op.Body == FormBody && identity.AccessKey == "" {
		if err = x.reserveForm(); err != nil {
			return nil, err
		}
		identity, err = x.authenticateForm()
		x.release()
		x.in.until = time.Time{}
	}
	if err != nil {
		return nil, err
	}
	if err = x.sit(); err != nil {
		return nil, err
	}
	if err = r.mergeHoisted(); err != nil {
		return nil, err
	}
	r.readAsked()
	if err = x.limitKnown(); err != nil {
		return nil, err
	}
	if err = s.resolveBucket(r); err != nil {
		return nil, err
	}
	if err = x.authorize(); err != nil {
		return nil, err
	}
	if r.badPayload != nil {
		return nil, r.badPayload
	}
	if err = x.limitBucket(); err != nil {
		return nil, err
	}
	x.in.rates, x.in.ctx = x.rates, r.Context()
	if r.Op.Handle == nil {
		return nil, s3err.NotImplemented
	}
	if err = r.checkRepeated(); err != nil {
		return nil, err
	}
	if err = checkHeaderRules(r.Op, r.HTTP.Header); err != nil {
		return nil, err
	}
	if err = r.checkForms(); err != nil {
		return nil, err
	}
	if err = x.reserveDocument(); err != nil {
		return nil, err
	}
	if err = r.prepareBody(identity, x.in); err != nil {
		return nil, err
	}
	if err = x.decideDocument(); err != nil {
		return nil, err
	}
	reply, err := r.Op.Handle(s, r)
	if err != nil && r.Op.Scope == ObjectScope {
		if hidden := r.hide(err); hidden != err {
			x.reason, err = "there is no such object, which only who may list the bucket is told", hidden
		}
	}
	return reply, err
}

// authenticate verifies the signature and sets the principal. A request without
// credentials goes on as nobody's.
func (s *Server) authenticate(r *Request) (*sigv4.Identity, error) {
	return s.verify(r, func(v *sigv4.Verifier) (*sigv4.Identity, error) { return v.Verify(r.HTTP, r.Target.Signed) })
}

// verify has check verify a signature, wherever it is, and sets the principal.
func (s *Server) verify(r *Request, check func(*sigv4.Verifier) (*sigv4.Identity, error)) (*sigv4.Identity, error) {
	v := s.verifier
	if r.Op.Scope == ControlScope { // no client signs for it with Version 2, nor does AWS take that
		v.Version2, v.Refusal2 = sigv4.Version2Off, ""
	}
	signer, err := s.accounts.Authenticate(v, check)
	if errors.Is(err, sigv4.ErrAnonymous) {
		r.Principal = access.Principal{}
		if r.identity, r.badPayload = sigv4.Anonymous(r.HTTP); r.badPayload != nil {
			r.identity = &sigv4.Identity{} // nobody's, of whose body nothing is known
		}
		if sha := r.Header("X-Amz-Content-Sha256"); r.badPayload != nil && !strings.HasPrefix(sha, "STREAMING-") {
			// What is no digest is not that of the body.
			mismatch := s3err.New(s3err.ContentSHA256Mismatch, "").With("ClientComputedContentSHA256", sha)
			if r.HTTP.ContentLength == 0 {
				mismatch = mismatch.With("S3ComputedContentSHA256", sigv4.PayloadHash(nil))
			}
			r.badPayload = mismatch
		}
		return r.identity, nil
	}
	if err != nil {
		// A name that is not an access key of ours may be somebody's secret in the wrong field.
		r.unproven, r.claimed = true, signer.Credential.AccessKey
		return nil, err
	}
	r.Principal, r.identity, r.limits = signer.Principal, signer.Identity, signer.Credential.Principal.Limits
	return signer.Identity, nil
}

// mergeHoisted replaces the request, now that it was verified as it arrived, by
// one whose header has what the URL carried of it.
func (r *Request) mergeHoisted() error {
	if r.form != nil {
		return nil // the URL is not what the form's signature covers
	}
	h, err := hoist(r.HTTP.Header, r.Target)
	if err != nil {
		return err
	}
	merged := *r.HTTP
	merged.Header = h
	r.HTTP = &merged
	return nil
}

// resolveBucket finds the target's bucket, and what the key holds for an
// operation that reads it. CreateBucket alone goes without.
func (s *Server) resolveBucket(r *Request) error {
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
