package engine

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Old stores have rows whose clear columns decide and are bound to nothing. How much
// of a deployment is sealed is its sealing, which only grows: nobody writes records
// while a gateway of the release before may still change rows without them, nobody
// takes a row without its record for whole once all have theirs.

// Sealing is how much of a deployment is sealed, as this process knows it, and by which
// sealing it writes. It serves any number of goroutines at once.
type Sealing struct {
	store    *blobs.CountedStore
	records  *records.Records
	blobs    *blobs.Blobs
	accounts *accounts.Accounts
	readOnly bool
	known    atomic.Uint32
	// writing counts the writes under way by the sealing that they began with.
	writing [meta.SealingWhole + 1]atomic.Int64
}

// Now is the sealing that holds, as far as this process knows.
func (s *Sealing) Now() meta.Sealing { return meta.Sealing(s.known.Load()) }

// As is the sealing that a write goes by, from when it makes its row until the
// store has answered: the caller calls done then, which is never nil. While the sealing
// may still be raised, the others take a process for gone that has shown no sign of life
// for a while: then it shows one and learns what holds, and the write that it begins
// ends, by the context, before they may take it for gone again.
func (s *Sealing) As(ctx context.Context) (_ context.Context, by meta.Sealing, done func(), err error) {
	none := func() {}
	for {
		by = s.Now()
		if by == meta.SealingWhole || s.readOnly {
			return ctx, by, none, nil
		}
		left := s.blobs.UntilSilent()
		if left <= 0 {
			if err := s.enlist(ctx); err != nil {
				return ctx, by, none, meta.Coded(err)
			}
			continue
		}
		// Counted first and compared after: Writing sees this write, or this write sees the
		// raised sealing. The other order has a gap in which neither does.
		n := &s.writing[by]
		n.Add(1)
		if s.Now() == by {
			ctx, cancel := context.WithTimeout(ctx, left)
			return ctx, by, func() { n.Add(-1); cancel() }, nil
		}
		n.Add(-1) // it was raised meanwhile, and Writing may not have seen this one
	}
}

// Writing is the lowest sealing by which a write may be under way.
func (s *Sealing) Writing() meta.Sealing {
	now := s.Now()
	// now is read before the counters. A write that begins after that begins by now or later.
	for by := meta.SealingLegacy; by < now; by++ {
		if s.writing[by].Load() > 0 {
			return by
		}
	}
	return now
}

// observe takes over what the deployment's row says, after proving it. The result
// never becomes less: known is what this process knew before it read the row, of which
// several may be read at once, and the one that is older observed last.
func (s *Sealing) observe(d meta.Deployment, known meta.Sealing) error {
	if err := s.prove(&d, known); err != nil {
		return err
	}
	for {
		now := s.known.Load()
		if uint32(d.Sealing) <= now || s.known.CompareAndSwap(now, uint32(d.Sealing)) {
			return nil
		}
	}
}

// prove proves the deployment's row, and holds it against what this process knew before
// it read that.
func (s *Sealing) prove(d *meta.Deployment, known meta.Sealing) error {
	if err := s.proveRow(d); err != nil {
		return err
	}
	if d.Sealing < known {
		return fmt.Errorf("%w: its sealing was %d and is said to be %d", records.ErrEdited, known, d.Sealing)
	}
	if !s.accounts.Root().ID.IsZero() && d.Root != s.accounts.Root().ID {
		return fmt.Errorf("%w: its root was %s and is said to be %s", records.ErrEdited, s.accounts.Root().ID, d.Root)
	}
	return nil
}

// enlist makes this process known as one that writes, before it learns which sealing
// holds: from then on the sealing is not raised without it.
func (s *Sealing) enlist(ctx context.Context) error {
	if s.readOnly || s.Now() == meta.SealingWhole {
		return nil
	}
	// ShowLife reads the sealing again after the beat, as Beat's contract demands.
	return s.blobs.ShowLife(ctx)
}

// Reread reads the deployment's row anew.
// It is for callers that need only that this process knows the present sealing.
func (s *Sealing) Reread(ctx context.Context) error {
	_, err := s.Deployment(ctx)
	return err
}

// Deployment reads the deployment's row, and takes over what it says after proving it.
func (s *Sealing) Deployment(ctx context.Context) (meta.Deployment, error) {
	known := s.Now()
	d, err := s.store.Deployment(ctx)
	if err != nil {
		return d, err
	}
	return d, s.observe(d, known)
}

// Behind returns which gateways are gone, and whether one that lives writes by an earlier
// sealing than the present.
// A gateway that is gone does not hold the sealing up, at the beat that it was seen with: if it
// has shown life since, it counts again.
func (s *Sealing) Behind(ctx context.Context) (gone []meta.Holder, behind bool, err error) {
	if gone, _, err = s.blobs.Gone(ctx); err != nil {
		return nil, false, err
	}
	dead := make(map[meta.ID]int64, len(gone))
	for _, h := range gone {
		dead[h.ID] = h.Beat
	}
	all, err := s.store.Holders(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, h := range all {
		if beat, ok := dead[h.ID]; h.Sealing < s.Now() && (!ok || beat != h.Beat) {
			return nil, true, nil
		}
	}
	return gone, false, nil
}

// Raise takes the sealing of a deployment as it was read one further. gone are the
// gateways that may be left behind; meta.ErrConflict where another would be.
// The store compares the sealing and the gateways in one transaction, so two processes that raise
// at once raise by one.
func (s *Sealing) Raise(ctx context.Context, d meta.Deployment, gone []meta.Holder) error {
	from := d.Sealing
	d.Sealing++
	if err := s.sealRow(&d); err != nil {
		return err
	}
	if err := s.store.SetSealing(ctx, from, d, gone); err != nil {
		return err
	}
	return s.Reread(ctx)
}

// Note keeps how far the rows of the deployment are resealed, under the lease of whoever
// reseals them. meta.ErrConflict where that is held by another.
func (s *Sealing) Note(ctx context.Context, l meta.Lease, progress []byte) error {
	return s.store.NoteResealed(ctx, l, progress)
}
