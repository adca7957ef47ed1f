package access

import (
	"slices"

	"github.com/sanctum-storage/gateway/s3err"
)

// CannedACL returns the ACL that x-amz-acl names. owner owns the bucket or
// object that gets it. bucketOwner owns the object's bucket, and is zero for
// the ACL of a bucket. An unknown name is an InvalidArgument.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
func CannedACL(name string, owner, bucketOwner ID) (*ACL, error) {
	a := &ACL{Owner: owner, Grants: []Grant{{Grantee{ID: owner}, FullControl}}}
	add := func(g Grantee, permissions ...Permission) {
		for _, p := range permissions {
			a.Grants = append(a.Grants, Grant{g, p})
		}
	}
	switch name {
	case "private", "aws-exec-read": // aws-exec-read grants to Amazon EC2, which does not exist here
	case "public-read":
		add(Grantee{Group: AllUsers}, Read)
	case "public-read-write":
		add(Grantee{Group: AllUsers}, Read, Write)
	case "authenticated-read":
		add(Grantee{Group: AuthenticatedUsers}, Read)
	case "log-delivery-write":
		add(Grantee{Group: LogDelivery}, Write, ReadACP)
	case "bucket-owner-read":
		if bucketOwner != owner && !bucketOwner.IsZero() {
			add(Grantee{ID: bucketOwner}, Read)
		}
	case "bucket-owner-full-control":
		if bucketOwner != owner && !bucketOwner.IsZero() {
			add(Grantee{ID: bucketOwner}, FullControl)
		}
	default:
		return nil, s3err.New(s3err.InvalidArgument, "").With("ArgumentName", "x-amz-acl").With("ArgumentValue", name)
	}
	return a, nil
}

// cannedNames are the names of canned ACLs of which no two mean the same.
var cannedNames = []string{
	"private", "public-read", "public-read-write", "authenticated-read", "log-delivery-write", "bucket-owner-read", "bucket-owner-full-control",
}

// CannedName is the canned ACL that gives the same, to an object in a bucket of
// bucketOwner; empty when there is none.
func (a *ACL) CannedName(bucketOwner ID) string {
	for _, name := range cannedNames {
		if c, err := CannedACL(name, a.Owner, bucketOwner); err == nil && slices.Equal(c.Grants, a.Grants) {
			return name
		}
	}
	return ""
}
