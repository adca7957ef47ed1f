package api

import (
	"encoding/json"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
)

// getObjectACL shows a version's ACL. Where ACLs are disabled it shows the
// bucket's owner as the owner of everything.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html
func getObjectACL(s *Server, r *Request) (*Reply, error) {
	version, err := r.version()
	if err != nil {
		return nil, err
	}
	o, err := s.engine.MarksOf(r.Context(), r.target(version))
	if err != nil {
		return nil, err
	}
	owner := o.Owner
	var a *access.ACL
	if f := r.bucketFacts(r.Bucket); !f.Ownership.ACLsEnabled() {
		owner = r.Bucket.Owner
	} else if a, err = storedACL(o); err != nil {
		return nil, err
	}
	reply, err := s.showACL(r.Context(), a, owner)
	if err != nil {
		return nil, err
	}
	reply.Header = versionHeader(o.Version)
	return reply, nil
}

// putObjectACL replaces a version's ACL.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html
func putObjectACL(s *Server, r *Request) (*Reply, error) {
	f := r.bucketFacts(r.Bucket)
	enabled := f.Ownership.ACLsEnabled()
	if !enabled {
		// After a copy, s3cmd writes back the ACL that it read. That is
		// allowed, because it changes nothing.
		if a, err := r.requestedACL(r.Bucket.Owner, r.Bucket.Owner); err != nil || r.hasACLHeaders() || sharedACL(a, f.Owner) {
			return nil, r.noACLs()
		}
	}
	version, err := r.version()
	if err != nil {
		return nil, err
	}
	if !enabled {
		o, err := s.engine.MarksOf(r.Context(), r.target(version))
		if err != nil {
			return nil, err
		}
		return &Reply{Header: versionHeader(o.Version)}, nil
	}
	// The owner is known only now, from the version that is changed.
	o, err := s.engine.ChangeMarks(r.Context(), r.target(version), func(m *engine.Marks) error {
		a, err := r.requestedACL(r.object.found.Owner(), r.Bucket.Owner)
		if err != nil {
			return err
		}
		if err := r.admitACL(a, f); err != nil {
			return err
		}
		m.ACL, err = json.Marshal(a)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Reply{Header: versionHeader(o.Version)}, nil
}

// storedACL returns an object's ACL; nil: private.
func storedACL(o engine.Object) (*access.ACL, error) {
	if len(o.Marks.ACL) == 0 {
		return nil, nil
	}
	return parseACL(o.Marks.ACL)
}
