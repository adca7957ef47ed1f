// Package buckets is what a bucket is beside its objects: its row and the proof of it, its
// keys, its settings, its versioning and lock, what its quota leaves, and who may have how
// many. It keeps them in the store, sealed, and remembers them for a moment. It knows no
// object, no HTTP and no concrete backend.
//
// Errors that the client is to be told of carry an s3err.Code. Everything else is an
// internal fault.
package buckets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Store is what buckets are kept in.
// meta.Store implements it.
type Store interface {
	meta.Buckets
	SetBucketRecord(ctx context.Context, bucket meta.ID, c meta.Change) error
	RenewSettings(ctx context.Context, l meta.Lease, bucket meta.ID, c meta.Change, settings []meta.Setting) error
	BucketUsage(ctx context.Context, bucket meta.ID) (meta.Usage, error)
	OwnerUsage(ctx context.Context, owner meta.ID) (meta.Usage, error)
}

// Config is what Buckets work with. The caller keeps ownership of the store and the key
// provider.
type Config struct {
	Store      Store
	Records    *records.Records
	Accounts   *accounts.Accounts
	Blobs      *blobs.Blobs // which know the backends that buckets are placed on
	Provider   encrypt.Provider
	Deployment encrypt.Deployment
	// SealAs is the sealing that a write goes by, from when it makes its row until the
	// store has answered. The caller calls done then, which is never nil, and writes
	// under the context that it returns.
	SealAs func(context.Context) (ctx context.Context, s meta.Sealing, done func(), err error)
	// Damaged is told of a bucket with settings that cannot be opened, and why.
	Damaged    func(b meta.Bucket, why error)
	Region     string // the gateway's own: a constraint of it demands nothing
	MaxBuckets int    // of a tenant whose limits do not say
	Now        func() time.Time
	// Revocations are asked before keys are fetched; nil: there are none.
	Revocations Revocations
	// KeysTTL is how long keys are remembered; 0: DefaultKeysTTL. Elapsed is the clock that
	// it is measured by, which never steps; nil: this process's.
	KeysTTL time.Duration
	Elapsed func() time.Duration
}

// Revocations are the keys that operators took away, whatever the key provider says.
type Revocations interface {
	// Refused is why the keys of a bucket are not fetched; nil: they are. The bucket is zero
	// for one that is to be created. The error wraps encrypt.ErrKeyDisabled.
	Refused(bucket meta.ID) error
}

// Buckets serve any number of goroutines at once.
type Buckets struct {
	Config
	remembered
	reading  *fair.Turns[meta.ID] // of settings, by owner
	reads    usageReads
	fetching fetches
}

// New returns the buckets of a deployment.
func New(c Config) *Buckets {
	if c.KeysTTL == 0 {
		c.KeysTTL = DefaultKeysTTL
	}
	return &Buckets{
		Config: c, remembered: newRemembered(c.KeysTTL, c.Elapsed), reading: fair.NewTurns[meta.ID](settingReads),
		reads: newUsageReads(), fetching: fetches{of: make(map[meta.ID]*fetch)},
	}
}

// settleTimeout bounds the look for what became of a write whose answer was lost.
const settleTimeout = 10 * time.Second

// OfProvider says what failed, and gives it the code that clients know: a key provider
// that is away is a passing state, and a key that was taken away is not.
// Other errors of the provider, such as a wrong key, are internal faults.
func OfProvider(doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	for _, c := range []struct {
		kind error
		code s3err.Code
	}{
		{encrypt.ErrUnavailable, s3err.ServiceUnavailable},
		{encrypt.ErrKeyDisabled, s3err.KMSDisabled},
		{encrypt.ErrKeyNotFound, s3err.KMSNotFound},
	} {
		if errors.Is(err, c.kind) {
			return s3err.Wrap(c.code, err)
		}
	}
	return err
}

// KeyGone reports whether an error says that a key was taken away: it is disabled, revoked,
// deleted, or of a provider that is not configured. A provider that is only away is not meant.
func KeyGone(err error) bool {
	return errors.Is(err, s3err.KMSDisabled) || errors.Is(err, s3err.KMSNotFound)
}
