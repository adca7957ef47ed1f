// Package guard stands between the engine and a remote backend: it limits the time
// and number of attempts, retries where that is safe, and stops sending requests
// while the backend is away.
//
// # From the outside in, a call passes
//
// limit     at most MaxConcurrent at once; a call that waits too long gets ErrThrottled
// retries   with full jitter, for calls that may be repeated, from a budget
//
//	that keeps retries from multiplying an outage
//
// breaker   refuses at once while the backend is away or silent, and lets single
//
//	calls through to see whether it is back
//
// timeouts  for a whole attempt, or for each step of a body
//
// Reading a body is resumed where it broke off: blobs never change, and the caller
// authenticates their bytes. A Put is not repeated after its reader was used,
// because a stream cannot be read twice: the gateway's client repeats it.
//
// The package never changes, keeps or judges bytes, never hides a definite answer
// of the backend (not found, exists, denied, corrupt), and starts no goroutines. A
// Retry-After that is longer than a request should wait is returned to the caller.
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
	// Pace is the assumed minimum speed, in bytes per second, at which a backend
	// makes received bytes durable. It extends the time limit of the answer to a
	// long body.
	Pace = 16 << 20
	// MaxAllowance bounds that extension.
	MaxAllowance = 2 * time.Minute
)

// Options configure a Guard; zero values are the defaults.
type Options struct {
	// MaxConcurrent is the number of calls at once. A Get counts until its reader
	// is closed. Another call waits at most QueueTimeout and then gets
	// ErrThrottled.
	MaxConcurrent int
	QueueTimeout  time.Duration
	// Timeout bounds one attempt of Get until it returns, of Stat and Check, and
	// one step of List. No attempt begins later than that after the call, so a call
	// takes at most twice as long. A Put may take twice as long after the end of
	// its body, extended by Pace. DeleteTimeout bounds one attempt of Delete, which
	// may need a thousand requests.
	Timeout       time.Duration
	DeleteTimeout time.Duration
	// StallTimeout bounds each Read of Get's reader, and the time, extended by
	// Pace, in which a Put does not ask for more of its body. The time that Put
	// waits for its caller's reader does not count.
	StallTimeout time.Duration
	// SilenceAfter is when a waiting call is overdue. 0: half of Timeout.
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

// New guards b and takes it over: Close closes it.
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

// Sweep implements backends.Sweeper. It is never repeated, and counts as a Delete.
func (g *Guard) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	err = g.call(ctx, Delete, never, func(ctx context.Context) error {
		return atMost(ctx, g.opts.DeleteTimeout, func(ctx context.Context) (err error) {
			removed, err = backends.Sweep(ctx, g.b, before)
			return err
		})
	})
	return removed, err
}

// Check implements backends.Backend. It is never repeated, because it asks for the
// current state. After an outage it may be the call that closes the breaker.
func (g *Guard) Check(ctx context.Context) error {
	return g.call(ctx, Check, never, func(ctx context.Context) error {
		return g.within(ctx, g.opts.Timeout, g.b.Check)
	})
}

// Close closes the backend.
func (g *Guard) Close() error { return g.b.Close() }

// call runs a method that keeps nothing open.
func (g *Guard) call(ctx context.Context, op Op, again func(error) bool, attempt func(context.Context) error) error {
	err := g.enter(ctx)
	if err == nil {
		defer g.leave()
		err = g.retry(ctx, again, attempt)
	}
	g.stats.count(op, err)
	return err
}

// enter takes a slot, which leave returns.
func (g *Guard) enter(ctx context.Context) error {
	if err := backends.Ended(ctx); err != nil {
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
