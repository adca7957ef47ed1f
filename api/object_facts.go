package api

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// object is what needs are about: the request's target, the source of a copy, or a key
// of a document.
type object struct {
	bucket  meta.Bucket
	key     string
	version said[meta.VersionRef]
	// found is what was there when somebody first had to know, on which the decision and
	// the answer rest both; nil: nobody had to.
	found *engine.Found
	// context are values of condition keys that the request has for this object alone;
	// open are those that it does not know yet.
	context access.Context
	open    map[string]bool
}

// look finds what the object's key, or the version that is named, holds. It does so once.
func (r *Request) look(o *object) (*engine.Found, error) {
	if o.found == nil {
		f, err := r.server.engine.Look(r.Context(), o.bucket, o.key, o.version.value)
		if err != nil {
			return nil, err
		}
		o.found = f
	}
	return o.found, nil
}

// marksOf are the marks of an object, of what look finds.
func (r *Request) marksOf(o *object) (engine.Object, error) {
	f, err := r.look(o)
	if err != nil {
		return engine.Object{}, err
	}
	return r.server.engine.MarksOf(r.Context(), engine.Subject{Bucket: o.bucket, Key: o.key, Version: o.version.value, Found: f})
}

// target is the request's target as the engine takes it: what was decided on, or any
// other about which it is decided again.
func (r *Request) target(version meta.VersionRef) engine.Subject {
	return engine.Subject{Bucket: r.Bucket, Key: r.Target.Key, Version: version, Found: r.object.found, Permit: r.permitTarget}
}

func (r *Request) permitTarget(f *engine.Found) error {
	r.object.found = f
	return r.authorizeAgain()
}

// judged is what of the target was decided about, for the engine to hold to; nil: it did
// not matter what there is.
func (r *Request) judged() *engine.Judged {
	if r.object.found == nil {
		return nil
	}
	return &engine.Judged{Found: r.object.found, Permit: r.permitTarget}
}

// isAbsent reports whether an object has no marks because there is none.
func isAbsent(err error) bool {
	return errors.Is(err, s3err.NoSuchKey) || errors.Is(err, s3err.NoSuchVersion) || errors.Is(err, s3err.MethodNotAllowed)
}

// need is a need on the target's own bucket and key.
func (r *Request) need(action string) access.Need { return r.needOn(action, &r.object) }

// needVersion is a need on an object, or the other one where a version of it is named.
func (r *Request) needVersion(action, ofVersion string, o *object) access.Need {
	if o.version.given {
		action = ofVersion
	}
	return r.needOn(action, o)
}

// bucketNeed is a need on the target's bucket itself, whatever the scope.
func (r *Request) bucketNeed(action string) access.Need {
	return r.needOn(action, &object{bucket: r.Bucket})
}

// needOn is a need on an object, with what access is to know of it: the version that is
// named, and, where they may decide, its ACL and its tags.
func (r *Request) needOn(action string, o *object) access.Need {
	n := access.Need{Action: action, Bucket: r.bucketFacts(o.bucket), BucketName: cmp.Or(o.bucket.Name, r.Target.Bucket), Key: o.key, Open: o.open}
	if n.Open == nil {
		n.Open = r.open
	}
	if !r.hasPolicies() && (n.Bucket == nil || !n.Bucket.Ownership.ACLsEnabled()) {
		return n
	}
	n.Context = o.context
	if o.version.known() {
		n.Context = with(n.Context, "s3:versionid", o.version.value.String())
	}
	n = r.withMarks(n, o)
	key, err := r.keyUse(action, o)
	if err != nil && n.Bucket != nil {
		n.Bucket = broken(n.Bucket, err)
	}
	n.KMS = key
	return n
}

// broken is a bucket in which nothing is allowed, because what decides about an object
// cannot be read.
func broken(f *access.Bucket, err error) *access.Bucket {
	b := *f
	b.Broken = fmt.Errorf("the object's access cannot be read: %w", err)
	return &b
}

// with is a copy of a context with one more value.
func with(c access.Context, key string, values ...string) access.Context {
	more := make(access.Context, len(c)+1)
	for k, v := range c {
		more[k] = v
	}
	more[key] = values
	return more
}

// aboutExisting reports actions on an object that is there, which its ACL and its
// tags may decide.
func aboutExisting(action string) bool {
	name := strings.TrimPrefix(action, "s3:")
	return strings.HasPrefix(name, "GetObject") || strings.HasPrefix(name, "DeleteObject") ||
		strings.HasPrefix(name, "PutObject") && name != "PutObject" || name == "RestoreObject"
}

// withMarks adds to a need what the object's marks say, where that may decide: its ACL
// where ACLs count, its tags where a policy asks for them.
func (r *Request) withMarks(n access.Need, o *object) access.Need {
	f := n.Bucket
	if n.Key == "" || f == nil || f.Broken != nil || !aboutExisting(n.Action) {
		return n
	}
	if !f.Ownership.ACLsEnabled() && !r.asksObjectTags(f) {
		return n
	}
	was, err := r.marksOf(o)
	if isAbsent(err) {
		return n
	}
	var acl *access.ACL
	if err == nil {
		acl, err = storedACL(was)
	}
	if err != nil {
		n.Bucket = broken(f, err)
		return n
	}
	n.Object = &access.Object{Owner: access.ID(was.Owner), ACL: acl}
	if len(was.Marks.Tags) > 0 {
		c := access.Context{}
		for _, t := range was.Marks.Tags {
			c.AddTag("s3:ExistingObjectTag/", t.Name, t.Value)
		}
		for k, v := range n.Context {
			c[k] = v
		}
		n.Context = c
	}
	return n
}

// asksObjectTags reports whether any policy that takes part asks for the tags of
// an object.
func (r *Request) asksObjectTags(f *access.Bucket) bool {
	p := &r.Principal
	for _, list := range [][]*access.Policy{p.Identity, p.Session, {p.Boundary, f.Policy}} {
		for _, policy := range list {
			if policy.AsksObjectTags() {
				return true
			}
		}
	}
	return false
}
