// Package inventory writes the lists of their objects that buckets ask for: the stored
// configurations, and the bounded steps that write a list as objects of another bucket.
// It lists by rows that the engine has proven, writes through the engine alone, writes
// over nothing, and starts nothing: workers pace its steps.
package inventory

import (
	"context"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// Store is what the steps read. Every row is proven by the engine before it is listed.
type Store interface {
	ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error)
	ListVersions(ctx context.Context, q meta.VersionQuery) (meta.VersionPage, error)
	Object(ctx context.Context, bucket meta.ID, key string) (meta.Version, error)
}

// Delivery is an object that a list is about to be written as.
type Delivery struct {
	From, To meta.Bucket
	Key      string
	// ByPolicy: the right to write there is not of the one who made the configuration,
	// but of the target's policy for the service, and lasts as long as that says so.
	ByPolicy bool
}

// Config is what Steps work with. The caller keeps ownership of the store and the
// engine, and ends all steps before it closes them.
type Config struct {
	Engine *engine.Engine
	Store  Store            // the engine's
	Now    func() time.Time // nil: time.Now
	// Permit decides, before each object of a list is written, whether the target's owner
	// still lets it; an error keeps it away. It must not be nil.
	Permit func(context.Context, Delivery) error
}

// Steps write the lists of all buckets. They serve any number of goroutines at once.
type Steps struct {
	engine *engine.Engine
	store  Store
	now    func() time.Time
	permit func(context.Context, Delivery) error
	mu     sync.Mutex
	round  round // guarded by mu
}

// New returns the steps of a deployment. It starts nothing.
func New(c Config) *Steps {
	s := &Steps{engine: c.Engine, store: c.Store, now: c.Now, permit: c.Permit}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}
