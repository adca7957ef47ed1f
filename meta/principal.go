package meta

import (
	"context"
	"time"
)

// Tenant is an account: it owns buckets and objects, and has a root of its own. Its ID is never reused; its name may be.
type Tenant struct {
	ID      ID
	Name    string // unique among the living
	Created time.Time
	// Residency is what the user demands of the backends of every bucket that it
	// makes, one entry of Bucket.Residency; empty: nothing.
	Residency string
}

// AccessKey is a credential. Secret is sealed under the system keys.
type AccessKey struct {
	ID      string // the access key id, as clients send it
	User    ID
	Secret  []byte
	Created time.Time
}

// Principals keeps users and their credentials.
type Principals interface {
	// CreateTenant adds a user with its first access key; ErrExists when the name
	// or the access key id is taken.
	CreateTenant(ctx context.Context, t Tenant, k AccessKey) error
	// User finds a user by id, TenantByName by name; ErrNotFound.
	Tenant(ctx context.Context, id ID) (Tenant, error)
	TenantByName(ctx context.Context, name string) (Tenant, error)
	// ListTenants returns at most limit users in the order of their names.
	ListTenants(ctx context.Context, after string, limit int) ([]Tenant, error)
	// SetResidency changes what the user demands of buckets made from now on;
	// ErrNotFound.
	SetResidency(ctx context.Context, id ID, residency string) error
	// DeleteTenant removes a user and its access keys; ErrNotEmpty while it owns a bucket.
	DeleteTenant(ctx context.Context, id ID) error
	// CreateAccessKey adds a credential; ErrExists, ErrNotFound (no such user).
	CreateAccessKey(ctx context.Context, k AccessKey) error
	// AccessKey finds a credential, or ErrNotFound.
	AccessKey(ctx context.Context, id string) (AccessKey, error)
	// ListAccessKeys returns a user's credentials in the order of their ids.
	ListAccessKeys(ctx context.Context, user ID) ([]AccessKey, error)
	// DeleteAccessKey removes a credential; ErrNotFound.
	DeleteAccessKey(ctx context.Context, id string) error
}
