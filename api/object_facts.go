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

// object is the subject of a need: the request's target, the source of a copy,
// or a key of a document.
type object struct {
	bucket  meta.Bucket
	key     string
	version said[meta.VersionRef]
	// found is the state of the object when it was first looked at; nil: not
	// yet. The decision and the answer both rest on it, so that they cannot
	// disagree.
	found *engine.Found
	// context holds condition keys for this object alone; open are the keys
	// whose values are not known yet.
	context access.Context
	open    map[string]bool
}

// look returns what the object's key, or its named version, holds. It asks the
// engine once.
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

// marksOf returns the marks of the object that look found.
func (r *Request) marksOf(o *object) (engine.Object, error) {
	f, err := r.look(o)
	if err != nil {
		return engine.Object{}, err
	}
	return r.server.engine.MarksOf(r.Context(), engine.Subject{Bucket: o.bucket, Key: o.key, Version: o.version.value, Found: f})
}

// target names the request's target for the engine. If the engine finds another
// object than the one decided on, it asks permitTarget.
func (r *Request) target(version meta.VersionRef) engine.Subject {
	return engine.Subject{Bucket: r.Bucket, Key: r.Target.Key, Version: version, Found: r.object.found, Permit: r.permitTarget}
}

// permitTarget decides again, for the object that the engine found.
func (r *Request) permitTarget(f *engine.Found) error {
	r.object.found = f
	return r.authorizeAgain()
}

// judged gives the engine the object that the decision rests on; nil: the
// decision does not depend on one.
func (r *Request) judged() *engine.Judged {
	if r.object.found == nil {
		return nil
	}
	return &engine.Judged{Found: r.object.found, Permit: r.permitTarget}
}

// isAbsent reports whether there are no marks because there is no object, or
// only a delete marker.
func isAbsent(err error) bool {
	return errors.Is(err, s3err.NoSuchKey) || errors.Is(err, s3err.NoSuchVersion) || errors.Is(err, s3err.MethodNotAllowed)
}

// need is a need for the target's own bucket and key.
func (r *Request) need(action string) access.Need { return r.needOn(action, &r.object) }

// needVersion is a need for action on an object, or for ofVersion where the
// request names a version.
func (r *Request) needVersion(action, ofVersion string, o *object) access.Need {
	if o.version.given {
		action = ofVersion
	}
	return r.needOn(action, o)
}

// bucketNeed is a need for the target's bucket itself, whatever the scope.
func (r *Request) bucketNeed(action string) access.Need {
	return r.needOn(action, &object{bucket: r.Bucket})
}

// needOn is a need for an object with the facts that may decide it: the named
// version, its ACL and its tags. They are read only where a policy or an ACL
// can ask.
func (r *Request) needOn(action string, o *object) access.Need {
	n := access.Need{
		Action: action, Bucket: r.bucketFacts(o.bucket),
		BucketName: cmp.Or(o.bucket.Name, r.Target.Bucket), // CreateBucket has no bucket yet, only its name
		Key:        o.key, Open: o.open,
	}
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
	n = r.withUpload(r.withMarks(n, o), o)
	key, err := r.keyUse(action, o)
	if err != nil && n.Bucket != nil {
		n.Bucket = broken(n.Bucket, err)
	}
	n.KMS = key
	return n
}

// broken is a copy of f in which nothing is allowed: facts about an object that
// may decide are unreadable.
func broken(f *access.Bucket, err error) *access.Bucket {
	b := *f
	b.Broken = fmt.Errorf("the object's access cannot be read: %w", err)
	return &b
}

// with returns a copy of c with one more key.
func with(c access.Context, key string, values ...string) access.Context {
	more := make(access.Context, len(c)+1)
	for k, v := range c {
		more[k] = v
	}
	more[key] = values
	return more
}

// aboutExisting reports whether an action is on an existing object, whose ACL
// and tags may decide it.
func aboutExisting(action string) bool {
	name := strings.TrimPrefix(action, "s3:")
	return strings.HasPrefix(name, "GetObject") || strings.HasPrefix(name, "DeleteObject") ||
		strings.HasPrefix(name, "PutObject") && name != "PutObject" || name == "RestoreObject"
}

// withMarks adds the object's owner, ACL and tags to a need, where ACLs are in
// effect or a policy asks for tags. Unreadable marks deny.
func (r *Request) withMarks(n access.Need, o *object) access.Need {
	f := n.Bucket
	if n.Key == "" || f == nil || f.Broken != nil || !aboutExisting(n.Action) {
		return n
	}
	if !f.Ownership.ACLsEnabled() && !r.asks(f, (*access.Policy).AsksObjectTags) {
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

// asks reports whether any policy that takes part asks for something, such as an
// object's tags.
func (r *Request) asks(f *access.Bucket, asks func(*access.Policy) bool) bool {
	p := &r.Principal
	for _, list := range [][]*access.Policy{p.Identity, p.Session, {p.Boundary, f.Policy}} {
		for _, policy := range list {
			if asks(policy) {
				return true
			}
		}
	}
	return false
}
