// Package access decides who may do what, as AWS does, and gives the reason. It
// has principals, policies, ACLs, needs and decisions. It never reads a
// request, a store or a clock, and never answers a client.
//
// Decide gets everything that a decision depends on, already parsed. Policies
// are compiled once, when they are stored or loaded. Deciding never changes a
// value of this package, so that requests may share them.
package access

import (
	"crypto/sha256"
	"encoding/hex"
)

// ID identifies a tenant, user or role, as in the store. The zero value is
// nobody's.
type ID [16]byte

// String returns 32 lowercase hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Canonical is a tenant's canonical user id, 64 lowercase hexadecimal digits,
// as listings and ACLs show it. It is a hash, so that it does not reveal the
// id.
func (id ID) Canonical() string {
	h := sha256.Sum256(append([]byte("sanctum canonical user id\x00"), id[:]...))
	return hex.EncodeToString(h[:])
}

// ParseID parses exactly the form of String.
func ParseID(s string) (id ID, ok bool) {
	if !isHex(s, len(id)) {
		return id, false
	}
	b, err := hex.DecodeString(s)
	copy(id[:], b)
	return id, err == nil
}

// IsZero reports whether the id was never set.
func (id ID) IsZero() bool { return id == ID{} }

// Context holds the values of condition keys. The keys are in lower case, such
// as "aws:sourceip" or "s3:prefix". A key that the request does not have is not
// in the map, which differs from an empty value. Keys that end in a tag's key
// are added by AddTag. Decide derives the keys about the principal itself, and
// ignores keys that the action does not have.
type Context map[string][]string

// Bucket holds the facts of a bucket that decisions depend on.
type Bucket struct {
	Name      string
	Owner     ID
	Account   string    // the owner's account, 12 digits; for aws:ResourceAccount
	Policy    *Policy   // nil: none
	ACL       *ACL      // nil: private, the owner has full control
	Ownership Ownership // zero: BucketOwnerEnforced
	Block     PublicAccessBlock
	// Broken is set when a setting of the bucket could not be read. Then
	// everything is denied, with this reason.
	Broken error
	// Repairing: the request replaces the unreadable setting, and every other
	// setting that decides about it was read. The root of the bucket's owner
	// may do so; otherwise nobody ever could.
	Repairing bool
}

// Object holds the facts of an object that decisions depend on: of the
// requested version, or of the upload, whose owner is its initiator's tenant.
type Object struct {
	Owner ID
	ACL   *ACL // nil: private, the owner has full control
}

// Ownership is a bucket's Object Ownership. ACLs have an effect only if it is
// not BucketOwnerEnforced.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
type Ownership string

// The values of Object Ownership. The zero value means BucketOwnerEnforced, the
// default of new buckets since April 2023.
const (
	BucketOwnerEnforced  Ownership = "BucketOwnerEnforced"
	BucketOwnerPreferred Ownership = "BucketOwnerPreferred"
	ObjectWriter         Ownership = "ObjectWriter"
)

// ACLsEnabled reports whether ACLs of the bucket and its objects have an
// effect. An unknown value disables them.
func (o Ownership) ACLsEnabled() bool { return o == BucketOwnerPreferred || o == ObjectWriter }

// PublicAccessBlock is a bucket's configuration of that name, merged with its
// owner's. Decide applies IgnorePublicACLs and RestrictPublicBuckets. The other
// two refuse changes; the caller enforces them with ACL.Public and
// Policy.Public.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
type PublicAccessBlock struct {
	BlockPublicACLs       bool
	IgnorePublicACLs      bool
	BlockPublicPolicy     bool
	RestrictPublicBuckets bool
}

// Need is one permission that a request needs.
type Need struct {
	Action string // such as "s3:GetObject", spelled as in Actions
	// Bucket is the existing bucket that the action is about; nil when there is
	// none, as for CreateBucket.
	Bucket     *Bucket
	BucketName string // the bucket's name, even if the bucket does not exist
	Key        string // empty: not about one object
	// Object is the object under the key; nil when there is none or it does not
	// matter.
	Object *Object
	// Resource is the ARN of a resource outside S3. Owner is the tenant that
	// owns it, zero for the principal's own. Trust is the trust policy of a
	// role to be assumed.
	Resource string
	Owner    ID
	Trust    *Policy
	// KMS is the use of an SSE-KMS key that the action implies; nil: none.
	KMS *KeyUse
	// Began: the principal, or a user of the account whose root it is,
	// initiated the upload that the action is about. The initiator may list its
	// parts and abort it, unless a policy denies it.
	Began bool
	// Context adds keys that differ between the needs of one request, such as
	// s3:ExistingObjectTag/x. It overrides the request's.
	Context Context
	// Open lists rows of ConditionKeys whose values are not known yet. Then the
	// decision is whether some values would allow the need: a denial is final,
	// but an allowance must be decided again when the values are known.
	Open map[string]bool
}

// KeyUse is the use of an SSE-KMS key. Keys have no policies and grant no
// rights here: nobody needs permission to use one, but a policy that denies the
// use denies the need.
type KeyUse struct {
	Action  string  // DecryptKey or GenerateDataKey
	ARN     string  // the key's
	Context Context // condition keys of the use, such as kms:ViaService
}

// Actions of KeyUse.
const (
	DecryptKey      = "kms:Decrypt"
	GenerateDataKey = "kms:GenerateDataKey"
)

// Actions that need no existing bucket.
const (
	CreateBucket     = "s3:CreateBucket"
	ListAllMyBuckets = "s3:ListAllMyBuckets"
)

// Decision is the answer with its reason, for log and audit: the rule, the
// policy's statement or the ACL's grant that decided. Clients never see the
// reason, because it could reveal things that they may not see.
type Decision struct {
	Allow  bool
	Reason string
	// Public: allowed to this principal only because everybody is allowed.
	Public bool
	// OwnerOnly: denied although a policy allows it, because it is reserved to
	// the owner's account. AWS answers MethodNotAllowed.
	OwnerOnly bool
	// OwnOnly: allowed by WRITE of the bucket's ACL alone. Then the request may
	// replace only objects of the principal's own tenant; an anonymous
	// principal has none. Callers must enforce it in the commit, because the
	// key may hold another object by then.
	OwnOnly bool
	// Explicit: denied by a statement of the bucket's policy.
	Explicit bool
}
