package access

import (
	"context"
	"strings"
)

// Decide allows the principal's request if every need is allowed. A request
// without needs is denied, so that forgotten needs do not allow it.
//
// The rules are AWS's. An explicit denial wins. Within an account, the policies
// of the identity or the policy of the resource must allow; between accounts
// both must, where an ACL can stand in for the latter. A boundary and session
// policies narrow the identity's policies, and a bucket policy's allowance to a
// role. They do not narrow its allowance to a user, a session or everybody.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
//
// A request that is decided in several steps, or that may be abandoned, needs
// an Evaluation.
func Decide(p *Principal, request Context, needs ...Need) Decision {
	return NewEvaluation(context.Background(), p, request).Decide(needs...)
}

func deny(reason string) Decision  { return Decision{Reason: reason} }
func allow(reason string) Decision { return Decision{Allow: true, Reason: reason} }

// decide decides one need. Needs and principals that are incomplete are denied.
// A broken principal comes before all rules, because nothing that it has can be
// relied on.
func (v *Evaluation) decide(n *Need) Decision {
	p := v.p
	if p == nil || n.Action == "" {
		return deny("a need without a principal or an action")
	}
	if p.Broken != nil {
		return deny("a policy of the principal cannot be read: " + p.Broken.Error())
	}
	switch p.Kind {
	case Root, User, Session:
		if p.ID.IsZero() || p.Tenant.IsZero() {
			return deny("a principal without an id")
		}
	case Nobody, Federated, Service:
	default:
		return deny("a principal of an unknown kind")
	}
	service, _, _ := strings.Cut(n.Action, ":")
	switch service {
	case "s3":
		return v.decideS3(n)
	case "iam", "sts":
		return v.decideIAM(n)
	}
	if p.isOperator() {
		return allow("operator")
	}
	return deny(n.Action + " is reserved to the operator")
}

func (p *Principal) isOperator() bool { return p.Operator && p.Kind == Root }

// newEnv collects the facts that policies are evaluated with.
func (v *Evaluation) newEnv(n *Need, target arn) env {
	v.about(n.Bucket, v.accountOf(target))
	return env{
		v: v, settled: v.settle(n), p: v.p, action: newAsked(n.Action), target: target,
		request: v.request, need: n.Context, open: n.Open, derived: &v.derived,
	}
}

// accountOf is the account that owns a resource of IAM; empty: unknown. An
// action without a resource of its own is about the principal's account.
func (v *Evaluation) accountOf(target arn) string {
	switch {
	case target.service != "iam" && target.service != "sts":
		return ""
	case IsAccount(target.account):
		return target.account
	}
	return v.p.Account
}

// decideS3 decides about the account's buckets, about one bucket, or about an
// object.
func (v *Evaluation) decideS3(n *Need) Decision {
	i, known := actionIndex[n.Action]
	if !known {
		return deny("unknown action " + n.Action)
	}
	on := Actions[i].Resource
	switch {
	case n.Action == CreateBucket:
		return v.decideOwn(n, arn{service: "s3", resource: n.BucketName})
	case on == AccountResource || on == OtherResource:
		return v.decideOwn(n, arn{service: "s3", resource: "*"})
	case n.Bucket == nil || n.Bucket.Name == "" || n.Bucket.Owner.IsZero():
		return deny("a need without its bucket")
	// A caller that fills them differently has made a mistake, which must not
	// allow anything.
	case n.BucketName != "" && n.BucketName != n.Bucket.Name:
		return deny("a need that names one bucket and holds another")
	case n.Bucket.Broken != nil && !repairs(v.p, n.Bucket):
		return deny("a setting of the bucket cannot be read: " + n.Bucket.Broken.Error())
	}
	target := arn{service: "s3", resource: n.Bucket.Name}
	if on == ObjectResource {
		target.resource += "/" + n.Key
	}
	r := bucketRequest{env: v.newEnv(n, target), need: n, onObject: on == ObjectResource}
	// After newEnv, which computes the names for this bucket.
	r.identity = v.named
	d := r.decide()
	if d.Allow && n.KMS != nil {
		if denied, ok := v.deniedKey(n); ok {
			return denied
		}
	}
	return d
}

// deniedKey looks for a statement in the principal's own policies that denies
// the need's use of a key.
func (v *Evaluation) deniedKey(n *Need) (Decision, bool) {
	target, ok := parseARN(n.KMS.ARN)
	if !ok {
		return deny("a key whose name is not an ARN"), true
	}
	e := v.newEnv(&Need{Action: n.KMS.Action, Bucket: n.Bucket, Context: n.KMS.Context}, target)
	return v.p.explicitDeny(&e)
}

// repairs reports whether the request replaces an unreadable setting and comes
// from the root of the bucket's owner.
func repairs(p *Principal, b *Bucket) bool {
	return b.Repairing && p.Kind == Root && p.Session == nil && (p.Tenant == b.Owner || p.isOperator())
}

// decideIAM decides about users, roles and their credentials.
func (v *Evaluation) decideIAM(n *Need) Decision {
	p := v.p
	signed := p.Kind == Root || p.Kind == User || p.Kind == Session
	// As on AWS, even an explicit denial does not apply. Source:
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
	if n.Action == "sts:GetCallerIdentity" && signed {
		return allow("everybody may ask who they are")
	}
	target, ok := parseARN(n.Resource)
	if !ok {
		if n.Resource != "" && n.Resource != "*" {
			return deny("a need whose resource is not an ARN")
		}
		target = arn{service: strings.SplitN(n.Action, ":", 2)[0], resource: "*"}
	}
	if n.Trust != nil {
		return v.decideTrust(n, target)
	}
	return v.decideOwn(n, target)
}

// decideOwn decides about resources of the principal's own account, which have
// no policies.
func (v *Evaluation) decideOwn(n *Need, target arn) Decision {
	p := v.p
	if p.Kind == Nobody || p.Kind == Federated || p.Kind == Service {
		return deny(n.Action + " is not for anonymous requests")
	}
	e := v.newEnv(n, target)
	if d, denied := p.explicitDeny(&e); denied {
		return d
	}
	if !n.Owner.IsZero() && n.Owner != p.Tenant && !p.isOperator() {
		return deny("the resource is another account's")
	}
	return p.identitySide(&e)
}

// decideTrust decides whether the principal may assume a role. The role's trust
// policy must allow it. If it names only the account, the account's own
// policies must allow it too.
func (v *Evaluation) decideTrust(n *Need, target arn) Decision {
	p := v.p
	if p.Kind == Nobody || p.Kind == Service || n.Owner.IsZero() {
		return deny("nobody and services cannot assume roles, and a role needs an owner")
	}
	e := v.newEnv(n, target)
	// After newEnv, which computes the names.
	i := v.named
	if s := n.Trust.denied(&e, &i); s != nil {
		return deny(n.Trust.because("denied", s))
	}
	if d, denied := p.explicitDeny(&e); denied {
		return d
	}
	s, how := n.Trust.allowed(&e, &i)
	reason := ""
	if s != nil {
		reason = n.Trust.because("allowed", s)
	}
	same := p.Tenant == n.Owner
	switch {
	case how == noMatch:
		return deny("trust policy " + n.Trust.Name + " does not allow " + n.Action)
	// A token has no policies of its own, so the trust policy decides alone and
	// must name the provider itself.
	case p.Kind == Federated:
		if how == direct {
			return allow(reason)
		}
		return deny("trust policy " + n.Trust.Name + " does not name the identity provider")
	case same && (how == direct || how == byAll):
		return allow(reason)
	case same && how == byRole:
		if d := p.narrowed(&e); !d.Allow {
			return d
		}
		return allow(reason)
	}
	if d := p.identitySide(&e); !d.Allow {
		return d
	}
	return allow(reason)
}

// explicitDeny looks for a statement in the principal's own policies that
// denies.
func (p *Principal) explicitDeny(e *env) (Decision, bool) {
	// A boundary that is nil denies nothing, like every nil Policy.
	for _, list := range [...][]*Policy{p.Identity, {p.Boundary}, p.Session} {
		for _, policy := range list {
			if s := policy.denied(e, &unnamed); s != nil {
				return deny(policy.because("denied", s)), true
			}
		}
	}
	return Decision{}, false
}

// identitySide decides by the principal's own policies alone.
func (p *Principal) identitySide(e *env) Decision {
	reason := "root of the account"
	if p.Kind != Root {
		policy, s := firstAllow(p.Identity, e)
		if s == nil {
			return deny("no policy of the identity allows it")
		}
		reason = policy.because("allowed", s)
	}
	if d := p.narrowed(e); !d.Allow {
		return d
	}
	return allow(reason)
}

// narrowed reports whether the boundary and the session policies allow, if
// there are any.
func (p *Principal) narrowed(e *env) Decision {
	if p.Boundary != nil {
		if s, _ := p.Boundary.allowed(e, &unnamed); s == nil {
			return deny("the boundary " + p.Boundary.Name + " does not allow it")
		}
	}
	if p.Session != nil {
		if _, s := firstAllow(p.Session, e); s == nil {
			return deny("no session policy allows it")
		}
	}
	return allow("")
}

// firstAllow returns the first policy that allows, with its statement.
func firstAllow(policies []*Policy, e *env) (*Policy, *statement) {
	for _, policy := range policies {
		if s, _ := policy.allowed(e, &unnamed); s != nil {
			return policy, s
		}
	}
	return nil, nil
}
