package backends

import (
	"context"
	"errors"
	"sync/atomic"
)

// errZeroID: an adapter would write under the zero id, which a caller's bug leaves unset.
var errZeroID = errors.New("the zero id names no blob")

// Ended returns the reason why ctx has ended, or nil. It is the cause and not ctx.Err,
// because a caller's time limit says more than that some deadline has passed.
func Ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// CheckID refuses the zero id, under which no adapter may write.
func CheckID(id BlobID) error {
	if id.IsZero() {
		return errZeroID
	}
	return nil
}

// Gate refuses the calls of an adapter that must not begin. It is for adapters over HTTP,
// which have nothing else that ends with Close. The zero value is open and writable. All
// methods may be called concurrently.
type Gate struct {
	ReadOnly bool // set before the first call
	closed   atomic.Bool
}

// Close ends the calls to come, and reports whether it is the first.
func (g *Gate) Close() (first bool) { return !g.closed.Swap(true) }

// Usable returns the reason why a call must not begin, or nil: ErrClosed, or why ctx has
// ended.
func (g *Gate) Usable(ctx context.Context) error {
	if g.closed.Load() {
		return ErrClosed
	}
	return Ended(ctx)
}

// Writable is Usable for a call that writes: also ErrReadOnly.
func (g *Gate) Writable(ctx context.Context) error {
	if err := g.Usable(ctx); err != nil {
		return err
	}
	if g.ReadOnly {
		return ErrReadOnly
	}
	return nil
}

// MayPut is Writable for Put of a blob, whose id must not be zero.
func (g *Gate) MayPut(ctx context.Context, id BlobID) error {
	if err := g.Writable(ctx); err != nil {
		return err
	}
	return CheckID(id)
}
