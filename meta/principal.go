package meta

import (
	"context"
	"time"
)

// Tenant is an account: it owns buckets and objects, and has its own root. Its ID
// is never reused; its name may be.
type Tenant struct {
	ID      ID
	Name    string // unique among existing tenants
	Created time.Time
	// Residency is the tenant's demand on the backends of every bucket that it
	// creates, one entry of Bucket.Residency; empty: none.
	Residency string
	// Limits are the tenant's quotas and rates, sealed; nil: none.
	Limits []byte
	// Record seals the row under the system keys; nil while rows have none.
	Record []byte
}

// AccessKey is a credential. Secret is sealed under the system keys.
type AccessKey struct {
	ID       string // the access key id, as clients send it
	User     ID     // an identity of IdentityUser; for a root the tenant's ID
	Secret   []byte
	Created  time.Time
	Inactive bool // refused until it is active again
	// Record seals the row, except Secret, under the system keys; nil while rows
	// have none.
	Record []byte
}

// Principals keeps tenants, and the credentials of their roots and users.
type Principals interface {
	// CreateTenant adds a tenant with the first access key of its root; ErrExists
	// when the name or the access key id is taken.
	CreateTenant(ctx context.Context, t Tenant, k AccessKey) error
	// Tenant finds a tenant by id, TenantByName by name; ErrNotFound.
	Tenant(ctx context.Context, id ID) (Tenant, error)
	TenantByName(ctx context.Context, name string) (Tenant, error)
	// ListTenants returns at most limit tenants in the order of their names.
	ListTenants(ctx context.Context, after string, limit int) ([]Tenant, error)
	// UpdateTenant replaces the residency, limits and record of the tenant with
	// now's ID: ErrConflict when they are no longer was's, ErrNotFound.
	UpdateTenant(ctx context.Context, was, now Tenant) error
	// DeleteTenant removes a tenant, its identities and all their access keys;
	// ErrNotEmpty while it owns a bucket. ErrLimit while it has more than MaxBatch
	// identities: the caller removes these first.
	DeleteTenant(ctx context.Context, id ID) error
	// CreateAccessKey adds a credential; ErrExists; ErrNotFound when k.User is
	// neither a tenant nor a user.
	CreateAccessKey(ctx context.Context, k AccessKey) error
	// AccessKey finds a credential, or ErrNotFound.
	AccessKey(ctx context.Context, id string) (AccessKey, error)
	// ListAccessKeys returns the credentials of a user, or of a tenant's root, in the
	// order of their ids.
	ListAccessKeys(ctx context.Context, user ID) ([]AccessKey, error)
	// UpdateAccessKey replaces Inactive and Record of the credential with now's ID:
	// ErrConflict when they are no longer was's, ErrNotFound.
	UpdateAccessKey(ctx context.Context, was, now AccessKey) error
	// DeleteAccessKey removes a credential; ErrNotFound.
	DeleteAccessKey(ctx context.Context, id string) error
}

// IdentityKind is the kind of an identity. The numbers are stored.
type IdentityKind uint8

const (
	IdentityUser     IdentityKind = 1
	IdentityGroup    IdentityKind = 2
	IdentityRole     IdentityKind = 3
	IdentityPolicy   IdentityKind = 4
	IdentityProvider IdentityKind = 5 // an OpenID Connect provider
)

// Identity is an IAM entity of a tenant. Its ID is never reused; its name may be.
// Its permissions are in the document, which the store does not interpret.
type Identity struct {
	ID       ID
	Tenant   ID
	Kind     IdentityKind
	Name     string // unique within tenant and kind, ignoring ASCII case; 1..MaxIdentityName
	Created  time.Time
	Revision int64  // counts changes of Document and Name
	Document []byte // sealed under the system keys; 1..MaxIdentity bytes
}

// Identities keeps users, groups, roles, policies and providers of tenants.
type Identities interface {
	// CreateIdentity adds an identity; ErrExists when the name is taken, ErrNotFound
	// when the tenant is gone.
	CreateIdentity(ctx context.Context, i Identity) error
	// Identity finds one by name, in any ASCII case; ErrNotFound.
	Identity(ctx context.Context, tenant ID, kind IdentityKind, name string) (Identity, error)
	// IdentitiesByID returns the identities of at most MaxBatch ids that exist, in
	// any order.
	IdentitiesByID(ctx context.Context, ids []ID) ([]Identity, error)
	// ListIdentities returns at most limit in the order of their names, lower case,
	// above after.
	ListIdentities(ctx context.Context, tenant ID, kind IdentityKind, after string, limit int) ([]Identity, error)
	// UpdateIdentity changes the name and document of the identity with i.ID if its
	// revision is still i.Revision: ErrConflict, ErrNotFound, ErrExists.
	UpdateIdentity(ctx context.Context, i Identity) error
	// DeleteIdentity removes an identity if its revision is the one given:
	// ErrConflict, ErrNotFound; ErrNotEmpty for a user that has access keys.
	DeleteIdentity(ctx context.Context, id ID, revision int64) error
}
