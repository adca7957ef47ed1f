package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/requestlog"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/strict"
)

// request is one authenticated and authorized request.
type request struct {
	http  *http.Request
	query sigv4.Query
	body  []byte
	by    string // the access key of the signer
}

// handler carries out a route and returns the value to answer with; nil: no
// body.
type handler func(s *Server, ctx context.Context, r *request) (any, error)

// serve takes a request along its road: identify, decide, read the body, act,
// render, log. Only the operator may take any action.
func (s *Server) serve(rt *route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start, id := s.now(), meta.NewID().String()
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		deadline := time.Now().Add(bodyDeadline) // the kernel knows no other clock
		control := http.NewResponseController(w)
		err := errors.Join(control.SetReadDeadline(deadline), control.SetWriteDeadline(deadline))
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			s.log.Warn("admin: deadline", "error", err)
		}
		l := requestlog.Line{
			ID: id, API: requestlog.Admin, Method: r.Method, Resource: r.URL.EscapedPath(),
			Remote: r.RemoteAddr, Agent: r.UserAgent(),
		}
		if rt.action != "" {
			l.Action = service + rt.action
		}
		value, err := s.act(r, rt, &l)
		if l.Status = rt.status; err != nil {
			l.Status = writeError(w, id, err)
		} else {
			writeReply(w, rt.status, value)
		}
		l.BytesIn, l.Took = r.ContentLength, s.now().Sub(start)
		s.logRequest(r.Context(), &l, err)
	}
}

// service is the prefix of the actions' names in policies.
const service = Service + ":"

// act runs the handler for a signer who may take the action, and adds the
// signer to the log line.
func (s *Server) act(r *http.Request, rt *route, l *requestlog.Line) (any, error) {
	target, err := sigv4.ReceivedTarget(r.RequestURI, r.Host)
	if err != nil {
		return nil, err
	}
	began := s.now()
	signer, err := s.identify(r, target, l)
	if err != nil {
		return nil, err
	}
	if err := decide(&signer.Principal, rt, l); err != nil {
		return nil, err
	}
	// The body is read after the decision, so that only the operator makes the
	// gateway read one.
	req := &request{http: r, query: target.Query, by: signer.Credential.AccessKey}
	if req.body, err = readBody(r, signer.Identity); err != nil {
		return nil, err
	}
	// A credential that was revoked while a slow body arrived changes nothing any
	// more.
	if s.now().Sub(began) > accounts.CredentialTTL {
		if signer.Principal, err = s.accounts.Renewed(r.Context(), &signer.Credential); err != nil {
			return nil, err
		}
		if err := decide(&signer.Principal, rt, l); err != nil {
			return nil, err
		}
	}
	// notFound and methodNotAllowed take any body and parameters, because they
	// refuse the request in any case.
	if rt.path != "" {
		if err := rt.fits(req); err != nil {
			return nil, err
		}
	}
	return rt.handle(s, r.Context(), req)
}

// decide refuses a principal who may not take the route's action. It asks without
// condition keys: no policy can give these actions to others than the operator.
func decide(p *access.Principal, rt *route, l *requestlog.Line) error {
	l.Principal = p
	d := access.Decide(p, nil, access.Need{Action: service + rt.action})
	if l.Decision, l.Reason = requestlog.Allow, d.Reason; !d.Allow {
		l.Decision = requestlog.Deny
		return s3err.Wrap(s3err.AccessDenied, errors.New(d.Reason))
	}
	return nil
}

// identify authenticates the signer. The signature must cover the payload,
// because the body says whose rights change.
func (s *Server) identify(r *http.Request, target sigv4.Target, l *requestlog.Line) (accounts.Signer, error) {
	signer, err := s.accounts.Authenticate(s.verifier, func(v *sigv4.Verifier) (*sigv4.Identity, error) {
		return v.Verify(r, target)
	})
	l.AccessKey = signer.Credential.AccessKey // set only if the key exists: another name may be a secret in the wrong field
	switch {
	case errors.Is(err, sigv4.ErrAnonymous):
		return signer, s3err.AccessDenied
	case err != nil:
		l.Unproven = true
		return signer, err
	case signer.Credential.Temporary(): // operators do not use temporary credentials
		return signer, s3err.InvalidToken
	case signer.Identity.Presigned || signer.Identity.Payload != sigv4.Signed:
		return signer, s3err.New(s3err.AccessDenied,
			"The signature must be in the Authorization header and cover the body.")
	}
	return signer, nil
}

// readBody reads a bounded body, whose digest the signature covers.
func readBody(r *http.Request, identity *sigv4.Identity) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, s3err.MaxMessageLengthExceeded
	}
	body, err := identity.RequestBody(r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, MaxBody+1))
	if err == nil && len(data) > MaxBody {
		err = s3err.MaxMessageLengthExceeded
	}
	return data, err
}

// decode decodes the body into v: one JSON value without unknown fields and
// without data after it.
func (r *request) decode(v any) error {
	// encoding/json takes the last of repeated names, where a reader of the
	// request may see the first.
	if err := strict.JSON(r.body, maxDepth, maxValues); err != nil {
		return s3err.New(s3err.InvalidRequest, "The body must be one JSON object without repeated names.")
	}
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return s3err.New(s3err.InvalidRequest, "The body does not have the fields of this call: %s", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return s3err.New(s3err.InvalidRequest, "The body has data after its JSON value.")
	}
	return nil
}

// parameter returns the decoded text of a path segment. chi splits the escaped
// path if there is one, so that a%2Fb stays one segment.
func (r *request) parameter(name string) (string, error) {
	raw := chi.URLParam(r.http, name)
	if r.http.URL.RawPath == "" {
		return raw, nil
	}
	text, err := url.PathUnescape(raw)
	if err != nil {
		return "", s3err.New(s3err.InvalidURI, "The path segment %q has a malformed escape.", raw)
	}
	return text, nil
}

// has reports whether the request's path has the parameter.
func (r *request) has(name string) bool { return chi.URLParam(r.http, name) != "" }

// page reads after and limit, the parameters of a listing. Handlers give every
// full page a Next, because whether more follows is not known: the page after
// the last entry may be empty.
func (r *request) page() (after string, limit int, err error) {
	limit = DefaultPage
	for _, p := range r.query {
		switch p.Name {
		case "after":
			after = p.Value
		case "limit":
			n, ok := strict.Number(p.Value, MaxPage)
			if !ok || n < 1 {
				return "", 0, s3err.New(s3err.InvalidArgument, "limit must be a number from 1 to %d.", MaxPage)
			}
			limit = int(n)
		}
	}
	return after, limit, nil
}

// writeReply sends a value as JSON; nil: no body.
func writeReply(w http.ResponseWriter, status int, value any) {
	if value == nil {
		w.WriteHeader(status)
		return
	}
	data, err := json.Marshal(value)
	if err != nil { // only for types that this package does not use
		panic(fmt.Errorf("admin: encode a reply: %w", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}

// Problem is the body of every error.
type Problem struct {
	Code      string `json:"code"`       // one of the codes on this page
	Message   string `json:"message"`    // for people
	RequestID string `json:"request_id"` // also in the header `X-Request-Id`, and in the log
}

// writeError answers with a Problem and returns its status. An error without a
// code shows nothing but that.
func writeError(w http.ResponseWriter, id string, err error) int {
	e := s3err.From(err)
	message := e.Message
	if message == "" {
		message = e.Code.Message()
	}
	writeReply(w, e.Code.Status(), Problem{string(e.Code), message, id})
	return e.Code.Status()
}

// logRequest writes one line. It has the path, whose names of users and keys
// are no secrets, but not the query or the body.
func (s *Server) logRequest(ctx context.Context, l *requestlog.Line, err error) {
	if err != nil {
		if l.Code = string(s3err.From(err).Code); l.Status >= http.StatusInternalServerError {
			l.Err = err
		}
		s.engine.Damage().Notice(err)
	}
	// A signature that was refused counts as a denial, although access was not
	// asked.
	if l.Status == http.StatusForbidden {
		l.Decision = requestlog.Deny
	}
	if s.log.Enabled(ctx, l.Level()) {
		l.Write(ctx, s.log)
	}
}

// notFound answers for unknown paths, but only to the operator, like every
// other call.
func notFound(*Server, context.Context, *request) (any, error) {
	return nil, s3err.NoSuchEntity
}

// methodNotAllowed answers for unknown methods of known paths.
func methodNotAllowed(*Server, context.Context, *request) (any, error) {
	return nil, s3err.MethodNotAllowed
}
