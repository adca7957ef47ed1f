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

// Grantee is a tenant or one of the predefined groups: exactly one field is
// set.
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

// LoggingService delivers server access logs and is the member of LogDelivery.
// InventoryService delivers inventories.
const (
	LoggingService   = "logging.s3.amazonaws.com"
	InventoryService = "s3.amazonaws.com"
)

// Permission is the right that a grant gives, as ACL documents spell it.
type Permission string

const (
	Read        Permission = "READ"
	Write       Permission = "WRITE"
	ReadACP     Permission = "READ_ACP"
	WriteACP    Permission = "WRITE_ACP"
	FullControl Permission = "FULL_CONTROL"
)

// MaxGrants is the largest number of grants in an ACL.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
const MaxGrants = 100

// Public reports whether the ACL grants anything to everybody, or to everybody
// with an account.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
func (a *ACL) Public() bool {
	if a == nil {
		return false
	}
	for _, g := range a.Grants {
		if g.Grantee.public() {
			return true
		}
	}
	return false
}

func (g Grantee) public() bool { return g.Group == AllUsers || g.Group == AuthenticatedUsers }

// bucketPermission and objectPermission are the permissions that an ACL must
// grant for an action. Source: "Mapping of ACL permissions and access policy
// permissions",
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#acl-access-policy-permission-mapping
var bucketPermission = map[string]Permission{
	"s3:ListBucket":                 Read,
	"s3:ListBucketVersions":         Read,
	"s3:ListBucketMultipartUploads": Read,
	"s3:PutObject":                  Write,
	"s3:DeleteObject":               Write,
	"s3:DeleteObjectVersion":        Write,
	"s3:GetBucketAcl":               ReadACP,
	"s3:PutBucketAcl":               WriteACP,
}

// An action is in at most one of the two maps.
var objectPermission = map[string]Permission{
	"s3:GetObject":                  Read,
	"s3:GetObjectVersion":           Read,
	"s3:GetObjectTorrent":           Read,
	"s3:GetObjectVersionTorrent":    Read,
	"s3:GetObjectAttributes":        Read,
	"s3:GetObjectVersionAttributes": Read,
	"s3:GetObjectAcl":               ReadACP,
	"s3:GetObjectVersionAcl":        ReadACP,
	"s3:PutObjectAcl":               WriteACP,
	"s3:PutObjectVersionAcl":        WriteACP,
}

// aclGrants are the grants of an ACL to a principal: as an account, which the
// account's own policies pass on to its users, and as a member of a group,
// which reaches everybody in it.
type aclGrants struct{ account, group grant }

// any returns the grant to the account, or else the one to a group. The
// narrower one comes first, because it does not count as public.
func (g aclGrants) any() grant {
	if g.account.how != noMatch {
		return g.account
	}
	return g.group
}

// byACL returns the grants of the bucket's or object's ACL. The initiator of an
// upload comes before ObjectOwnership, which does not take this right away.
func (r *bucketRequest) byACL() aclGrants {
	n, b := r.need, r.need.Bucket
	if r.startedUpload() {
		return aclGrants{account: grant{how: byAccount, reason: "began the upload"}}
	}
	if !b.Ownership.ACLsEnabled() {
		return aclGrants{}
	}
	if want := bucketPermission[n.Action]; want != "" {
		if want == Write && !r.mayReplace() {
			return aclGrants{}
		}
		return r.granted(b.ACL, b.Owner, want, "bucket")
	}
	if want := objectPermission[n.Action]; want != "" && n.Object != nil {
		return r.granted(n.Object.ACL, n.Object.Owner, want, "object")
	}
	return aclGrants{}
}

// startedUpload: the initiator of a multipart upload may list its parts and
// abort it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
func (r *bucketRequest) startedUpload() bool {
	n := r.need
	return n.Object != nil && r.p.Kind != Nobody && n.Object.Owner == r.p.Tenant &&
		(n.Action == "s3:AbortMultipartUpload" || n.Action == "s3:ListMultipartUploadParts")
}

// mayReplace: WRITE on the bucket does not allow to overwrite or delete an
// object of another owner. If the object is not known, the decision says so:
// see Decision.OwnOnly.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions
func (r *bucketRequest) mayReplace() bool {
	n := r.need
	switch {
	case n.Action == "s3:DeleteObjectVersion":
		return false // only for the bucket's owner, who needs no ACL
	case n.Object == nil:
		return n.Action == "s3:PutObject"
	}
	return r.p.Kind != Nobody && n.Object.Owner == r.p.Tenant
}

// granted finds the permission in an ACL. nil is the ACL that gives only the
// owner rights. An owner can always read and write the ACL of its own resource.
func (r *bucketRequest) granted(a *ACL, owner ID, want Permission, of string) (all aclGrants) {
	if r.isTenant(owner) && (a == nil || want == ReadACP || want == WriteACP) {
		all.account = grant{how: byAccount, reason: "owner of the " + of}
	}
	if a == nil {
		return all
	}
	for _, g := range a.Grants {
		if g.Permission != want && g.Permission != FullControl {
			continue
		}
		reason := "allowed by the " + of + "'s ACL: " + string(g.Permission) + " to "
		switch {
		case g.Grantee.Group == "" && r.isTenant(g.Grantee.ID):
			all.account = grant{how: byAccount, reason: reason + "the account", ownOnly: want == Write}
		case r.inGroup(g.Grantee):
			all.group = grant{how: byAll, reason: reason + g.Grantee.Group, public: true, ownOnly: want == Write}
		}
	}
	return all
}

// inGroup reports whether the grantee is a group of the principal that has an
// effect in the bucket.
func (r *bucketRequest) inGroup(g Grantee) bool {
	if r.p.Kind == Service {
		return g.Group == LogDelivery && r.p.Name == LoggingService
	}
	return g.public() && !r.need.Bucket.Block.IgnorePublicACLs && (g.Group == AllUsers || r.p.Kind != Nobody)
}

// isTenant reports whether the principal belongs to the account or acts for it.
// The operator acts for the owner of every bucket.
func (r *bucketRequest) isTenant(id ID) bool {
	if r.p.Kind == Nobody || id.IsZero() {
		return false
	}
	return id == r.p.Tenant || r.p.isOperator() && id == r.need.Bucket.Owner
}
