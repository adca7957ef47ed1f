package guard

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// MaxAttempts is the number of attempts of a call.
	MaxAttempts = 4
	// RetryBase and RetryCap shape the pause before retry k: a random time
	// below the lesser of RetryCap and RetryBase·2^(k-1), "full jitter".
	// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
	RetryBase = 100 * time.Millisecond
	RetryCap  = 5 * time.Second
	// MaxPatience is the longest Retry-After for which the guard waits. A longer
	// one is returned to the caller.
	MaxPatience = 3 * time.Second
	// BudgetRatio is the number of retries that each call earns, and BudgetBurst
	// the most that may be saved: over time, retries add at most a fifth to the
	// load.
	BudgetRatio = 0.2
	BudgetBurst = 20
)

// idempotent reports whether a call that may be repeated should be repeated after
// the error.
func idempotent(err error) bool { return errors.Is(err, backends.ErrUnavailable) }

func never(error) bool { return false }

// retry repeats an attempt while again permits it after its error.
func (g *Guard) retry(ctx context.Context, again func(error) bool, attempt func(context.Context) error) error {
	until := time.Now().Add(g.opts.Timeout)
	for k := 1; ; k++ {
		err := g.attempt(ctx, attempt)
		if err == nil || k == MaxAttempts || !again(err) {
			return err
		}
		if err := g.pause(ctx, k, until, err); err != nil {
			return err
		}
	}
}

// attempt runs one attempt if the breaker lets it through.
func (g *Guard) attempt(ctx context.Context, attempt func(context.Context) error) error {
	if err := backends.Ended(ctx); err != nil {
		return err
	}
	ticket, err := g.breaker.admit(time.Now())
	if err != nil {
		g.stats.refused.Add(1)
		return err
	}
	g.silence.judge(g, time.Now())
	err = attempt(ctx)
	v, now := judge(ctx, err), time.Now()
	if v == alive {
		g.silence.hear(now)
	}
	g.breaker.report(ticket, v, now)
	return err
}

// pause waits before retry k after err. The retry must begin before until. If there
// is no retry, pause returns an error: err itself, or the end of ctx.
func (g *Guard) pause(ctx context.Context, k int, until time.Time, err error) error {
	var open *openError
	var throttled *backends.Throttled
	wait := jitter(min(RetryCap, RetryBase<<(k-1)))
	if errors.As(err, &throttled) {
		if throttled.After > MaxPatience {
			return err
		}
		wait += throttled.After
	}
	if errors.As(err, &open) || time.Now().Add(wait).After(until) || !g.budget.spend() {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		g.stats.retries.Add(1)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jitter returns a random duration from 0 to below d. d must be above 0.
func jitter(d time.Duration) time.Duration {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return time.Duration(binary.NativeEndian.Uint64(b[:]) % uint64(d))
}

// budget is a token bucket of retries, in hundredths.
type budget struct{ hundredths atomic.Int64 }

func (b *budget) fill() { b.hundredths.Store(BudgetBurst * 100) }

// earn is called once for each call.
func (b *budget) earn() { b.add(BudgetRatio * 100) }

// refund is for a body that made headway: its next request counts as a new call.
func (b *budget) refund() { b.add(100) }

// spend takes one retry if there is one.
func (b *budget) spend() bool { return b.add(-100) }

func (b *budget) add(n int64) bool {
	for {
		old := b.hundredths.Load()
		if old+n < 0 {
			return false
		}
		if b.hundredths.CompareAndSwap(old, min(old+n, BudgetBurst*100)) {
			return true
		}
	}
}
