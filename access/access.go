// Package access decides who may do what, and says why, as AWS does. It knows
// principals, policies, ACLs, needs and decisions; it never reads a request, a
// store or a clock, and it never answers a client.
//
// Everything that a decision depends on is handed to Decide, already parsed:
// policies are compiled once, when they are stored or loaded, and a value of
// this package is never changed by deciding, so that it may be shared between
// requests.
package access

import (
	"crypto/sha256"
	"encoding/hex"
)

// ID names a tenant, user or role, as the store does. The zero value names nobody.
type ID [16]byte

// String is 32 lowercase hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Canonical is the canonical user id of a tenant, 64 lowercase hexadecimal digits,
// as listings and ACLs show it. It is derived one way, so that it says nothing of
// the id itself.
func (id ID) Canonical() string {
	h := sha256.Sum256(append([]byte("sanctum canonical user id\x00"), id[:]...))
	return hex.EncodeToString(h[:])
}

// ParseID reads what String wrote, and nothing else.
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
// as "aws:sourceip" or "s3:prefix"; one that the request does not have is not
// in the map, which is not the same as an empty value. Those that end in the key
// of a tag are filled by AddTag. Keys that speak of the principal are filled by
// Decide and have no effect here, nor has a key that the action does not have.
type Context map[string][]string

// Bucket is what a decision needs to know of a bucket.
type Bucket struct {
	Name      string
	Owner     ID
	Account   string    // the owner's account, 12 digits; for aws:ResourceAccount
	Policy    *Policy   // nil: none
	ACL       *ACL      // nil: private, the owner has full control
	Ownership Ownership // zero: BucketOwnerEnforced
	Block     PublicAccessBlock
	// Broken is set when a setting of the bucket could not be read. Everything
	// is denied, and this is the reason.
	Broken error
	// Mending says that the request replaces what could not be read, and that
	// nothing else is missing here of what decides about it. The root of the
	// bucket's owner may, for otherwise nobody could ever.
	Mending bool
}

// Object is what a decision needs to know of an object: of the version that is
// asked for, or of the upload, whose owner is the tenant that began it.
type Object struct {
	Owner ID
	ACL   *ACL // nil: private, the owner has full control
}

// Ownership is a bucket's Object Ownership. ACLs count only when it is not
// BucketOwnerEnforced.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
type Ownership string

// The settings of Object Ownership. The zero value means BucketOwnerEnforced,
// the default of new buckets since April 2023.
const (
	BucketOwnerEnforced  Ownership = "BucketOwnerEnforced"
	BucketOwnerPreferred Ownership = "BucketOwnerPreferred"
	ObjectWriter         Ownership = "ObjectWriter"
)

// ACLsEnabled reports whether ACLs of the bucket and its objects count. A value
// that is none of the three settings disables them.
func (o Ownership) ACLsEnabled() bool { return o == BucketOwnerPreferred || o == ObjectWriter }

// PublicAccessBlock is a bucket's configuration of that name, merged with its
// owner's. Decide reads IgnorePublicACLs and RestrictPublicBuckets; the other
// two refuse changes and are the caller's to enforce, with ACL.Public and
// Policy.Public.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
type PublicAccessBlock struct {
	BlockPublicACLs       bool
	IgnorePublicACLs      bool
	BlockPublicPolicy     bool
	RestrictPublicBuckets bool
}

// Need is one thing that a request asks to be allowed.
type Need struct {
	Action string // such as "s3:GetObject", spelled as in Actions
	// Bucket is the existing bucket that the action is about; nil when there is
	// none, as for CreateBucket.
	Bucket     *Bucket
	BucketName string // the bucket's name, also where it does not exist yet
	Key        string // empty: not about one object
	// Object is what the key holds; nil when it holds nothing or when that does
	// not matter.
	Object *Object
	// Resource is the ARN of what is not S3; Owner the tenant that owns it, zero
	// for the principal's own. Trust is the trust policy of a role to be assumed.
	Resource string
	Owner    ID
	Trust    *Policy
	// KMS is the use of a key of SSE-KMS that the action makes besides; nil: none.
	KMS *KeyUse
	// Began says that the principal, or a user of the account whose root it is, began the
	// upload that the action is about: its parts may be listed and it may be aborted by
	// its initiator, unless a policy denies it.
	Began bool
	// Context comes on top of the request's and wins over it, for keys that
	// differ between the needs of one request: s3:ExistingObjectTag/x.
	Context Context
	// Open are rows of ConditionKeys whose values are not known yet. The decision is
	// then whether there are values with which the need would be allowed: a denial is
	// final, and an allowance is to be decided again when they are known.
	Open map[string]bool
}

// KeyUse is what a need does with a key of SSE-KMS. Keys have no policies and no rights of
// their own here: nobody has to be allowed to use one, but whom a policy denies its use is
// denied what needs it.
type KeyUse struct {
	Action  string  // such as "kms:Decrypt"
	ARN     string  // the key's
	Context Context // values of condition keys of the use, such as kms:ViaService
}

// Actions that need no bucket to exist.
const (
	CreateBucket     = "s3:CreateBucket"
	ListAllMyBuckets = "s3:ListAllMyBuckets"
)

// Decision is the answer, with the reason for log and audit: the rule, the
// policy's statement or the ACL's grant that decided. The reason is never shown
// to the client: it would tell of what the client may not see.
type Decision struct {
	Allow  bool
	Reason string
	// Public: allowed to this principal only because everybody is.
	Public bool
	// OwnerOnly: denied although a policy allows it, because it is for the owner's
	// account alone. AWS says that the method is not allowed.
	OwnerOnly bool
	// OwnOnly: allowed by WRITE of the bucket's ACL alone, so that it may take the
	// place of nothing but objects of the principal's own tenant; an anonymous
	// principal has none. Callers hold to that in the commit, for the key
	// may hold another object by then.
	OwnOnly bool
	// Explicit: a statement of the bucket's policy denies.
	Explicit bool
}
