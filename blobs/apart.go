package blobs

import (
	"context"
	"errors"
	"fmt"
)

// Two backends were two storages when they were registered. Later their buckets may
// have been merged, one may replicate to the other, or be read in place of it. Then a
// blob that was moved is found at its new place, and goes with the copy that is deleted
// at the old one.

// apart fails with ErrWrongBackend if what is written at one storage appears at another.
// It looks there for the marker of the first one's present epoch, and of as many epochs
// before it. A copy that was made once shows no epoch that began later.
func (bs *Blobs) apart(ctx context.Context, written, other *place, before int64) error {
	row, err := bs.row(ctx, written.id)
	if err != nil {
		return err
	}
	for epoch := row.Epoch; epoch >= row.Epoch-before; epoch-- {
		found, err := holds(ctx, other.Backend, bs.marker(row, epoch))
		if err != nil {
			return fmt.Errorf("backend %s: %w", other.Name, err)
		}
		if found {
			return fmt.Errorf("%w: backend %s also has what is written to %s: the two lead to one storage, or one is a copy of the other, and nothing that was moved between them is deleted",
				ErrWrongBackend, other.Name, written.Name)
		}
	}
	return nil
}

// refuseUnited fails with ErrWrongBackend if nothing can be moved between two backends
// because one answers for the other. A target that was filled with a copy of the other
// is told from that by another epoch. If that cannot begin, nothing can be deleted
// there either.
func (bs *Blobs) refuseUnited(ctx context.Context, from, to *place) error {
	united := bs.apart(ctx, from, to, 0)
	if !errors.Is(united, ErrWrongBackend) {
		return united
	}
	if err := bs.advanceEpoch(ctx, from); Disagrees(err) {
		return err
	} else if err != nil {
		return nil
	}
	return bs.apart(ctx, from, to, 0)
}
