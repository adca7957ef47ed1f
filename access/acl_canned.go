package access

import "github.com/sanctum-storage/gateway/s3err"

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
