package access

// ACL is an access control list of a bucket or object.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
type ACL struct {
	Owner  ID // the tenant
	Grants []Grant
}

// Grant gives a grantee a permission.
type Grant struct {
	Grantee    Grantee
	Permission Permission
}

// Grantee is a tenant or one of the predefined groups: exactly one is set.
type Grantee struct {
	ID    ID
	Group string
}

// The predefined groups.
const (
	AllUsers           = "http://acs.amazonaws.com/groups/global/AllUsers"
	AuthenticatedUsers = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	LogDelivery        = "http://acs.amazonaws.com/groups/s3/LogDelivery"
)

// Permission is what a grant gives, as ACL documents spell it.
type Permission string

const (
	Read        Permission = "READ"
	Write       Permission = "WRITE"
	ReadACP     Permission = "READ_ACP"
	WriteACP    Permission = "WRITE_ACP"
	FullControl Permission = "FULL_CONTROL"
)

// MaxGrants is the most grants that an ACL holds.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
const MaxGrants = 100
