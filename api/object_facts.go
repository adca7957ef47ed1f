package api

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// aboutExisting reports actions on an object that is there, which its ACL and its
// tags may decide.
func aboutExisting(action string) bool {
	name := strings.TrimPrefix(action, "s3:")
	return strings.HasPrefix(name, "GetObject") || strings.HasPrefix(name, "DeleteObject") ||
		strings.HasPrefix(name, "PutObject") && name != "PutObject" || name == "RestoreObject"
}

// withObject adds to a need what access is to know of the object, where that may
// decide: its ACL where ACLs count, its tags where a policy asks for them.
func (r *Request) withObject(n access.Need, b meta.Bucket, ref meta.VersionRef) access.Need {
	f := n.Bucket
	if n.Key == "" || f == nil || f.Broken != nil || !aboutExisting(n.Action) {
		return n
	}
	if !f.Ownership.ACLsEnabled() && !r.asksObjectTags(f) {
		return n
	}
	o, err := r.server.engine.MarksOf(r.Context(), b, n.Key, ref)
	if errors.Is(err, s3err.NoSuchKey) || errors.Is(err, s3err.NoSuchVersion) || errors.Is(err, s3err.MethodNotAllowed) {
		return n
	}
	var acl *access.ACL
	if err == nil {
		acl, err = storedACL(o)
	}
	if err != nil {
		broken := *f
		broken.Broken = fmt.Errorf("the object's access cannot be read: %w", err)
		n.Bucket = &broken
		return n
	}
	n.Object = &access.Object{Owner: access.ID(o.Owner), ACL: acl}
	n.Context = access.Context{}
	for _, t := range o.Marks.Tags {
		n.Context["s3:existingobjecttag/"+t.Name] = []string{t.Value}
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

// versionAsked is the version that the request's target names; zero: the current
// one. What cannot be read is left to the operation, which refuses it.
func (r *Request) versionAsked() meta.VersionRef {
	ref, err := engine.ParseVersion(r.QueryValue("versionId"))
	if err != nil {
		return meta.VersionRef{}
	}
	return ref
}
