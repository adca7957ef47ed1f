// Package accounts is whose a request can be: tenants, their users, groups, roles and
// policies, the credentials and sessions that prove them, and what follows from these for
// a decision. It keeps them in the store, sealed, and remembers them for a moment.
// It decides nothing, knows no HTTP, and knows no object.
//
// Errors that the client is to be told of carry an s3err.Code. Everything else is an
// internal fault.
package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Store is what accounts are kept in.
type Store interface {
	meta.Principals
	meta.Identities
	ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error)
	ScanAccessKeys(ctx context.Context, after string, limit int) ([]meta.AccessKey, error)
	ScanIdentities(ctx context.Context, after meta.ID, limit int) ([]meta.Identity, error)
}

// Config is what Accounts work with. The caller keeps ownership of the store.
type Config struct {
	Store   Store
	Records *records.Records
	// SealAs is the sealing that a write goes by, from when it makes its row until the
	// store has answered. The caller calls done then, which is never nil, and writes
	// under the context that it returns.
	SealAs func(context.Context) (ctx context.Context, s meta.Sealing, done func(), err error)
	// HasPlace reports whether a backend has a name, region or jurisdiction.
	HasPlace func(string) bool
	Now      func() time.Time
	Elapsed  func() time.Duration // since some moment, by a clock that never steps
}

// Accounts serve any number of goroutines at once.
type Accounts struct {
	Config
	root      meta.Tenant
	rootCred  credentialSlot
	directory directory
	remembered
	readingHolders *fair.Turns[meta.ID] // by user or role
}

// New returns the accounts of a deployment. Before their use, Adopt has to succeed.
func New(c Config) *Accounts {
	return &Accounts{Config: c, remembered: newRemembered(), readingHolders: fair.NewTurns[meta.ID](1)}
}

// Adopt reads the tenant that may do everything.
func (a *Accounts) Adopt(ctx context.Context, root meta.ID) (err error) {
	if a.root, err = a.Existing(ctx, root); err != nil {
		return fmt.Errorf("read the root tenant: %w", err)
	}
	return nil
}

// Root is the tenant that may do everything; zero before Adopt.
func (a *Accounts) Root() meta.Tenant { return a.root }
