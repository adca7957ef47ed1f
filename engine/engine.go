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
// the backend later, by Collect.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Defaults of Config.
const (
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
	Backends []Backend
	// Default names the backend of buckets that demand nothing. With one backend
	// it may be empty.
	Default string
	// Region is the gateway's own: a LocationConstraint that names it demands
	// nothing of a backend.
	Region string
	Keys   encrypt.Provider
	Now    func() time.Time // nil: time.Now
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
	// DefaultMaxBuckets.
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
	store      meta.Store
	changes    *changes
	backends   []Backend // as configured
	fallback   string    // Config.Default
	maxBuckets int
	region     string
	provider   encrypt.Provider
	now        func() time.Time
	elapsed    func() time.Duration
	log        *slog.Logger
	sole       bool
	readOnly   bool
	grace      time.Duration
	expiry     time.Duration
	deployment encrypt.Deployment
	accounts   *accounts.Accounts
	records    *records.Records
	system     *encrypt.SystemKeys
	// wrappedSeed is what the system keys come from, as the provider wrapped it.
	wrappedSeed []byte
	markerKeys  markerKeys
	nameHashes  sync.Pool // of hash.Hash, keyed by markerKeys.names, for KeyHash
	holder      meta.ID   // names this process's reservations
	sealed      sealingState
	registry    registry
	late        lateBackends
	answers     map[string]*answer // by name of the configured backend; never changed
	unreleased  unreleased
	copies      keptCopies

	transitionClasses func([]byte) ([]string, error) // Config.TransitionClasses

	onDamage atomic.Pointer[func(*Damage)] // see OnDamage

	overtaken overtakenMarkers
	suspected atomic.Bool // others may have taken this process for dead before
	doubtful  atomic.Pointer[map[meta.BackendID]int64]
	remembered
	readingSettings *fair.Turns[meta.ID] // by owner
	watch           holderWatch
	leases          heldLeases
	beating         sync.Mutex
	beaten          atomic.Int64 // when the store last saw a sign of life, by elapsed
	collecting      sync.Mutex
	trimFrom        time.Time                        // see trim; under collecting
	sweptAt         map[meta.BackendID]time.Duration // by elapsed; see sweepBackends; under collecting
	resealing       sync.Mutex
	reading         readings
	moving          sync.Mutex
	provenMoves     map[meta.BackendID]*provenMoves // of backends that drain; under moving
}

// Open opens the deployment in the store, or begins a new one when the store is
// empty. The error contains encrypt.ErrWrongKey when the provider holds another
// key than the one the deployment was begun with.
func Open(ctx context.Context, c Config) (*Engine, error) {
	if err := checkBackends(&c); err != nil {
		return nil, err
	}
	e := newEngine(&c)
	d, err := c.Store.Deployment(ctx)
	if errors.Is(err, meta.ErrNotFound) && !c.ReadOnly {
		if err := e.begin(ctx); err != nil {
			return nil, fmt.Errorf("begin a new deployment: %w", err)
		}
		d, err = c.Store.Deployment(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read the deployment: %w", err)
	}
	if err := e.adopt(ctx, d); err != nil {
		return nil, err
	}
	if err := e.enlist(ctx); err != nil {
		return nil, fmt.Errorf("read the deployment: %w", err)
	}
	if err := e.attach(ctx, c.AcceptStore); err != nil {
		return nil, err
	}
	return e, nil
}

func newEngine(c *Config) *Engine {
	ch := new(changes)
	e := &Engine{
		store: &watchedStore{c.Store, ch}, changes: ch, backends: c.Backends, fallback: c.Default, region: c.Region, provider: c.Keys,
		now: c.Now, elapsed: c.Elapsed, log: c.Log, sole: c.Sole, readOnly: c.ReadOnly,
		transitionClasses: c.TransitionClasses, grace: c.Grace, expiry: c.UploadExpiry,
		holder:     meta.NewID(),
		remembered: newRemembered(), readingSettings: fair.NewTurns[meta.ID](settingReads),
	}
	e.answers = make(map[string]*answer, len(c.Backends))
	for _, b := range c.Backends {
		e.answers[b.Name] = &answer{began: -1}
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.elapsed == nil {
		start := time.Now()
		e.elapsed = func() time.Duration { return time.Since(start) }
	}
	e.beaten.Store(int64(e.elapsed()))
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.maxBuckets = c.MaxBuckets; e.maxBuckets <= 0 {
		e.maxBuckets = DefaultMaxBuckets
	}
	switch {
	case e.grace == 0:
		e.grace = DefaultGrace
	case e.grace < 0:
		e.grace = 0
	}
	if e.expiry == 0 {
		e.expiry = DefaultUploadExpiry
	}
	return e
}

// attach makes the configured backends usable.
func (e *Engine) attach(ctx context.Context, accept bool) error {
	if e.readOnly {
		_, err := e.refresh(ctx)
		return err
	}
	if err := e.reconcile(ctx, accept); err != nil {
		return err
	}
	if accept {
		if err := e.AcceptStore(ctx); err != nil {
			return fmt.Errorf("accept the restored store: %w", err)
		}
	}
	return e.proveAll(ctx)
}

// systemGeneration is the only generation of the system seed so far.
const systemGeneration = 1

// begin writes the deployment's row. The epoch's markers go first: a row without
// them would look like a store that was rolled back.
func (e *Engine) begin(ctx context.Context) error {
	d := meta.Deployment{ID: meta.NewID(), Created: e.now(), Sealing: meta.SealingWhole}
	root := meta.Tenant{ID: meta.NewID(), Name: accounts.RootName, Created: d.Created}
	d.Root = root.ID
	seed := encrypt.NewSeed()
	var err error
	if d.Seed, err = e.provider.Wrap(ctx, systemContext(d.ID), seed[:]); err != nil {
		return err
	}
	e.know(d.ID, seed)
	if err := errors.Join(e.sealDeployment(&d), e.accounts.SealTenant(d.Sealing, &root)); err != nil {
		return err
	}
	b := e.configuredAs(e.fallback)
	first := meta.Backend{ID: meta.FirstBackend, Name: b.Name, State: meta.BackendActive, Created: d.Created, Epoch: firstEpoch}
	if err := e.putMarkers(ctx, b, first, first.Epoch); err != nil {
		return fmt.Errorf("backend %s: %w", b.Name, err)
	}
	err = e.store.InitDeployment(ctx, d, root, first)
	if errors.Is(err, meta.ErrUnknown) {
		var now meta.Deployment
		if now, err = e.store.Deployment(ctx); err == nil && now.ID != d.ID {
			err = meta.ErrExists
		}
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, meta.ErrExists) { // another gateway was first, and its markers are others
		return b.Delete(ctx, e.markersOf(first, first.Epoch)...)
	}
	return err
}

func systemContext(deployment meta.ID) encrypt.Context {
	return encrypt.Context{Deployment: encrypt.Deployment(deployment), Purpose: "system", ID: deployment, Generation: systemGeneration}
}

// adopt proves that the provider's key is the deployment's.
func (e *Engine) adopt(ctx context.Context, d meta.Deployment) error {
	raw, err := e.provider.Unwrap(ctx, systemContext(d.ID), d.Seed)
	if err != nil {
		return fmt.Errorf("the key provider %q does not open this deployment: %w", e.provider.Name(), err)
	}
	e.know(d.ID, encrypt.Seed(raw))
	e.wrappedSeed = d.Seed
	if err := e.observe(d, e.sealing()); err != nil {
		return err
	}
	return e.accounts.Adopt(ctx, d.Root)
}

// know takes what is derived from the system's seed.
func (e *Engine) know(deployment meta.ID, seed encrypt.Seed) {
	e.deployment = encrypt.Deployment(deployment)
	e.system = encrypt.DeriveSystemKeys(seed, e.deployment, systemGeneration)
	e.markerKeys = newMarkerKeys(seed)
	e.records = records.New(e.system, e.sealing)
	e.accounts = accounts.New(accounts.Config{
		Store: e.store, Records: e.records, SealAs: e.sealAs, HasPlace: e.HasPlace, Now: e.now, Elapsed: e.elapsed,
	})
}

// Accounts are those of the deployment, for as long as the Engine is open.
func (e *Engine) Accounts() *accounts.Accounts { return e.accounts }

// Deployment is the id of the deployment.
func (e *Engine) Deployment() meta.ID { return meta.ID(e.deployment) }

// Close gives back what this process reserved and did not use, and its leases, and
// moves the epochs on if it has changed the store since they moved last. The store,
// backends and key provider stay open. A backend that fails is no error.
func (e *Engine) Close() error {
	if e.readOnly {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	err := errors.Join(e.releaseAll(ctx), e.releaseKept(ctx), e.dropLeases(ctx))
	e.cover(ctx, e.registry.now.Load())
	return err
}
