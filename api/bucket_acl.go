package api

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/s3err"
)

// getBucketACL shows a bucket's ACL. While ACLs are disabled it shows that of a
// private bucket, not the stored one.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html
func getBucketACL(s *Server, r *Request) (*Reply, error) {
	f := r.bucketFacts(r.Bucket)
	if f.Broken != nil {
		return nil, f.Broken
	}
	a := f.ACL
	if !f.Ownership.ACLsEnabled() {
		a = nil
	}
	return s.showACL(r.Context(), a, r.Bucket.Owner)
}

// putBucketACL replaces a bucket's ACL. The ACL is checked with the settings at
// the time of the change, not those at the decision.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html
func putBucketACL(s *Server, r *Request) (*Reply, error) {
	if f := r.bucketFacts(r.Bucket); f.Broken == nil && !f.Ownership.ACLsEnabled() {
		return nil, r.noACLs()
	}
	a, err := r.requestedACL(r.Bucket.Owner, r.Bucket.Owner)
	if err != nil {
		return nil, err
	}
	err = s.engine.Buckets().UpdateSetting(r.Context(), r.Bucket, settingACL, func(now *buckets.Settings) ([]byte, error) {
		f := &access.Bucket{Owner: access.ID(r.Bucket.Owner)}
		broken := s.readAccess(f, now)
		if slices.Contains(broken, settingOwnership) || slices.Contains(broken, settingPublicAccessBlock) {
			return nil, errors.New("the bucket's ownership controls or public access block cannot be read")
		}
		// Where ACLs are disabled, a private ACL may still replace an
		// unreadable one.
		if !f.Ownership.ACLsEnabled() && !slices.Contains(broken, settingACL) {
			return nil, s3err.AccessControlListNotSupported
		}
		if err := r.admitACL(a, f); err != nil {
			return nil, err
		}
		return json.Marshal(a)
	})
	return &Reply{}, err
}

// newBucketAccess are the access settings that a bucket is created with.
type newBucketAccess struct {
	ownership access.Ownership
	acl       *access.ACL
}

// readNewBucketAccess reads the access settings of a CreateBucket. An ACL that
// gives something to others needs an ownership with ACLs in effect.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func (s *Server) readNewBucketAccess(r *Request) (n newBucketAccess, err error) {
	if n.ownership, err = r.asked.ownership.get(); err != nil {
		return n, err
	}
	if !r.asked.ownership.given {
		n.ownership = s.ownership
	}
	if n.acl, err = r.headerACL(r.Owner(), r.Owner()); err != nil || n.acl == nil {
		return n, err
	}
	if !sharedACL(n.acl, access.ID(r.Owner())) {
		n.acl = nil
		return n, nil
	}
	if !n.ownership.ACLsEnabled() {
		return n, s3err.InvalidBucketACLWithObjectOwnership
	}
	if s.blockPublicAccess && n.acl.Public() {
		return n, s3err.New(s3err.AccessDenied,
			"Public ACLs are blocked by the BlockPublicAcls setting in the block public access settings.")
	}
	return n, nil
}

// store saves the settings of a bucket that was just created. Until it is done,
// the bucket is private.
func (n newBucketAccess) store(s *Server, r *Request) error {
	if n.ownership != "" {
		if err := s.engine.Buckets().SetSetting(r.Context(), r.Bucket, settingOwnership, []byte(n.ownership)); err != nil {
			return err
		}
	}
	if n.acl == nil {
		return nil
	}
	doc, err := json.Marshal(n.acl)
	if err != nil {
		return err
	}
	// The first setting has changed the bucket's revision.
	b, err := s.engine.Buckets().Get(r.Context(), r.Bucket.Name)
	if err != nil {
		return err
	}
	return s.engine.Buckets().SetSetting(r.Context(), b, settingACL, doc)
}
