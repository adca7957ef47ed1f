package access

import "github.com/sanctum-storage/gateway/s3err"

// Policy is a policy document, compiled. It is immutable.
type Policy struct {
	// Name is for reasons: the bucket's, or the ARN or name of an attached policy.
	Name string
}

// ParseBucketPolicy reads the policy of a bucket.
func ParseBucketPolicy(name, bucket string, doc []byte) (*Policy, error) {
	return nil, s3err.NotImplemented
}

// ParseIdentityPolicy reads a policy of a user, group or role, a boundary, or a
// session policy.
func ParseIdentityPolicy(name string, doc []byte) (*Policy, error) {
	return nil, s3err.NotImplemented
}

// ParseTrustPolicy reads the policy that says who may assume a role.
func ParseTrustPolicy(name string, doc []byte) (*Policy, error) {
	return nil, s3err.NotImplemented
}

// Public reports whether the policy is public as AWS means it.
func (p *Policy) Public() bool { return true }

// Principals are the ARNs, account numbers and canonical ids that the policy names.
func (p *Policy) Principals() []string { return nil }
