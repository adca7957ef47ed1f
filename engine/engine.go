// Package engine is what objects are: it seals bodies into blobs, commits
// versions to the store, and serves reads, copies, deletions, listings and
// multipart uploads from them; and the bounded steps that clean up behind.
// It knows no HTTP, no SQL and no concrete backend, and hands out no key.
//
// Errors that the client is to be told of carry an s3err.Code. Everything else
// is an internal fault.
//
// One PUT: reserve a blob in the ledger, stream sealed bytes to the backend,
// commit. Put deletes nothing, because a commit that reported failure may have
// happened; what is left over is condemned in the ledger first and removed from
// the backend later, by blobs.Collect.
package engine

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Defaults of Config.
const (
	// A reading has to open its blob within DefaultGrace after it has read the row.
	DefaultGrace        = 10 * time.Minute
	DefaultUploadExpiry = 7 * 24 * time.Hour
)

// Config is what an Engine works with. The caller keeps ownership of the
// store, backends and key provider, and closes them after the Engine.
type Config struct {
	Store meta.Store
	// Backends are the places for blobs. Each that the store knows and that is
	// not retired must be among them; one that the store does not know is
	// registered. Opening for package fsck may do with fewer.
	Backends []blobs.Backend
	// Default names the backend of buckets that demand nothing. With one backend
	// it may be empty.
	Default string
	// Region is the gateway's own: a LocationConstraint that names it demands
	// nothing of a backend.
	Region string
	Keys   encrypt.Provider
	// KeysCache is how long keys of Keys are remembered, and so the time within which a key
	// that was taken away is felt; 0: buckets.DefaultKeysTTL.
	KeysCache time.Duration
	Now       func() time.Time // nil: time.Now
	// Elapsed is the time since some moment by a clock that never steps, which
	// tells for how long another gateway has shown no sign of life; nil: this
	// process's own.
	Elapsed func() time.Duration
	Log     *slog.Logger // nil: nothing is logged
	// Sole says that this process is the store's only gateway, so that
	// reservations of earlier processes are abandoned for certain.
	Sole bool
	// ReadOnly opens an existing deployment for package fsck and changes nothing.
	ReadOnly bool
	// MaxBuckets is how many buckets a tenant may have whose limits do not say; 0:
	// buckets.DefaultMax.
	MaxBuckets int
	// AcceptStore is AcceptStore before the backends are held against the store:
	// for a store that was restored from an older copy, and knowingly.
	AcceptStore bool
	// TransitionClasses returns the storage classes to which the rules of a document of
	// LifecycleSetting lead. A bucket whose rules lead to a backend shares no bytes with
	// one that demands another place. nil: a bucket with rules is taken for one whose
	// rules lead anywhere, so that its bytes are copied where they might be shared.
	TransitionClasses func(document []byte) ([]string, error)
	// Grace is how long a condemned blob is kept for readers that began
	// before; 0 means DefaultGrace, negative none. It is also how long a blob
	// that was moved stays where it was.
	Grace time.Duration
	// UploadExpiry is the age at which an open upload is aborted; 0 means
	// DefaultUploadExpiry.
	UploadExpiry time.Duration
}

// Engine serves any number of goroutines at once.
type Engine struct {
	sealer
	store    *blobs.CountedStore
	provider encrypt.Provider
	now      func() time.Time
	log      *slog.Logger
	readOnly bool
	expiry   time.Duration
	blobs    *blobs.Blobs
	accounts *accounts.Accounts
	records  *records.Records
	system   *systemKeys
	// revocations are the keys that an operator took away, whatever the provider says.
	revocations *Revocations
	// wrappedSeed is what the system keys come from, as the provider wrapped it.
	wrappedSeed atomic.Pointer[[]byte]

	transitionClasses func([]byte) ([]string, error) // Config.TransitionClasses

	trimAfter meta.TrimPosition // see trim; passes of the collector wait for one another
}

// Open opens the deployment in the store, or begins a new one when the store is
// empty. The error contains encrypt.ErrWrongKey when the provider holds another
// key than the one the deployment was begun with.
// Unless ReadOnly, it writes: it makes this process known as a gateway of the deployment, and
// registers backends that are new.
func Open(ctx context.Context, c Config) (*Engine, error) {
	fallback, err := blobs.DefaultBackend(c.Backends, c.Default, c.ReadOnly)
	if err != nil {
		return nil, err
	}
	c.Default = fallback
	e := newEngine(&c)
	d, err := c.Store.Deployment(ctx)
	if errors.Is(err, meta.ErrNotFound) && !c.ReadOnly {
		if err := e.begin(ctx, &c); err != nil {
			return nil, fmt.Errorf("begin a new deployment: %w", err)
		}
		d, err = c.Store.Deployment(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read the deployment: %w", err)
	}
	if err := e.adopt(ctx, &c, d); err != nil {
		return nil, err
	}
	// Before Attach, which writes: from here on the other gateways know that this process may
	// write by the sealing it has read.
	if err := e.sealing.enlist(ctx); err != nil {
		return nil, fmt.Errorf("read the deployment: %w", err)
	}
	if err := e.blobs.Attach(ctx, c.AcceptStore); err != nil {
		return nil, err
	}
	return e, nil
}

// It fills in the defaults of c in place, so that what is made later sees them.
func newEngine(c *Config) *Engine {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Elapsed == nil {
		start := time.Now()
		c.Elapsed = func() time.Duration { return time.Since(start) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.KeysCache == 0 {
		c.KeysCache = buckets.DefaultKeysTTL
	}
	if c.MaxBuckets <= 0 {
		c.MaxBuckets = buckets.DefaultMax
	}
	switch {
	case c.Grace == 0:
		c.Grace = DefaultGrace
	case c.Grace < 0:
		c.Grace = 0
	}
	if c.UploadExpiry == 0 {
		c.UploadExpiry = DefaultUploadExpiry
	}
	return &Engine{
		store: blobs.Count(c.Store), provider: c.Keys,
		now: c.Now, log: c.Log, readOnly: c.ReadOnly, expiry: c.UploadExpiry, transitionClasses: c.TransitionClasses,
	}
}

// systemGeneration is the only generation of the system seed so far.
const systemGeneration = 1

// begin writes the deployment's row. The epoch's markers go first: a row without
// them would look like a store that was rolled back.
func (e *Engine) begin(ctx context.Context, c *Config) error {
	// A deployment that begins today has no rows without records, so it begins with the highest
	// sealing.
	d := meta.Deployment{ID: meta.NewID(), Created: e.now(), Sealing: meta.SealingWhole}
	root := meta.Tenant{ID: meta.NewID(), Name: accounts.RootName, Created: d.Created}
	d.Root = root.ID
	seed := encrypt.NewSeed()
	var err error
	if d.Seed, err = e.provider.Wrap(ctx, SystemContext(d.ID), seed[:]); err != nil {
		return err
	}
	e.know(c, d.ID, seed)
	if err := errors.Join(e.sealing.sealRow(&d), e.accounts.SealTenant(d.Sealing, &root)); err != nil {
		return err
	}
	first, err := e.blobs.PutFirstMarkers(ctx, d.Created)
	if err != nil {
		return err
	}
	// Of two gateways that begin on an empty store at once, one row wins. The loser takes its
	// markers away, and Open goes on with the winner's deployment.
	err = e.store.InitDeployment(ctx, d, root, first)
	if errors.Is(err, meta.ErrUnknown) {
		var now meta.Deployment
		// The id was drawn above, so it tells whether this call has happened.
		if now, err = e.store.Deployment(ctx); err == nil && now.ID != d.ID {
			err = meta.ErrExists
		}
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, meta.ErrExists) { // another gateway was first, and its markers are others
		return e.blobs.DeleteFirstMarkers(ctx, first)
	}
	return err
}

// SystemContext is what the wrapped seed of a deployment's row is bound to.
func SystemContext(deployment meta.ID) encrypt.Context {
	return encrypt.Context{Deployment: encrypt.Deployment(deployment), Purpose: "system", ID: deployment, Generation: systemGeneration}
}

// adopt proves that the provider's key is the deployment's.
func (e *Engine) adopt(ctx context.Context, c *Config, d meta.Deployment) error {
	// A wrong key file ends the start here, before anything is written to the deployment.
	raw, err := e.provider.Unwrap(ctx, SystemContext(d.ID), d.Seed)
	if err != nil {
		return fmt.Errorf("the key provider %q does not open this deployment: %w", e.provider.Name(), err)
	}
	e.know(c, d.ID, encrypt.Seed(raw))
	e.wrappedSeed.Store(&d.Seed)
	if err := e.sealing.observe(d, e.sealing.Now()); err != nil {
		return err
	}
	if err := e.revocations.look(ctx); err != nil {
		return err
	}
	return e.accounts.Adopt(ctx, d.Root)
}

// know takes what is derived from the system's seed.
func (e *Engine) know(c *Config, deployment meta.ID, seed encrypt.Seed) {
	e.deployment = encrypt.Deployment(deployment)
	e.system = newSystemKeys(seed, e.deployment, c, e.systemSeed)
	e.system.forget = e.forgetOpened
	// The parts refer to one another, so the order matters: records needs the sealing's Now,
	// blobs needs the sealing, and the sealing gets records, blobs and accounts when they
	// exist. Nothing of it runs before Attach.
	e.damage = damage.New(damage.Config{
		Store: e.store, Blobs: e.Blobs, NameKey: derived(seed, "sanctum/1/key-hash"), Log: e.log, ReadOnly: e.readOnly,
	})
	e.sealing = &Sealing{store: e.store, readOnly: e.readOnly}
	e.records = records.New(e.system.keys, e.sealing.Now)
	e.sealing.records = e.records
	e.revocations = newRevocations(e)
	e.blobs = e.newBlobs(c, seed)
	e.sealing.blobs = e.blobs
	e.accounts = accounts.New(accounts.Config{
		Store: e.store, Records: e.records, SealAs: e.sealing.As, HasPlace: e.blobs.HasPlace, Now: e.now, Elapsed: c.Elapsed,
	})
	e.sealing.accounts = e.accounts
	e.buckets = buckets.New(buckets.Config{
		Store: e.store, Records: e.records, Accounts: e.accounts, Blobs: e.blobs, Provider: e.provider, Deployment: e.deployment, SealAs: e.sealing.As,
		Damaged: e.damage.Settings, Region: c.Region, MaxBuckets: c.MaxBuckets, Now: e.now, KeysTTL: c.KeysCache, Elapsed: c.Elapsed,
		Revocations: e.revocations,
	})
}

// derived is a key for one use of the system's seed.
func derived(seed encrypt.Seed, use string) []byte {
	k, err := hkdf.Key(sha256.New, seed[:], nil, use, sha256.Size)
	if err != nil { // only for impossible lengths
		panic(err)
	}
	return k
}

// Accounts are those of the deployment, for as long as the Engine is open.
func (e *Engine) Accounts() *accounts.Accounts { return e.accounts }

// Blobs are those of the deployment, for as long as the Engine is open.
func (e *Engine) Blobs() *blobs.Blobs { return e.blobs }

// Buckets are those of the deployment, for as long as the Engine is open.
func (e *Engine) Buckets() *buckets.Buckets { return e.buckets }

// Damage are the reports of what was met of stored data that is not what was written.
func (e *Engine) Damage() *damage.Reports { return e.damage }

// Revocations are the keys that were revoked, for as long as the Engine is open.
func (e *Engine) Revocations() *Revocations { return e.revocations }

// Sealing is how much of the deployment is sealed, for as long as the Engine is open.
func (e *Engine) Sealing() *Sealing { return e.sealing }

// Deployment is the id of the deployment.
func (e *Engine) Deployment() meta.ID { return meta.ID(e.deployment) }

// Close gives back what this process reserved and did not use, and its leases, and
// moves the epochs on if it has changed the store since they moved last. The store,
// backends and key provider stay open. A backend that fails is no error.
func (e *Engine) Close() error {
	if e.readOnly {
		return nil
	}
	// Close is called at the end of the process, when the contexts of its callers have ended.
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	return e.blobs.Close(ctx)
}

// Beat is that of Blobs, and forgets what has expired, though nobody asks for it. It is
// called every blobs.BeatInterval.
func (e *Engine) Beat(ctx context.Context) error {
	e.sweep()
	return e.blobs.Beat(ctx)
}
