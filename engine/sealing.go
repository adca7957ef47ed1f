package engine

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/backends"
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
		left := e.quiet()
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
	return e.beat(ctx)
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

// sealingMarker is the blob that says that every row of the deployment has its record.
// Its name looks like any other, and it is empty. A store that says otherwise is an
// older one, or was edited.
func (e *Engine) sealingMarker(b meta.Backend) backends.BlobID {
	mac := hmac.New(sha256.New, e.markerKeys.epoch)
	mac.Write(append(binary.BigEndian.AppendUint32([]byte("sanctum/1/sealing-marker"), uint32(b.ID)), b.Name...))
	return backends.BlobID(mac.Sum(nil)[:len(backends.BlobID{})])
}

// proveSealing holds the sealing against a backend's marker, and puts that where it
// belongs and is missing.
func (e *Engine) proveSealing(ctx context.Context, p *place, b meta.Backend) error {
	sealing := e.sealing() // before the look: a marker may come with a higher one
	found, err := holds(ctx, p.Backend, e.sealingMarker(b))
	switch {
	case err != nil:
		return err
	case found == (sealing == meta.SealingWhole):
		p.sealed.Store(found)
		return nil
	case found:
		if err := e.reread(ctx); err != nil || e.sealing() == meta.SealingWhole {
			return err
		}
		return fmt.Errorf("%w (the backend has seen every row sealed, and the store says that some are not)", ErrStoreRolledBack)
	case e.readOnly:
		return nil
	}
	if err := e.putSealingMarker(ctx, p.Backend, b); err != nil {
		return fmt.Errorf("write the sealing's marker: %w", err)
	}
	p.sealed.Store(true)
	return nil
}

// sealLate puts the marker at a backend that was proved before every row had its
// record. A failure is tried again with the next beat.
func (e *Engine) sealLate(ctx context.Context, s *places, p *place) {
	if e.readOnly || e.sealing() < meta.SealingWhole || p.sealed.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	if err := e.proveSealing(ctx, p, s.states[p.id]); err != nil {
		e.log.Warn("the marker that every row is sealed could not be written and will be tried again", "backend", p.Name, "error", err)
	}
}

func (e *Engine) putSealingMarker(ctx context.Context, at backends.Backend, b meta.Backend) error {
	err := at.Put(ctx, e.sealingMarker(b), bytes.NewReader(nil), 0)
	if errors.Is(err, backends.ErrExists) {
		return nil
	}
	return err
}

// acceptSealing makes a backend's marker what the store says.
func (e *Engine) acceptSealing(ctx context.Context, at backends.Backend, b meta.Backend) error {
	if e.sealing() == meta.SealingWhole {
		return e.putSealingMarker(ctx, at, b)
	}
	return at.Delete(ctx, e.sealingMarker(b))
}
