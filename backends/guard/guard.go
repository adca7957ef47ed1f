// Package guard stands between the engine and a backend on the far side of a
// network: it bounds how long and how often the backend is asked, asks again
// where that is safe, and stops asking while the backend is away.
//
// From the outside in, a call passes
//
//	limit     at most MaxConcurrent at once; who waits too long is told to slow down
//	retries   with full jitter, for calls that may be repeated, out of a budget
//	          that keeps an outage from being multiplied
//	breaker   refuses at once while the backend is away or silent, and lets single
//	          calls through to see whether it is back
//	timeouts  for a whole attempt, or for each step of a body
//
// A body that breaks off is resumed where it broke: blobs never change, and
// their bytes are authenticated above. A Put is not repeated once its reader has
// been touched, since a stream cannot be had twice: the gateway's client repeats
// it.
//
// The package never changes, keeps or judges bytes, never hides what the backend
// said for certain (not found, exists, denied, corrupt), starts no goroutines,
// and leaves Retry-After to the caller where it asks for more patience than a
// request has.
package guard

import (
	"context"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// Defaults of Options.
const (
	DefaultMaxConcurrent = 512
	DefaultQueueTimeout  = 5 * time.Second
	DefaultTimeout       = 5 * time.Second
	DefaultDeleteTimeout = 60 * time.Second
	DefaultStallTimeout  = 15 * time.Second
)

const (
	// Pace is how fast a backend makes what it was sent durable, in bytes per second,
	// at the least: the answer to a long body may take so much longer.
	Pace = 16 << 20
	// MaxAllowance bounds that.
	MaxAllowance = 2 * time.Minute
)

// Options tune a Guard; what is 0 is the default.
type Options struct {
	// MaxConcurrent calls are under way at once, counting a Get until its reader
	// is closed; another waits at most QueueTimeout and then is ErrThrottled.
	MaxConcurrent int
	QueueTimeout  time.Duration
	// Timeout bounds one attempt of Get until it returns, of Stat and Check, and one step
	// of List. No attempt is begun later than that after the call: so a call takes twice
	// as long at the most. Put may take as long after the end of its body, and longer by
	// Pace. DeleteTimeout bounds one attempt of Delete, which may mean a thousand requests.
	Timeout       time.Duration
	DeleteTimeout time.Duration
	// StallTimeout bounds each Read of Get's reader, and how long a Put may go on
	// without asking for more of its body, and longer by Pace. Time that Put waits for its
	// caller's reader does not count.
	StallTimeout time.Duration
	// SilenceAfter is when a call that waits is overdue. 0: half of Timeout.
	SilenceAfter time.Duration
}

func (o Options) complete() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.QueueTimeout, DefaultQueueTimeout}, {&o.Timeout, DefaultTimeout}, {&o.DeleteTimeout, DefaultDeleteTimeout},
		{&o.StallTimeout, DefaultStallTimeout},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.SilenceAfter <= 0 {
		o.SilenceAfter = o.Timeout / 2
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = DefaultMaxConcurrent
	}
	return o
}

// Guard is a backends.Backend around another. Make one with New.
type Guard struct {
	b       backends.Backend
	opts    Options
	slots   chan struct{}
	budget  budget
	breaker breaker
	silence silence
	stats   counters
}

var (
	_ backends.Backend = (*Guard)(nil)
	_ backends.Sweeper = (*Guard)(nil)
)

// New guards b, which is the Guard's from now on: Close closes it.
func New(b backends.Backend, o Options) *Guard {
	o = o.complete()
	g := &Guard{b: b, opts: o, slots: make(chan struct{}, o.MaxConcurrent)}
	g.budget.fill()
	g.silence.hear(time.Now())
	return g
}

// Stat implements backends.Backend.
func (g *Guard) Stat(ctx context.Context, id backends.BlobID) (info backends.Info, err error) {
	err = g.call(ctx, Stat, idempotent, func(ctx context.Context) error {
		return g.within(ctx, g.opts.Timeout, func(ctx context.Context) (err error) {
			info, err = g.b.Stat(ctx, id)
			return err
		})
	})
	if err != nil {
		return backends.Info{}, err
	}
	return info, nil
}

// Delete implements backends.Backend.
func (g *Guard) Delete(ctx context.Context, ids ...backends.BlobID) error {
	return g.call(ctx, Delete, idempotent, func(ctx context.Context) error {
		return atMost(ctx, g.opts.DeleteTimeout, func(ctx context.Context) error { return g.b.Delete(ctx, ids...) })
	})
}

// Sweep implements backends.Sweeper. It is never repeated, and counted as a Delete.
func (g *Guard) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	err = g.call(ctx, Delete, never, func(ctx context.Context) error {
		return atMost(ctx, g.opts.DeleteTimeout, func(ctx context.Context) (err error) {
			removed, err = backends.Sweep(ctx, g.b, before)
			return err
		})
	})
	return removed, err
}

// Check implements backends.Backend. It is never repeated: it asks how the
// backend is now. After an outage it may be the call that closes the breaker.
func (g *Guard) Check(ctx context.Context) error {
	return g.call(ctx, Check, never, func(ctx context.Context) error {
		return g.within(ctx, g.opts.Timeout, g.b.Check)
	})
}

// Close closes the backend.
func (g *Guard) Close() error { return g.b.Close() }

// call is a call of one of the methods that keep nothing open.
func (g *Guard) call(ctx context.Context, op Op, again func(error) bool, attempt func(context.Context) error) error {
	err := g.enter(ctx)
	if err == nil {
		defer g.leave()
		err = g.retry(ctx, again, attempt)
	}
	g.stats.count(op, err)
	return err
}

// enter takes a slot, which leave gives back.
func (g *Guard) enter(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	g.budget.earn()
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(g.opts.QueueTimeout)
	defer patience.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-patience.C:
		return &backends.Throttled{Err: fmt.Errorf("%d calls are under way", g.opts.MaxConcurrent)}
	}
}

func (g *Guard) leave() { <-g.slots }

// ended is the reason why ctx has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
