// Package accounts knows who can send requests: tenants, their users, groups,
// roles and policies, and the credentials and sessions that prove them. From
// these it makes the principal for decisions. It stores them sealed, and
// remembers them for a moment. It decides nothing, and knows neither HTTP nor
// objects.
//
// Errors for the client carry an s3err.Code. All other errors are internal
// faults.
package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Store is the part of the store that holds accounts.
type Store interface {
	meta.Principals
	meta.Identities
	ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error)
	ScanAccessKeys(ctx context.Context, after string, limit int) ([]meta.AccessKey, error)
	ScanIdentities(ctx context.Context, after meta.ID, limit int) ([]meta.Identity, error)
}

// Config is all that Accounts need. The caller keeps ownership of the store.
type Config struct {
	Store   Store
	Records *records.Records
	// SealAs returns the sealing of a write. It must stay in effect from the
	// making of the row until the store has answered: the caller writes under
	// the returned context, and calls done afterwards, which is never nil.
	SealAs func(context.Context) (ctx context.Context, s meta.Sealing, done func(), err error)
	// HasPlace reports whether a backend has this name, region or jurisdiction.
	HasPlace func(string) bool
	Now      func() time.Time
	Elapsed  func() time.Duration // by a clock that never steps
}

// Accounts are safe for concurrent use.
type Accounts struct {
	Config
	root      meta.Tenant
	rootCred  credentialSlot
	directory directory
	remembered
	readingHolders *fair.Turns[meta.ID] // by user or role
}

// New returns the accounts of a deployment. Adopt must succeed before their
// use.
func New(c Config) *Accounts {
	return &Accounts{Config: c, remembered: newRemembered(), readingHolders: fair.NewTurns[meta.ID](1)}
}

// Adopt reads the root tenant, which may do everything. Nothing else may run
// meanwhile, because the tenant is read without a lock.
func (a *Accounts) Adopt(ctx context.Context, root meta.ID) (err error) {
	if a.root, err = a.Existing(ctx, root); err != nil {
		return fmt.Errorf("read the root tenant: %w", err)
	}
	return nil
}

// Root is the tenant that may do everything; zero before Adopt.
func (a *Accounts) Root() meta.Tenant { return a.root }
