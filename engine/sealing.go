package engine

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Old stores have rows whose clear columns decide and are bound to nothing. How much
// of a deployment is sealed is its sealing, which only grows: nobody writes records
// while a gateway of the release before may still change rows without them, nobody
// takes a row without its record for whole once all have theirs.

// sealingState is the sealing as this process knows it, and which it writes by.
type sealingState struct {
	now atomic.Uint32
	// writing counts the writes under way by the sealing that they began with.
	writing [meta.SealingWhole + 1]atomic.Int64
}

// sealing is what holds now.
func (e *Engine) sealing() meta.Sealing { return meta.Sealing(e.sealed.now.Load()) }

// sealAs is the sealing that a write goes by, from when it makes its row until the
// store has answered: the caller calls done then, which is never nil. While the sealing
// may still be raised, the others take a process for gone that has shown no sign of life
// for a while: then it shows one and learns what holds, and the write that it begins
// ends, by the context, before they may take it for gone again.
func (e *Engine) sealAs(ctx context.Context) (_ context.Context, s meta.Sealing, done func(), err error) {
	none := func() {}
	for {
		s = e.sealing()
		if s == meta.SealingWhole || e.readOnly {
			return ctx, s, none, nil
		}
		left := e.blobs.Quiet()
		if left <= 0 {
			if err := e.enlist(ctx); err != nil {
				return ctx, s, none, meta.Coded(err)
			}
			continue
		}
		n := &e.sealed.writing[s]
		n.Add(1)
		if e.sealing() == s {
			ctx, cancel := context.WithTimeout(ctx, left)
			return ctx, s, func() { n.Add(-1); cancel() }, nil
		}
		n.Add(-1) // it was raised meanwhile, and writesBy may not have seen this one
	}
}

// writesBy is the lowest sealing by which a write may be under way.
func (e *Engine) writesBy() meta.Sealing {
	now := e.sealing()
	for s := meta.SealingLegacy; s < now; s++ {
		if e.sealed.writing[s].Load() > 0 {
			return s
		}
	}
	return now
}

// observe takes over what the deployment's row says, after proving it. What it says
// never becomes less: known is what this process knew before it read the row, of which
// several may be read at once, and the one that is older observed last.
func (e *Engine) observe(d meta.Deployment, known meta.Sealing) error {
	if err := e.vouched(&d, known); err != nil {
		return err
	}
	for {
		now := e.sealed.now.Load()
		if uint32(d.Sealing) <= now || e.sealed.now.CompareAndSwap(now, uint32(d.Sealing)) {
			return nil
		}
	}
}

// vouched proves the deployment's row, and holds it against what this process knew before
// it read that.
func (e *Engine) vouched(d *meta.Deployment, known meta.Sealing) error {
	if err := e.proveDeployment(d); err != nil {
		return err
	}
	if d.Sealing < known {
		return fmt.Errorf("%w: its sealing was %d and is said to be %d", records.ErrEdited, known, d.Sealing)
	}
	if !e.accounts.Root().ID.IsZero() && d.Root != e.accounts.Root().ID {
		return fmt.Errorf("%w: its root was %s and is said to be %s", records.ErrEdited, e.accounts.Root().ID, d.Root)
	}
	return nil
}

// enlist makes this process known as one that writes, before it learns which sealing
// holds: from then on the sealing is not raised without it.
func (e *Engine) enlist(ctx context.Context) error {
	if e.readOnly || e.sealing() == meta.SealingWhole {
		return nil
	}
	return e.blobs.ShowLife(ctx)
}

// reread reads the deployment's row anew.
func (e *Engine) reread(ctx context.Context) error {
	known := e.sealing()
	d, err := e.store.Deployment(ctx)
	if err != nil {
		return err
	}
	return e.observe(d, known)
}
