package iam

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// MaxBody bounds a request's form, in bytes.
const MaxBody = 256 << 10

// Handler answers the requests of both APIs. It is safe for concurrent use.
type Handler struct {
	Accounts *accounts.Accounts
	Now      func() time.Time // nil: time.Now
	// Keys holds the keys of identity providers; nil: none of their tokens is
	// accepted.
	Keys *Keys
}

// Request is one request with its body.
type Request struct {
	HTTP   *http.Request
	Target sigv4.Target
	Body   []byte
	ID     string // for the answer
	Secure bool   // it came over TLS, here or at a trusted proxy
	Source string // the client's address, as S3's conditions have it; empty: unknown
	Region string // the gateway's, which is that of STS
	// Admit counts the request with its proven tenant, and with a user that has
	// limits, or refuses it; nil: no limits.
	Admit func(tenant, user meta.ID, limits meta.Limits) error
	// Turn waits for the tenant's turn to read much of the store. The turn
	// lasts until leave is called; nil: no waiting.
	Turn func(tenant meta.ID) (leave func(), err error)
}

// Answer is an answer with the facts for the log.
type Answer struct {
	Status    int
	Body      []byte
	Action    string // such as "iam:CreateUser"; empty: unknown
	Principal access.Principal
	Unproven  bool   // a signature or token was sent that does not prove its sender
	AccessKey string // of the credential that signed or claims to have signed; empty: it does not exist
	Subject   string // of the token that proved the sender
	Session   string // the requested one
	Resource  string // of the last decision
	Decided   bool   // a decision was made
	Reason    string // of a denial
	Err       error
}

// action is one action of the APIs.
type action struct {
	service  string
	kind     meta.IdentityKind // of an action that exists for several kinds
	handle   func(*call) (any, error)
	unsigned bool // it has a proof of its own instead of a signature
}

// The two services.
const (
	serviceIAM = "iam"
	serviceSTS = "sts"
)

// versions are the only versions of the APIs, which clients may name.
var versions = map[string]string{serviceIAM: "2010-05-08", serviceSTS: "2011-06-15"}

// namespaces are those of the answers, which SDKs ignore and other clients
// check.
var namespaces = map[string]string{
	serviceIAM: "https://iam.amazonaws.com/doc/2010-05-08/",
	serviceSTS: "https://sts.amazonaws.com/doc/2011-06-15/",
}

// call is a request that is being answered. It serves one request and one
// goroutine. The fields from reason on are for the log.
type call struct {
	*Handler
	ctx       context.Context
	request   Request
	form      form
	name      string // of the action
	action    action
	cred      accounts.Credential
	principal access.Principal
	reason    string
	unproven  bool
	subject   string
	began     time.Time
	needed    access.Need // that was decided last
	resource  string      // of the last decision
	extra     []string    // condition keys that it was decided with, beside the identity's own
}

// IsForm reports whether a request is for these APIs: a form posted to the
// root.
func IsForm(r *http.Request) bool {
	mime, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return r.Method == http.MethodPost && strings.EqualFold(strings.TrimSpace(mime), "application/x-www-form-urlencoded")
}

// Serve answers a request. It never fails: errors are answers.
func (h *Handler) Serve(r Request) Answer {
	c := &call{Handler: h, ctx: r.HTTP.Context(), request: r}
	c.began = c.now()
	result, err := c.run()
	a := Answer{
		Principal: c.principal, Unproven: c.unproven, AccessKey: c.cred.AccessKey,
		Subject: c.subject, Session: c.form["RoleSessionName"],
		Resource: c.resource, Decided: c.resource != "", Reason: c.reason, Err: err,
	}
	if c.action.handle != nil {
		a.Action = c.action.service + ":" + c.name
	}
	if err != nil {
		a.Status, a.Body = c.renderError(err)
		return a
	}
	a.Status, a.Body = http.StatusOK, c.render(result)
	return a
}

// run parses, authenticates and counts the request before it looks at
// parameters, so that strangers cost little.
func (c *call) run() (any, error) {
	var err error
	if c.form, err = parseForm(c.request.Body); err != nil {
		return nil, err
	}
	c.name = c.form["Action"]
	known, ok := actions[c.name]
	if !ok {
		return nil, s3err.New(s3err.InvalidAction, "Could not find operation %s for version %s", clip(c.name), clip(c.form["Version"]))
	}
	c.action = known
	if v := c.form["Version"]; v != "" && v != versions[known.service] {
		return nil, s3err.New(s3err.InvalidAction, "Could not find operation %s for version %s", c.name, clip(v))
	}
	if !known.unsigned {
		if err := c.authenticate(); err != nil {
			return nil, err
		}
		if err := c.admit(c.tenant(), c.cred.Principal.ID, c.cred.Principal.Limits); err != nil {
			return nil, err
		}
	}
	if err := c.form.checkParameters(c.name); err != nil {
		return nil, err
	}
	return known.handle(c)
}

// admit counts the request with its tenant and user. These APIs have their own
// code for a limit.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
func (c *call) admit(tenant, user meta.ID, limits meta.Limits) error {
	if c.request.Admit == nil {
		return nil
	}
	err := c.request.Admit(tenant, user, limits)
	if errors.Is(err, s3err.SlowDown) {
		c.reason = "the account or user is at its limit"
		return s3err.Wrap(s3err.Throttling, err)
	}
	return err
}

// turn waits for the tenant's turn to read all of its users, groups, roles or
// policies.
func (c *call) turn() (leave func(), err error) {
	if c.request.Turn == nil {
		return func() {}, nil
	}
	leave, err = c.request.Turn(c.tenant())
	if errors.Is(err, s3err.SlowDown) {
		c.reason = "the account reads too much at once"
		err = s3err.Wrap(s3err.Throttling, err)
	} else if err == nil {
		if err = c.decideLate(); err != nil {
			leave()
		}
	}
	return leave, err
}

// decideLate repeats the last decision after a long wait, in which the caller's
// rights may have been taken away.
func (c *call) decideLate() (err error) {
	if c.now().Sub(c.began) <= accounts.CredentialTTL || c.needed.Action == "" {
		return nil
	}
	if c.principal, err = c.Accounts.Renewed(c.ctx, &c.cred); err != nil {
		c.reason = "the credential or its holder is gone since the request began"
		return signatureError(err)
	}
	return c.decide(c.needed)
}

// holders is accounts.Holders of the tenant, in a turn.
func (c *call) holders(holds func(*accounts.Identity) bool, kinds ...meta.IdentityKind) ([]accounts.Identity, error) {
	leave, err := c.turn()
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.Accounts.Holders(c.ctx, c.tenant(), holds, kinds...)
}

// count is accounts.CountIdentities of the tenant, in a turn.
func (c *call) count(kind meta.IdentityKind) (int, error) {
	leave, err := c.turn()
	if err != nil {
		return 0, err
	}
	defer leave()
	return c.Accounts.CountIdentities(c.ctx, c.tenant(), kind)
}

// clip shortens a client's text for a message.
func clip(s string) string { return s[:min(len(s), 128)] }

// authenticate verifies the signature, which is for the action's service and
// covers the form.
func (c *call) authenticate() error {
	v := sigv4.Verifier{AnyRegion: true, Service: c.action.service, Now: c.Now}
	// The credential is kept after an error too: the log names the access key that
	// a request claims.
	signer, err := c.Accounts.Authenticate(v, func(v *sigv4.Verifier) (*sigv4.Identity, error) {
		return v.VerifyForm(c.request.HTTP, c.request.Target, c.request.Body)
	})
	c.cred, c.principal = signer.Credential, signer.Principal
	switch {
	case errors.Is(err, sigv4.ErrAnonymous):
		return s3err.MissingAuthenticationToken
	case err != nil:
		c.unproven = true
		return signatureError(err)
	}
	return nil
}

// signatureError translates refusals to the codes of these services.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
func signatureError(err error) error {
	e := s3err.From(err)
	switch e.Code {
	case s3err.InvalidAccessKeyID, s3err.InvalidToken:
		return s3err.Wrap(s3err.InvalidClientTokenID, err)
	case s3err.RequestTimeTooSkewed:
		return s3err.New(s3err.SignatureDoesNotMatch, "Signature expired: the request's time is too far from the server's.")
	case s3err.AuthorizationHeaderMalformed, s3err.AuthorizationQueryParametersError, s3err.InvalidArgument, s3err.InvalidRequest:
		return s3err.New(s3err.IncompleteSignature, "%s", e.Message)
	// S3's code means a date or headers that are not signed, and not a decision.
	case s3err.AccessDenied:
		return s3err.New(s3err.IncompleteSignature, "%s", e.Message)
	}
	return err
}

// allow returns AccessDenied unless the principal may take the action on the
// resource of its own tenant. extra alternates condition keys and values.
func (c *call) allow(resource string, extra ...string) error {
	return c.allowAs(c.name, resource, extra...)
}

// allowWithTags is allow for creating something with tags, which also needs the
// right to tag.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_iam-new-user-tag.html
func (c *call) allowWithTags(tagAction, resource string, tags []accounts.Tag, extra ...string) error {
	extra = append(extra, tagContext(tags)...)
	if err := c.allow(resource, extra...); err != nil || len(tags) == 0 {
		return err
	}
	return c.allowAs(tagAction, resource, extra...)
}

// allowAs is allow for another action than the request's own.
func (c *call) allowAs(action, resource string, extra ...string) error {
	if c.action.service == serviceIAM && c.cred.Temporary() && c.principal.Kind != access.Session {
		// A session of a user that could create access keys would outlive
		// itself.
		c.reason = "a session token of a user cannot be used for IAM"
		return s3err.InvalidClientTokenID
	}
	need := access.Need{Action: c.action.service + ":" + action, Resource: resource, Owner: c.principal.Tenant}
	if len(extra) > 0 {
		need.Context = access.Context{}
		for i := 0; i+1 < len(extra); i += 2 {
			need.Context.Add(extra[i], extra[i+1])
		}
	}
	return c.decide(need)
}

// decide asks access about a need and keeps the facts for the log.
func (c *call) decide(need access.Need) error {
	c.resource, c.needed = need.Resource, need
	d := access.NewEvaluation(c.ctx, &c.principal, c.conditions()).Decide(need)
	if d.Allow {
		return nil
	}
	c.reason = d.Reason
	return c.denial(need.Action, need.Resource)
}

// denial names principal, action and resource. Senders without an account are
// told the action only.
func (c *call) denial(action, resource string) error {
	if c.principal.Kind == access.Nobody || c.principal.Kind == access.Federated {
		return s3err.New(s3err.AccessDenied, "Not authorized to perform %s", action)
	}
	return s3err.New(s3err.AccessDenied, "User: %s is not authorized to perform: %s on resource: %s",
		c.principal.ARN(), action, clip(resource))
}

// iamRegion is the region of all requests to IAM, wherever they are sent and
// whatever region they are signed for: it is a global service.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-requestedregion
const iamRegion = "us-east-1"

// conditions returns the condition keys that every request has. The region is
// not that of the signature, which a caller could choose.
func (c *call) conditions() access.Context {
	r, now := c.request.HTTP, c.now().UTC()
	k := access.Context{
		"aws:currenttime":     {now.Format(time.RFC3339)},
		"aws:epochtime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:securetransport": {strconv.FormatBool(c.request.Secure)},
	}
	if region := c.request.Region; c.action.service == serviceIAM {
		k["aws:requestedregion"] = []string{iamRegion}
	} else if region != "" {
		k["aws:requestedregion"] = []string{region}
	}
	if c.request.Source != "" {
		k["aws:sourceip"] = []string{c.request.Source}
	}
	if agent := r.UserAgent(); agent != "" {
		k["aws:useragent"] = []string{agent}
	}
	return k
}

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

// tenant is the caller's tenant. All its actions are about this tenant's
// identities.
func (c *call) tenant() meta.ID { return meta.ID(c.principal.Tenant) }
