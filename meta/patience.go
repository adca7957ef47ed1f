package meta

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrSlow: a call of the store was abandoned because its caller's time limit
// passed.
var ErrSlow = fmt.Errorf("%w: the store did not answer in time", ErrUnavailable)

// spentPart divides the time limit for further calls after one call has used it up:
// such calls only clean up.
const spentPart = 5

type patienceKey struct{}

type patience struct {
	each  time.Duration
	spent atomic.Bool
}

// WithPatience limits the time of each store call that uses the context or one
// derived from it. The call then fails with ErrSlow. The limit survives
// context.WithoutCancel. It is for requests, whose clients wait and can retry. An
// abandoned call that changes something may have happened, and returns ErrUnknown.
func WithPatience(ctx context.Context, each time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, &patience{each: each})
}

// Patience returns the time limit of the next call: most, or less where the context
// has a lower one.
func Patience(ctx context.Context, most time.Duration) time.Duration {
	p, ok := ctx.Value(patienceKey{}).(*patience)
	switch {
	case !ok:
		return most
	case p.spent.Load():
		return min(most, p.each/spentPart)
	}
	return min(most, p.each)
}

// Patiently begins a store call, or a wait for another caller's: it returns a
// context that ends with ErrSlow when the time limit of the caller passes. The
// caller calls done when the call has ended.
func Patiently(ctx context.Context) (_ context.Context, done func()) {
	p, ok := ctx.Value(patienceKey{}).(*patience)
	if !ok {
		return ctx, func() {}
	}
	within, cancel := context.WithTimeoutCause(ctx, Patience(ctx, p.each), ErrSlow)
	return within, func() {
		if context.Cause(within) == ErrSlow {
			p.spent.Store(true)
		}
		cancel()
	}
}
