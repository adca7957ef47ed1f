package blobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// maxIncarnations are looked for above a store's own when it is accepted.
	// Each acceptance adds one incarnation, so the bound is on how many acceptances a restored
	// copy of the store can be behind. The look costs one Stat each.
	maxIncarnations = 64
	// maxAcceptTries is how often an acceptance starts over because the epoch moved.
	maxAcceptTries = 4
)

// AcceptStore declares the store, as it is now, to be the deployment's: after an
// operator has restored it knowingly. It begins another incarnation at every
// backend, so that any other state of the store is refused from then on: the one
// that this one was put in the place of as well. Blobs that only the lost rows
// referred to stay in the backends until fsck's findings are dealt with.
func (bs *Blobs) AcceptStore(ctx context.Context) error {
	s, err := bs.refresh(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range s.configured {
		if err := bs.acceptAt(ctx, p); err != nil {
			errs = append(errs, fmt.Errorf("backend %s: %w", p.Name, err))
		}
	}
	return errors.Join(errs...)
}

// acceptAt begins a new incarnation at one backend. The new markers are written before the row
// is changed, and the old ones deleted after it: a process that dies in between leaves a store
// that still agrees with the old markers or already agrees with the new ones, and AcceptStore
// can be run again.
func (bs *Blobs) acceptAt(ctx context.Context, p *place) error {
	p.advancing.Lock()
	defer p.advancing.Unlock()
	for range maxAcceptTries {
		row, err := bs.row(ctx, p.id)
		if err != nil {
			return err
		}
		if err := bs.refuseForeign(ctx, p.Backend, row); err != nil {
			return err
		}
		others, next, err := bs.otherIncarnations(ctx, p, row)
		if err != nil {
			return err
		}
		if err := bs.putMarkers(ctx, p.Backend, row, next); err != nil {
			return err
		}
		// A compare-and-swap: a running gateway may advance the epoch at the same time. The
		// markers of the lost try are found by the next one as another incarnation, and deleted
		// with it.
		err = bs.c.Store.AdvanceEpoch(ctx, p.id, row.Epoch, next)
		if errors.Is(err, meta.ErrConflict) {
			continue
		} else if err != nil {
			return err
		}
		if err := bs.acceptSealing(ctx, p.Backend, row); err != nil {
			return err
		}
		// The old markers go last. While one of them is there, the state of the store that it
		// stands for would still be accepted.
		return p.Delete(ctx, append(others, bs.marker(row, row.Epoch))...)
	}
	return errors.New("its epoch changes all the time")
}

// otherIncarnations finds what vouches for another state of the store, with what may be
// left of its epochs, and the first epoch of an incarnation that is above all of them.
func (bs *Blobs) otherIncarnations(ctx context.Context, p *place, row meta.Backend) (others []backends.BlobID, next int64, err error) {
	newest := incarnation(row.Epoch)
	for n := newest; n <= incarnation(row.Epoch)+maxIncarnations; n++ {
		m := bs.incarnationMarker(row, n)
		found, err := holds(ctx, p.Backend, m)
		if err != nil {
			return nil, 0, err
		}
		if found {
			newest = n
			others = append(others, m)
			for epoch := max(row.Epoch-earlierEpochs, 1); epoch <= row.Epoch+earlierEpochs; epoch++ {
				others = append(others, bs.marker(row, epochIn(n, epoch)))
			}
		}
	}
	return others, epochIn(newest+1, row.Epoch+1), nil
}
