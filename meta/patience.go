package meta

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrSlow: a call of the store was given up because its caller has no more patience.
var ErrSlow = fmt.Errorf("%w: the store did not answer in time", ErrUnavailable)

// spentPart is what part of its patience a caller has left for each further call, once
// one has used it up: what follows such a call is clearing up.
const spentPart = 5

type patienceKey struct{}

type patience struct {
	each  time.Duration
	spent atomic.Bool
}

// WithPatience has each call of a store that is made with the context, or with one that
// comes from it, whether that ends with it or not, give up after a while with ErrSlow.
// It is for requests, whose clients wait and can try again. A call that changes
// something and is given up may have happened, and then says ErrUnknown.
func WithPatience(ctx context.Context, each time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, &patience{each: each})
}

// Patience is how long the next call may take at most, given what it may without.
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

// Patiently begins a call, or a wait for somebody else's: it returns a context that
// ends with ErrSlow when the caller's patience does. The caller calls done when the
// call has ended.
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
