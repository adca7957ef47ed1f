// Package lifecycle has the lifecycle rules of buckets: the stored document, the judgement
// which versions and uploads a rule applies to and when, and the bounded steps that carry
// rules out. It decides by rows that the engine has proven. It acts only through the
// engine, on the condition that nothing has changed since the judgement. It reads no XML,
// never writes to the store itself, and starts no goroutine: package workers paces its
// steps.
package lifecycle

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// Store is what the steps read pages of. Every row is proven by the engine before
// anything is decided by it.
type Store interface {
	ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error)
	ListVersions(ctx context.Context, q meta.VersionQuery) (meta.VersionPage, error)
	ListUploads(ctx context.Context, q meta.UploadQuery) (meta.UploadPage, error)
}

// Config is what Steps work with. The caller keeps ownership of the store and the
// engine, and ends all steps before it closes them.
type Config struct {
	Engine *engine.Engine
	Store  Store            // the engine's
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nothing is logged
	// Tell is called after each act of a lifecycle on this gateway. It runs within the step
	// and must not block. An act is not reported if the gateway is killed right after it.
	// nil: no act is reported.
	Tell func(Event)
}

// Steps carry out the rules of all buckets. They serve any number of goroutines at once.
type Steps struct {
	engine *engine.Engine
	store  Store
	now    func() time.Time
	log    *slog.Logger
	tell   func(Event)
	mu     sync.Mutex
	round  round // guarded by mu
}

// New returns the steps of a deployment. It starts nothing.
func New(c Config) *Steps {
	s := &Steps{engine: c.Engine, store: c.Store, now: c.Now, log: c.Log, tell: c.Tell}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}
