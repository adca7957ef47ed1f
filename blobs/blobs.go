// Package blobs is the ledger and the places of sealed bytes. It reserves a blob before
// its first byte is written, finds the backend of one that is read, moves blobs from one
// backend to another, and deletes those that nothing refers to. It holds each backend's
// storage against the store, and writes and deletes nothing where the two disagree.
//
// It never seals or opens anything, and knows no object, setting or manifest. It deletes
// three things beside its own markers: what the ledger condemned before the grace began
// (deleteDead), what this process wrote itself and the ledger does not know
// (deleteUnknown), and a copy that it has just made and that is not what it was made of
// (remakeOne). A blob that the ledger calls reserved, live or in doubt is none of these.
// Nothing outside can delete: a Place is written to and read.
//
// Errors that the client is to be told of carry an s3err.Code. Everything else is an
// internal fault.
package blobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// BeatInterval is the pause between two calls of Beat.
	BeatInterval = 5 * time.Second
	// PlaceTTL is how long it is remembered where a blob is. A blob that moved leaves its
	// copy for Config.Grace, and a reader that does not find it looks again.
	PlaceTTL = time.Minute
	// MaxPlaceBytes bounds what is remembered of the places of blobs, in bytes.
	MaxPlaceBytes = 12 << 20
)

// Config is what Blobs work with. The caller keeps ownership of the store and the
// backends, and closes them after Close. Every field is set, unless it says otherwise.
type Config struct {
	Store      *CountedStore
	Deployment meta.ID
	Keys       MarkerKeys
	// Backends are the places for blobs. Each that the store knows and that is not
	// retired must be among them; one that the store does not know is registered. Without
	// writing there may be fewer.
	Backends []Backend
	Default  string // of DefaultBackend
	Now      func() time.Time
	Elapsed  func() time.Duration // since some moment, by a clock that never steps
	Log      *slog.Logger
	// Sole says that this process is the store's only gateway, so that reservations of
	// earlier processes are abandoned for certain.
	Sole     bool
	ReadOnly bool // nothing is written, neither to the store nor to a backend
	// Grace is how long a condemned blob is kept for readers that began before. It is
	// also how long a blob that was moved stays where it was.
	Grace   time.Duration
	Sealing Sealing
	// Revocations are held against the markers of each backend.
	Revocations Revocations
	Buckets     Buckets
	Prover      Prover
	// Damaged is told of damage that was met in a move, and returns the error that the
	// move ends with, which wraps the cause.
	Damaged func(Damage) error
	// Possible reports whether a blob can have so many sealed bytes.
	Possible func(sealed int64) bool
	// Sealed is how many sealed bytes a blob of so many plain ones has; 0: no blob has so many.
	Sealed func(plain int64) int64
	// Before and After are steps of Collect that concern no blob: those that make rows
	// ready to be swept, and those that come after the sweep.
	Before, After []Step
}

// Sealing is how much of the deployment is sealed, as this process knows it.
type Sealing interface {
	// Now is what holds. It never becomes less.
	Now() meta.Sealing
	// Writing is the lowest sealing by which a write of this process may be under way.
	Writing() meta.Sealing
	// Reread learns from the store what holds.
	Reread(ctx context.Context) error
}

// Buckets are asked what their rows demand of the place of their bytes.
type Buckets interface {
	// Again reads a bucket's row anew. Errors: NoSuchBucket, also where another bucket
	// has its name.
	Again(ctx context.Context, b meta.Bucket) (meta.Bucket, error)
	// Prove holds a row against what is sealed of it.
	Prove(b *meta.Bucket) error
}

// Blobs serve any number of goroutines at once.
type Blobs struct {
	c          Config
	holder     meta.ID // names this process's reservations
	registry   registry
	pending    pendingBackends
	answers    map[string]*answer // by name of the configured backend; never changed
	unreleased unreleased
	copies     keptCopies
	overtaken  overtakenMarkers
	suspected  atomic.Bool // others may have taken this process for dead before
	doubtful   atomic.Pointer[map[meta.BackendID]int64]
	remembered *bounded.Cache[meta.BlobID, meta.BackendID]
	watch      holderWatch
	leases     heldLeases
	beating    sync.Mutex
	beaten     atomic.Int64 // when the store last saw a sign of life, by Elapsed
	collecting sync.Mutex
	sweptAt    map[meta.BackendID]time.Duration // by Elapsed; see sweepBackends; under collecting
	unanswered map[meta.BlobPosition]unanswered // by the last pass of Collect; under collecting
	// unansweredAt counts them by backend.
	unansweredAt atomic.Pointer[map[meta.BackendID]int64]
	seekAfter    meta.ObjectPosition // see proofsOf; under collecting
	reading      readings
	moving       sync.Mutex
	proven       map[meta.BackendID]*provenMoves // of backends that drain; under moving
}

// New returns the blobs of a deployment. Before their use, Attach has to succeed.
func New(c Config) *Blobs {
	bs := &Blobs{
		c: c, holder: meta.NewID(), answers: make(map[string]*answer, len(c.Backends)),
		remembered: bounded.New(bounded.Options[meta.BlobID, meta.BackendID]{Bytes: MaxPlaceBytes, TTL: PlaceTTL}),
	}
	bs.c.Backends = slices.Clone(c.Backends) // the caller's stay as they are
	for i := range bs.c.Backends {
		b := &bs.c.Backends[i]
		b.Backend = watch(b.Backend, b.CallTimeout)
		bs.answers[b.Name] = &answer{began: -1}
	}
	bs.beaten.Store(int64(bs.c.Elapsed()))
	return bs
}

// Attach makes the configured backends usable: it registers the new ones, and holds each
// one's storage against the store. accept: the store is accepted as it is, see AcceptStore.
func (bs *Blobs) Attach(ctx context.Context, accept bool) error {
	if bs.c.ReadOnly {
		// A process that only reads registers nothing and puts no marker, so it may look at a
		// store that disagrees. Inspection reports the disagreement.
		return bs.Refresh(ctx)
	}
	if err := bs.reconcile(ctx, accept); err != nil {
		return err
	}
	if accept {
		if err := bs.AcceptStore(ctx); err != nil {
			return err
		}
	}
	// Last, so that an accepted store is held against the markers that its acceptance wrote.
	return bs.proveAll(ctx)
}

// Holder is the id under which this process reserves. A commit names it.
func (bs *Blobs) Holder() meta.ID { return bs.holder }

// Caches are what is remembered, for the sweep of what has expired.
func (bs *Blobs) Caches() []bounded.Swept { return []bounded.Swept{bs.remembered} }

// Close gives back what this process reserved and did not use, and its leases, and
// moves the epochs on if it has changed the store since they moved last. A backend that
// fails is no error.
func (bs *Blobs) Close(ctx context.Context) error {
	err := errors.Join(bs.releaseAll(ctx), bs.releaseKept(ctx), bs.dropLeases(ctx))
	bs.cover(ctx, bs.registry.now.Load())
	return err
}
