package api

import (
	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
)

// mayReplace looks, where a request may write by the bucket's ACL alone, whether it
// would take the place of an object that is another's, before its body is read. The
// commit looks again: see replacesBy.
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

// replaces is whose objects alone what was decided may take the place of, for the
// engine; nil: anybody's. A denial, which another handler would have met before, is
// nobody's.
func (r *Request) replaces(d access.Decision) *meta.ID {
	if d.Allow && !d.OwnOnly {
		return nil
	}
	owner := r.Owner()
	return &owner
}

// replacesBy decides an action that is allowed on an object of the target's bucket once
// more, where ACLs count, for what it may take the place of.
func (r *Request) replacesBy(action string, o *object) *meta.ID {
	f := r.bucketFacts(r.Bucket)
	if f == nil || !f.Ownership.ACLsEnabled() {
		return nil
	}
	return r.replaces(r.decide(r.needOn(action, o)))
}
