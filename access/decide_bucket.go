package access

// bucketRequest is one need for an existing bucket or an object in it.
type bucketRequest struct {
	env
	need     *Need
	identity identity
	onObject bool
}

// policyActions are always allowed to the root of the bucket's owner, so that
// no policy can lock everybody out, and never to another account.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
var policyActions = map[string]bool{
	"s3:GetBucketPolicy": true, "s3:PutBucketPolicy": true, "s3:DeleteBucketPolicy": true,
}

// uploadActions are about a new object, so that the owner of the present one
// does not matter.
var uploadActions = map[string]bool{
	"s3:PutObject": true, "s3:AbortMultipartUpload": true, "s3:ListMultipartUploadParts": true,
}

// initiatorActions are allowed by default to the initiator of an upload.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
var initiatorActions = map[string]bool{"s3:AbortMultipartUpload": true, "s3:ListMultipartUploadParts": true}

// grant is an allowance by the resource: by the bucket policy or by an ACL.
type grant struct {
	how     grade
	reason  string
	public  bool
	ownOnly bool // see Decision.OwnOnly
}

func (g grant) allow() Decision {
	return Decision{Allow: true, Reason: g.reason, Public: g.public, OwnOnly: g.ownOnly}
}

// decide applies the rules in AWS's order: the owner's root, denials, the
// initiator, and then the rules within or between accounts.
func (r *bucketRequest) decide() Decision {
	p, b := r.p, r.need.Bucket
	owner := r.ownAccount()
	if owner && p.Kind == Root && p.Session == nil && policyActions[r.need.Action] {
		return allow("root of the bucket's owner, whatever its policy says")
	}
	if s := b.Policy.denied(&r.env, &r.identity); s != nil {
		d := deny(b.Policy.because("denied", s))
		d.Explicit = true
		return d
	}
	if d, denied := p.explicitDeny(&r.env); denied {
		return d
	}
	if p.Kind == Federated {
		return deny("a token of an identity provider can be used with sts only")
	}
	if r.need.Began && initiatorActions[r.need.Action] && p.Kind != Nobody && p.narrowed(&r.env).Allow {
		return allow("began the upload")
	}
	if owner {
		return r.withinAccount()
	}
	return r.fromOutside()
}

// ownAccount reports whether the principal belongs to the account that owns the
// bucket.
func (r *bucketRequest) ownAccount() bool {
	switch r.p.Kind {
	case Root, User, Session:
		return r.p.Tenant == r.need.Bucket.Owner || r.p.isOperator()
	}
	return false
}

// withinAccount decides for a principal of the bucket owner's account.
func (r *bucketRequest) withinAccount() Decision {
	p := r.p
	if r.foreign() && objectPermission[r.need.Action] != "" {
		return r.onlyByACL()
	}
	g := r.byPolicy()
	// A grant to a group counts like a policy for everybody. A grant to the
	// account adds nothing: its own policies decide for its users.
	if g.how < byAll {
		if a := r.byACL().group; a.how != noMatch && !(g.how == byRole && p.narrowed(&r.env).Allow) {
			g = a
		}
	}
	switch {
	// Root needs no allowance: identitySide allows it what its session policies
	// do.
	case p.Kind == Root:
	case g.how == direct || g.how == byAll:
		d := allow(g.reason)
		// The bound is that of the ACL. Policies of the identity have none.
		d.OwnOnly = g.ownOnly && !p.identitySide(&r.env).Allow
		return d
	case g.how == byRole:
		if d := p.narrowed(&r.env); d.Allow {
			return allow(g.reason)
		}
	}
	d := p.identitySide(&r.env)
	if d.Allow && p.Kind == Root {
		d.Reason = "root of the bucket's owner"
	}
	return d
}

// fromOutside decides for anonymous requests and other accounts.
func (r *bucketRequest) fromOutside() Decision {
	b := r.need.Bucket
	if policyActions[r.need.Action] {
		d := deny("the policy of a bucket is reserved to its owner's account")
		d.OwnerOnly = r.byPolicy().how > noMatch
		return d
	}
	if b.Block.RestrictPublicBuckets && b.Policy.Public() && r.p.Kind != Service {
		return deny("the bucket's policy is public, and RestrictPublicBuckets excludes other accounts")
	}
	g := r.byPolicy()
	// A narrower grant by an ACL is preferred to one for everybody, because it
	// does not count as public.
	if g.how == noMatch || g.public {
		if a := r.byACL().any(); a.how > noMatch && (g.how == noMatch || !a.public) {
			// If the policy allows too, there is no such bound.
			a.ownOnly = a.ownOnly && g.how == noMatch
			g = a
		}
	}
	if g.how == noMatch {
		return deny("neither the bucket's policy nor an ACL allows " + r.need.Action)
	}
	if r.p.Kind != Nobody && r.p.Kind != Service {
		if d := r.p.identitySide(&r.env); !d.Allow {
			return d
		}
	}
	return g.allow()
}

// foreign reports whether another account than the bucket's owns the object.
// Then the bucket's policy can deny but not allow, and the bucket's owner can
// read the object only by its ACL.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
func (r *bucketRequest) foreign() bool {
	n := r.need
	return r.onObject && n.Object != nil && n.Bucket.Ownership.ACLsEnabled() &&
		n.Object.Owner != n.Bucket.Owner && !uploadActions[n.Action]
}

// onlyByACL decides about a foreign object.
func (r *bucketRequest) onlyByACL() Decision {
	g := r.byACL().any()
	if g.how == noMatch {
		return deny("the object is another account's, and its ACL does not allow " + r.need.Action)
	}
	if d := r.p.identitySide(&r.env); !d.Allow {
		return d
	}
	return allow(g.reason)
}

// byPolicy returns the allowance of the bucket's policy. To anonymous requests
// it counts only if it is for everybody.
func (r *bucketRequest) byPolicy() grant {
	policy := r.need.Bucket.Policy
	if r.foreign() {
		return grant{}
	}
	s, how := policy.allowed(&r.env, &r.identity)
	if s == nil {
		return grant{}
	}
	if r.p.Kind == Nobody && how != byAll {
		return grant{}
	}
	return grant{how: how, reason: policy.because("allowed", s), public: s.public}
}
