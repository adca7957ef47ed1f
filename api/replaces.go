package api

import (
	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
)

// mayReplace checks, before the body is read, that a request allowed by the
// bucket's ACL alone does not replace another owner's object. The commit checks
// again: see replacesBy.
func (r *Request) mayReplace(d access.Decision, needs []access.Need) error {
	if !d.OwnOnly || r.Target.Key == "" {
		return nil
	}
	for _, n := range needs {
		if n.Action != "s3:PutObject" || !r.decide(n).OwnOnly {
			continue
		}
		if err := r.server.engine.MayReplace(r.Context(), r.Bucket, n.Key, r.Owner()); err != nil {
			return err
		}
	}
	return nil
}

// replaces returns the owner whose objects the decided action may replace, for
// the engine; nil: anybody's. After a denial, which the handler would have met
// before, it is nobody's but the sender's.
func (r *Request) replaces(d access.Decision) *meta.ID {
	if d.Allow && !d.OwnOnly {
		return nil
	}
	owner := r.Owner()
	return &owner
}

// replacesBy decides an allowed action once more for the objects that it may
// replace. It does so only where ACLs are in effect.
func (r *Request) replacesBy(action string, o *object) *meta.ID {
	f := r.bucketFacts(r.Bucket)
	if f == nil || !f.Ownership.ACLsEnabled() {
		return nil
	}
	return r.replaces(r.decide(r.needOn(action, o)))
}
