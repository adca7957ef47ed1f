package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// parseOwnership parses an Object Ownership setting.
func parseOwnership(name string) (access.Ownership, error) {
	switch o := access.Ownership(name); o {
	case access.BucketOwnerEnforced, access.BucketOwnerPreferred, access.ObjectWriter:
		return o, nil
	}
	return "", s3err.MalformedXML
}

// noControls is stored for a bucket whose ownership controls were deleted. An
// absent setting would mean the default of a new bucket.
const noControls = "none"

// ownership returns the Object Ownership in effect, and whether clients are
// shown it. A new bucket has ACLs disabled. After its controls were deleted,
// ACLs are in effect again.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
func ownership(settings *buckets.Settings) (o access.Ownership, shown bool, err error) {
	doc, ok := settings.Document(settingOwnership)
	switch {
	case !ok:
		return access.BucketOwnerEnforced, true, nil
	case string(doc) == noControls:
		return access.ObjectWriter, false, nil
	}
	if o, err = parseOwnership(string(doc)); err != nil {
		err = fmt.Errorf("the bucket's ownership controls are %q", doc)
	}
	return o, true, err
}

// SetOwnership stores the Object Ownership of a bucket that was just created,
// but not by a request: see Config.
func SetOwnership(ctx context.Context, e *engine.Engine, b meta.Bucket, o access.Ownership) error {
	if o == "" || o == access.BucketOwnerEnforced {
		return nil
	}
	return e.Buckets().SetSetting(ctx, b, settingOwnership, []byte(o))
}

// putBucketOwnershipControls enables or disables ACLs. To disable them, the
// bucket's ACL must give nothing to others.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html
func putBucketOwnershipControls(s *Server, r *Request) (*Reply, error) {
	to, err := r.asked.ownership.get()
	if err != nil {
		return nil, err
	}
	err = s.engine.Buckets().UpdateSetting(r.Context(), r.Bucket, settingOwnership, func(now *buckets.Settings) ([]byte, error) {
		if to != access.BucketOwnerEnforced {
			return []byte(to), nil
		}
		acl, _, err := buckets.Parsed(now, settingACL, parseACL)
		if err == nil && sharedACL(acl, access.ID(r.Bucket.Owner)) {
			err = s3err.InvalidBucketACLWithObjectOwnership
		}
		return []byte(to), err
	})
	if err != nil {
		return nil, err
	}
	return &Reply{}, nil
}

// ownershipDocument reads an OwnershipControls document.
var ownershipDocument = documentFacts{
	keys: openKeys("s3:x-amz-object-ownership"),
	read: func(r *Request) { r.asked.ownership = saying(parseOwnershipControls(r.XML)) },
}

// parseOwnershipControls parses an OwnershipControls document, which has one
// rule.
func parseOwnershipControls(document []byte) (access.Ownership, error) {
	var d struct {
		Rule []struct {
			ObjectOwnership string `xml:"ObjectOwnership"`
		} `xml:"Rule" max:"1"`
	}
	if err := decodeXML(document, "OwnershipControls", &d); err != nil {
		return "", err
	}
	if len(d.Rule) != 1 {
		return "", s3err.MalformedXML
	}
	return parseOwnership(d.Rule[0].ObjectOwnership)
}

// parseOwnershipHeader parses the setting of a bucket that is being created.
func parseOwnershipHeader(value string) (access.Ownership, error) {
	o, err := parseOwnership(value)
	if err != nil {
		err = s3err.New(s3err.InvalidArgument, "Invalid x-amz-object-ownership header: %s", value)
	}
	return o, err
}

// sharedACL reports whether an ACL gives anything to others than the owner.
func sharedACL(a *access.ACL, owner access.ID) bool {
	if a == nil {
		return false
	}
	for _, g := range a.Grants {
		// A group has no id and counts as another.
		if g.Grantee.ID != owner {
			return true
		}
	}
	return false
}

// ownershipControls is the answer to GetBucketOwnershipControls.
type ownershipControls access.Ownership

// getBucketOwnershipControls shows the controls, the default of a new bucket
// included.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html
func getBucketOwnershipControls(s *Server, r *Request) (*Reply, error) {
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	o, shown, err := ownership(settings)
	if err != nil {
		return nil, err
	}
	if !shown {
		return nil, s3err.New(s3err.OwnershipControlsNotFound, "").With("BucketName", r.Bucket.Name)
	}
	return &Reply{XML: ownershipControls(o)}, nil
}

// AppendXML writes OwnershipControls.
func (o ownershipControls) AppendXML(b []byte) []byte {
	b = openTag(openRoot(b, "OwnershipControls"), "Rule")
	b = appendElement(b, "ObjectOwnership", string(o))
	return closeTag(closeTag(b, "Rule"), "OwnershipControls")
}

// deleteBucketOwnershipControls brings ACLs back into effect, as on S3.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketOwnershipControls.html
func deleteBucketOwnershipControls(s *Server, r *Request) (*Reply, error) {
	if err := s.engine.Buckets().SetSetting(r.Context(), r.Bucket, settingOwnership, []byte(noControls)); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}
