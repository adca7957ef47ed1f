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
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// Defaults of Config.
const (
	DefaultGrace        = 10 * time.Minute
	DefaultUploadExpiry = 7 * 24 * time.Hour
)

// Config is what an Engine works with. The caller keeps ownership of the
// store, backend and key provider, and closes them after the Engine.
type Config struct {
	Store   meta.Store
	Backend backends.Backend
	Keys    encrypt.Provider
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: nothing is logged
	// Sole says that this process is the store's only gateway, so that
	// reservations of earlier processes are abandoned for certain.
	Sole bool
	// ReadOnly opens an existing deployment for Fsck and changes nothing.
	ReadOnly bool
	// Grace is how long a condemned blob is kept for readers that began
	// before; 0 means DefaultGrace, negative none.
	Grace time.Duration
	// UploadExpiry is the age at which an open upload is aborted; 0 means
	// DefaultUploadExpiry.
	UploadExpiry time.Duration
}

// Engine serves any number of goroutines at once.
type Engine struct {
	store      meta.Store
	backend    backends.Backend
	provider   encrypt.Provider
	now        func() time.Time
	log        *slog.Logger
	sole       bool
	readOnly   bool
	grace      time.Duration
	expiry     time.Duration
	deployment encrypt.Deployment
	root       meta.User
	system     *encrypt.SystemKeys
	markerKey  []byte
	holder     meta.ID // names this process's reservations
	pool       reservations
	keys       cache[meta.ID, map[uint32]*encrypt.BucketKeys]
	creds      cache[string, Credential]
	rootCred   credentialSlot
	abandoned  holderWatch
	collecting sync.Mutex
}

// Open opens the deployment in the store, or begins a new one when the store is
// empty. The error contains encrypt.ErrWrongKey when the provider holds another
// key than the one the deployment was begun with.
func Open(ctx context.Context, c Config) (*Engine, error) {
	e := &Engine{
		store: c.Store, backend: c.Backend, provider: c.Keys,
		now: c.Now, log: c.Log, sole: c.Sole, readOnly: c.ReadOnly,
		grace: c.Grace, expiry: c.UploadExpiry,
		holder: meta.NewID(),
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
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
	e.keys = newCache[meta.ID, map[uint32]*encrypt.BucketKeys](maxCachedBuckets, bucketKeysTTL)
	e.creds = newCache[string, Credential](maxCachedCredentials, CredentialTTL)
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
	return e, nil
}

// systemGeneration is the only generation of the system seed so far.
const systemGeneration = 1

// begin writes the deployment's row. The epoch marker goes first: a row without
// its marker would look like a store that was rolled back.
func (e *Engine) begin(ctx context.Context) error {
	d := meta.Deployment{ID: meta.NewID(), Created: e.now(), Epoch: 1}
	root := meta.User{ID: meta.NewID(), Name: RootName, Created: d.Created}
	d.Root = root.ID
	seed := encrypt.NewSeed()
	var err error
	if d.Seed, err = e.provider.Wrap(ctx, systemContext(d.ID), seed[:]); err != nil {
		return err
	}
	e.deployment, e.markerKey = encrypt.Deployment(d.ID), markerKey(seed)
	if err := e.putMarker(ctx, d.Epoch); err != nil {
		return err
	}
	err = e.store.InitDeployment(ctx, d, root)
	if errors.Is(err, meta.ErrExists) { // another gateway was first
		return nil
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
	seed := encrypt.Seed(raw)
	e.deployment = encrypt.Deployment(d.ID)
	e.system = encrypt.DeriveSystemKeys(seed, e.deployment, systemGeneration)
	e.markerKey = markerKey(seed)
	if e.root, err = e.store.User(ctx, d.Root); err != nil {
		return fmt.Errorf("read the root user: %w", err)
	}
	return nil
}

// markerKey names the epoch markers, so that a provider cannot tell them from
// other blobs.
func markerKey(seed encrypt.Seed) []byte {
	k, err := hkdf.Key(sha256.New, seed[:], nil, "sanctum/1/epoch-marker", sha256.Size)
	if err != nil { // only for impossible lengths
		panic(err)
	}
	return k
}

// Deployment is the id of the deployment.
func (e *Engine) Deployment() meta.ID { return meta.ID(e.deployment) }

// Root is the user who may do everything.
func (e *Engine) Root() meta.User { return e.root }

// Close gives back what this process reserved and did not use. The store,
// backend and key provider stay open.
func (e *Engine) Close() error {
	if e.readOnly {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	return e.releaseAll(ctx)
}

// Ready reports whether requests can be served right now.
func (e *Engine) Ready(ctx context.Context) error {
	if err := e.store.Check(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := e.backend.Check(ctx); err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	return nil
}
