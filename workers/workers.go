// Package workers paces the background steps of the engine, of lifecycles and
// of inventories. It decides when they run, and they decide what to do. It has
// no logic of storage, and none of its goroutines outlives Stop.
package workers

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/reseal"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/rotate"
)

const (
	// DefaultCollectInterval is the pause between two passes of collection.
	DefaultCollectInterval = time.Minute
	// BeatInterval is the pause between two signs of life of this process.
	// Another gateway may take over the reservations of a process that is
	// silent for many of these.
	BeatInterval = blobs.BeatInterval
	// DefaultMoveInterval is the pause between two looks for a backend to
	// drain.
	DefaultMoveInterval = 15 * time.Second

	// UsageInterval is the pause between two looks for changes of usage to add up.
	UsageInterval = 15 * time.Second

	// DefaultResealInterval is the pause between two looks for rows of an old
	// store to seal. A look costs nothing after the last one.
	DefaultResealInterval = 15 * time.Second

	// DefaultRewrapInterval is the pause between two looks for a job that rewraps
	// seeds. A look without one costs one row.
	DefaultRewrapInterval = 5 * time.Second

	// KeysInterval is the pause between two looks for whether the keys of this process may
	// still be used. A look for what the provider says costs nothing most of the time, and one
	// for revocations a row. It is not longer after a failure.
	KeysInterval = 2 * time.Second

	// DefaultLifecycleInterval is the pause between two looks for buckets whose
	// rules are due. A look costs one page of buckets.
	DefaultLifecycleInterval = 5 * time.Minute
	// DefaultLifecycleRate bounds the cost of lifecycles, in rows per second.
	// It leaves requests nearly all of their speed: removals hold the one
	// writer of a SQLite store. docs/performance.md has the measurements.
	DefaultLifecycleRate = 2500
	// logInterval is the pause between two calls of the deliverer, which
	// decides whether records are due.
	logInterval = 10 * time.Second
	// changeRows is the cost of removing or changing a version, in rows.
	changeRows = 20

	// backlogPause is the pause between bounded passes while there is more to
	// do, so that a long backlog leaves room for requests.
	backlogPause = 50 * time.Millisecond
	// jitter is the fraction by which pauses vary to either side, so that
	// several gateways over one store do not step at the same moment.
	jitter = 0.1
	// maxBackoff bounds the pause while a step fails, in intervals.
	maxBackoff = 8
)

// Names of the workers in metrics and logs.
const (
	Collector = "collector"
	Heartbeat = "heartbeat"
	Usage     = "usage"
	Checker   = "checker"
	Mover     = "mover"
	Lifecycle = "lifecycle"
	Logs      = "logs"
	Inventory = "inventory"
	Resealer  = "resealer"
	Rewrapper = "rewrapper"
	Keys      = "keys"
	Revoked   = "revocations"
	Rotator   = "rotator"
)

// Engine has the steps that concern no backend; *engine.Engine implements it.
type Engine interface {
	// Beat shows that this process lives.
	Beat(ctx context.Context) error
	// FoldUsage adds up changes of usage. more reports whether another step has work at
	// once.
	FoldUsage(ctx context.Context) (more bool, err error)
}

// KeyWatcher ends the keys that were taken away; *engine.Engine implements it.
type KeyWatcher interface {
	WatchKeys(ctx context.Context) error
	WatchRevocations(ctx context.Context) error
}

// Blobs are the bounded steps of the ledger and its backends; *blobs.Blobs has them.
type Blobs interface {
	Collect(ctx context.Context) (blobs.CollectReport, error)
	Move(ctx context.Context) (blobs.MoveReport, error)
	BackendNames() []string
	CheckBackend(ctx context.Context, name string) error
}

// Resealing is the bounded steps that seal an old store whole; *reseal.Steps
// implements them.
type Resealing interface {
	Step(ctx context.Context) (reseal.Report, error)
}

// Rewrapping is the bounded steps that bring seeds under another key; *rewrap.Steps
// implements them.
type Rewrapping interface {
	Step(ctx context.Context) (rewrap.Report, error)
}

// Rotation is the bounded steps that bring rows under the newest generations of buckets'
// keys; *rotate.Steps implements them.
type Rotation interface {
	Step(ctx context.Context) (rotate.Report, error)
}

// Lifecycles are the bounded steps of lifecycles; *lifecycle.Steps implements
// them.
type Lifecycles interface {
	Step(ctx context.Context) (lifecycle.Report, error)
}

// Inventories are the bounded steps of inventories; *inventory.Steps implements
// them.
type Inventories interface {
	Step(ctx context.Context) (inventory.Report, error)
}

// LogDelivery writes waiting records of requests if they are due, and returns
// how many it delivered and how many were lost.
type LogDelivery func(ctx context.Context) (delivered, dropped int, err error)

// Config says which steps to run and whom to tell.
type Config struct {
	Engine          Engine
	Keys            KeyWatcher // nil: nobody watches them
	Blobs           Blobs
	Resealing       Resealing     // nil: there is none
	Rewrapping      Rewrapping    // nil: there is none
	Rotation        Rotation      // nil: there is none
	Lifecycles      Lifecycles    // nil: there are none
	Inventories     Inventories   // nil: there are none
	CollectInterval time.Duration // 0: DefaultCollectInterval
	BeatInterval    time.Duration // 0: BeatInterval
	MoveInterval    time.Duration // 0: DefaultMoveInterval
	ResealInterval  time.Duration // 0: DefaultResealInterval
	RewrapInterval  time.Duration // 0: DefaultRewrapInterval
	// LifecycleInterval is the pause between two looks for due rules and
	// inventories; 0: DefaultLifecycleInterval. LifecycleRate bounds the cost
	// of each, in rows per second; 0: DefaultLifecycleRate.
	LifecycleInterval time.Duration
	LifecycleRate     int
	DeliverLogs       LogDelivery  // nil: there are none
	Log               *slog.Logger // nil: nothing is logged
	Observe           Observer     // nil: nobody is told
}

// Observer is told of results. It must be safe for concurrent use.
type Observer interface {
	// Step is called after every step, with its error or nil.
	Step(worker string, took time.Duration, err error)
	// Panic is called when a step panicked; Step follows with an error.
	Panic(worker string)
	// Collected is called after every pass of collection, complete or not. Step
	// follows.
	Collected(r blobs.CollectReport)
	// Expired is called after every step of lifecycles. Step follows.
	Expired(r lifecycle.Report)
	// Logged is called after every delivery of records of requests.
	Logged(delivered, dropped int)
	// Listed is called after every step of inventories.
	Listed(r inventory.Report)
	// Resealed is called after every step of sealing an old store whole.
	Resealed(r reseal.Report)
	// Rewrapped is called after every step of rewrapping seeds.
	Rewrapped(r rewrap.Report)
	// Renewed is called after every step of rotating the keys of buckets.
	Renewed(r rotate.Report)
}

// Workers are running workers.
type Workers struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Start runs all workers until ctx ends or Stop is called.
func Start(ctx context.Context, c Config) *Workers {
	if c.CollectInterval == 0 {
		c.CollectInterval = DefaultCollectInterval
	}
	if c.BeatInterval == 0 {
		c.BeatInterval = BeatInterval
	}
	if c.MoveInterval == 0 {
		c.MoveInterval = DefaultMoveInterval
	}
	if c.ResealInterval == 0 {
		c.ResealInterval = DefaultResealInterval
	}
	if c.RewrapInterval == 0 {
		c.RewrapInterval = DefaultRewrapInterval
	}
	if c.LifecycleInterval == 0 {
		c.LifecycleInterval = DefaultLifecycleInterval
	}
	if c.LifecycleRate == 0 {
		c.LifecycleRate = DefaultLifecycleRate
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = nobody{}
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Workers{cancel: cancel}
	w.done.Go(func() { c.pace(ctx, Collector, c.CollectInterval, c.collect) })
	w.done.Go(func() { c.pace(ctx, Heartbeat, c.BeatInterval, c.beat) })
	// By itself, so that no slow deletion delays it: what is not added up, each look at a quota reads.
	w.done.Go(func() { c.pace(ctx, Usage, UsageInterval, c.foldUsage) })
	if c.Keys != nil {
		w.done.Go(func() { c.pace(ctx, Keys, KeysInterval, c.keys) })
		// By itself, because a provider that hangs must not delay a revocation.
		w.done.Go(func() { c.pace(ctx, Revoked, KeysInterval, c.revocations) })
	}
	for _, name := range c.Blobs.BackendNames() { // each by itself, so that one that hangs delays no other
		w.done.Go(func() { c.pace(ctx, Checker, blobs.BackendCheckInterval, c.check(name)) })
	}
	w.done.Go(func() { c.pace(ctx, Mover, c.MoveInterval, c.move) })
	if c.Resealing != nil {
		w.done.Go(func() { c.pace(ctx, Resealer, c.ResealInterval, c.reseal) })
	}
	if c.Rewrapping != nil {
		w.done.Go(func() { c.pace(ctx, Rewrapper, c.RewrapInterval, c.rewrap) })
	}
	if c.Rotation != nil {
		w.done.Go(func() { c.pace(ctx, Rotator, c.RewrapInterval, c.rotate) })
	}
	if c.Lifecycles != nil {
		w.done.Go(func() { c.pace(ctx, Lifecycle, c.LifecycleInterval, c.lifecycle()) })
	}
	if c.Inventories != nil {
		w.done.Go(func() { c.pace(ctx, Inventory, c.LifecycleInterval, c.inventory) })
	}
	if c.DeliverLogs != nil {
		w.done.Go(func() { c.pace(ctx, Logs, logInterval, c.deliverLogs) })
	}
	return w
}

// Stop ends the workers and waits for the steps in progress, which end soon
// because their context does. It may be called more than once.
func (w *Workers) Stop() {
	w.cancel()
	w.done.Wait()
}

// step does one bounded piece of work. It returns the pause until the next if
// there is more to do, or 0. With an error, a pause means that the step still
// made progress and the next one will: a failing item does not delay the rest.
type step func(ctx context.Context) (next time.Duration, err error)

// backlog is the pause before more work.
func backlog(more bool) time.Duration {
	if more {
		return backlogPause
	}
	return 0
}

// pace repeats a step: soon while there is a backlog, else after the interval,
// and more and more rarely while it fails.
func (c *Config) pace(ctx context.Context, name string, interval time.Duration, do step) {
	failures := 0
	var told time.Time // time of the last log line about a partial failure
	for ctx.Err() == nil {
		start := time.Now()
		next, err := c.guarded(ctx, name, do)
		if err != nil && ctx.Err() != nil {
			return // interrupted, which is no failure
		}
		c.Observe.Step(name, time.Since(start), err)
		pause := interval
		switch {
		case err != nil && next > 0:
			pause = next
			if time.Since(told) >= interval {
				told = time.Now()
				c.Log.Warn("background step failed in part", "worker", name, "error", err)
			}
		case err != nil:
			failures++
			pause = interval * time.Duration(min(failures, maxBackoff))
			c.Log.Warn("background step failed", "worker", name, "error", err, "failures", failures)
		default:
			failures = 0
			if next > 0 {
				pause = next
			}
		}
		if !sleep(ctx, spread(pause)) {
			return
		}
	}
}

// guarded turns a panic into an error: a defect in a background step must not
// stop the requests.
func (c *Config) guarded(ctx context.Context, name string, do step) (next time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.Observe.Panic(name)
			c.Log.Error("background step panicked", "worker", name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			next, err = 0, fmt.Errorf("panic: %v", p)
		}
	}()
	return do(ctx)
}

// collect reports a pass of collection, at debug because it is frequent.
func (c *Config) collect(ctx context.Context) (time.Duration, error) {
	r, err := c.Blobs.Collect(ctx)
	c.Observe.Collected(r)
	if n := r.Condemned + r.Doubtful + r.Deleted + r.Swept + r.Expired; n > 0 {
		c.Log.Debug("collected", "condemned", r.Condemned, "doubtful", r.Doubtful, "deleted", r.Deleted,
			"swept", r.Swept, "expired_uploads", r.Expired, "more", r.More)
	}
	return backlog(r.More), err
}

// move reports draining, which an operator waits for, at info.
func (c *Config) move(ctx context.Context) (time.Duration, error) {
	r, err := c.Blobs.Move(ctx)
	if r.Buckets+r.Blobs+r.Stuck+r.Retired > 0 {
		c.Log.Info("draining", "buckets", r.Buckets, "moved_blobs", r.Blobs, "moved_bytes", r.Bytes,
			"stuck_blobs", r.Stuck, "retired_backends", r.Retired, "more", r.More)
	}
	return backlog(r.More), err
}

// reseal reports the upgrade of an old store, at info.
func (c *Config) reseal(ctx context.Context) (time.Duration, error) {
	r, err := c.Resealing.Step(ctx)
	c.Observe.Resealed(r)
	if r.Rows+r.Failed > 0 {
		c.Log.Info("sealing the rows of an old store", "rows_of", r.Stage, "looked_at", r.Rows, "failed", r.Failed, "more", r.More)
	}
	return backlog(r.More && err == nil), err
}

// rewrap reports the rewrapping of seeds, which an operator waits for, at info.
func (c *Config) rewrap(ctx context.Context) (time.Duration, error) {
	r, err := c.Rewrapping.Step(ctx)
	c.Observe.Rewrapped(r)
	if r.Rewrapped+r.Failed > 0 {
		c.Log.Info("rewrapping seeds", "looked_at", r.Looked, "rewrapped", r.Rewrapped, "failed", r.Failed, "more", r.More)
	}
	return backlog(r.More && err == nil), err
}

// rotate reports the rotation of buckets' keys, which an operator waits for, at info.
func (c *Config) rotate(ctx context.Context) (time.Duration, error) {
	r, err := c.Rotation.Step(ctx)
	c.Observe.Renewed(r)
	if r.Rotated+r.Rewrapped+r.Failed > 0 {
		c.Log.Info("rotating the keys of buckets", "rotated_buckets", r.Rotated, "looked_at", r.Looked, "rewrapped", r.Rewrapped, "failed", r.Failed,
			"left", r.Left, "more", r.More)
	}
	return backlog(r.More && err == nil), err
}

// lifecycle is the step of lifecycles. It sums up for one log line all that was
// done until nothing was left.
func (c *Config) lifecycle() step {
	var sum lifecycle.Report
	return func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		r, err := c.Lifecycles.Step(ctx)
		c.Observe.Expired(r)
		sum.Add(r)
		if !r.More {
			if sum.Changed()+sum.Locked+sum.Failed > 0 {
				c.Log.Info("lifecycles carried out", "buckets", sum.Buckets, "rows", sum.Rows, "expired", sum.Expired,
					"removed", sum.Removed, "markers", sum.Markers, "aborted_uploads", sum.Aborted, "moved", sum.Moved,
					"moved_bytes", sum.MovedBytes, "locked", sum.Locked, "failed", sum.Failed)
			}
			sum = lifecycle.Report{}
			return 0, err
		}
		return c.rest(start, r.Rows+r.Searched+changeRows*r.Changed()), err // the turns of others continue
	}
}

// rest is the pause after a step that started at start and cost so many rows.
func (c *Config) rest(start time.Time, rows int) time.Duration {
	return max(time.Duration(rows)*time.Second/time.Duration(c.LifecycleRate)-time.Since(start), backlogPause)
}

// inventory takes a step of one tenant's list.
func (c *Config) inventory(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	r, err := c.Inventories.Step(ctx)
	c.Observe.Listed(r)
	if r.Lists > 0 {
		c.Log.Info("inventory written", "lists", r.Lists)
	}
	if !r.More {
		return 0, err
	}
	return c.rest(start, r.Rows+r.Searched), err // the lists of others continue
}

// deliverLogs warns when records were lost, because they cannot be recovered.
func (c *Config) deliverLogs(ctx context.Context) (time.Duration, error) {
	delivered, dropped, err := c.DeliverLogs(ctx)
	c.Observe.Logged(delivered, dropped)
	if dropped > 0 {
		c.Log.Warn("records of requests were lost", "records", dropped)
	}
	return logInterval, err // the logs of others continue
}

// check asks one backend whether it works. An unavailable one is not a failure
// of the step, which keeps its pace: the engine reports it.
func (c *Config) check(backend string) step {
	return func(ctx context.Context) (time.Duration, error) {
		_ = c.Blobs.CheckBackend(ctx, backend) // it has logged the error
		return 0, nil
	}
}

func (c *Config) beat(ctx context.Context) (time.Duration, error) { return 0, c.Engine.Beat(ctx) }

func (c *Config) foldUsage(ctx context.Context) (time.Duration, error) {
	more, err := c.Engine.FoldUsage(ctx)
	return backlog(more), err
}

// keys keeps its pace when it fails: keys end by themselves, and are to be back soon.
func (c *Config) keys(ctx context.Context) (time.Duration, error) {
	return KeysInterval, c.Keys.WatchKeys(ctx)
}

// revocations keeps its pace for the same reason.
func (c *Config) revocations(ctx context.Context) (time.Duration, error) {
	return KeysInterval, c.Keys.WatchRevocations(ctx)
}

// spread varies a pause at random within the jitter.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
}

// sleep waits for d and reports whether ctx is still active.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// nobody ignores everything.
type nobody struct{}

func (nobody) Step(string, time.Duration, error) {}
func (nobody) Panic(string)                      {}
func (nobody) Collected(blobs.CollectReport)     {}
func (nobody) Expired(lifecycle.Report)          {}
func (nobody) Logged(int, int)                   {}
func (nobody) Listed(inventory.Report)           {}
func (nobody) Resealed(reseal.Report)            {}
func (nobody) Rewrapped(rewrap.Report)           {}
func (nobody) Renewed(rotate.Report)             {}
