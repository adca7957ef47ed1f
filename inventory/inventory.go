// Package inventory writes lists of a bucket's objects into another bucket: the stored
// configurations, and the bounded steps that write the lists. It lists rows that the engine
// has proven and writes objects only through the engine. It never overwrites an object, and
// starts no goroutine: package workers paces its steps.
package inventory

import (
	"context"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// Store is what the steps read. Every row is proven by the engine before it is listed.
// meta.Store implements it.
type Store interface {
	ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error)
	ListVersions(ctx context.Context, q meta.VersionQuery) (meta.VersionPage, error)
	Object(ctx context.Context, bucket meta.ID, key string) (meta.Version, error)
}

// Delivery is an object that a list is about to be written as.
type Delivery struct {
	From, To meta.Bucket
	Key      string
	// ByPolicy: the maker of the configuration had no right to write to the target. The
	// target's policy allows the service to, and must still do so.
	ByPolicy bool
}

// Config is what Steps work with. The caller keeps ownership of the store and the
// engine, and ends all steps before it closes them.
type Config struct {
	Engine *engine.Engine
	Store  Store            // the engine's
	Now    func() time.Time // nil: time.Now
	// Permit is called before each object of a list is written and decides whether the
	// target's settings still allow that; an error prevents it. It must not be nil.
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
