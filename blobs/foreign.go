package blobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// refuseForeign fails with ErrWrongBackend where a storage holds the marker of
// another backend: draining one of two names of a storage would delete what the
// other holds. A collector may move an epoch on while it looks.
func (bs *Blobs) refuseForeign(ctx context.Context, at backends.Backend, self meta.Backend) error {
	seen := make(map[backends.BlobID]bool)
	for range maxRegisterTries {
		rows, err := bs.c.Store.ListBackends(ctx)
		if err != nil {
			return err
		}
		same := true
		for _, row := range rows {
			if row.ID == self.ID && row.Name == self.Name || row.State == meta.BackendRetired {
				continue
			}
			for _, m := range bs.signs(row) {
				if seen[m] {
					continue
				}
				same, seen[m] = false, true
				found, err := holds(ctx, at, m)
				if err != nil {
					return err
				}
				if found {
					return fmt.Errorf("%w: it is that of %s", ErrWrongBackend, row.Name)
				}
			}
		}
		if same {
			return nil
		}
	}
	return errors.New("the backends' epochs change all the time")
}

// refuseUsed fails with ErrStoreRolledBack where a storage was a backend of this name
// already: then the store was copied before that was registered. It fails with
// meta.ErrConflict where another gateway has registered it meanwhile.
func (bs *Blobs) refuseUsed(ctx context.Context, s *places, b *Backend) error {
	last := meta.FirstBackend
	for _, row := range s.rows {
		last = max(last, row.ID)
	}
	for id := meta.FirstBackend; id <= last+laterBackends; id++ {
		if s.states[id].State == meta.BackendRetired { // what it has left says nothing
			continue
		}
		found, err := holds(ctx, b, bs.sealingMarker(meta.Backend{ID: id, Name: b.Name}))
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		now, err := bs.refresh(ctx)
		if err != nil {
			return err
		}
		if _, ok := now.named(b.Name); ok {
			return meta.ErrConflict
		}
		return fmt.Errorf("%w (it does not know this backend, which has been in use)", ErrStoreRolledBack)
	}
	return nil
}

// signs are the markers by which a backend's storage is known while epochs move.
func (bs *Blobs) signs(b meta.Backend) []backends.BlobID {
	if n := incarnation(b.Epoch); n >= firstIncarnation {
		return []backends.BlobID{bs.incarnationMarker(b, n)}
	}
	return []backends.BlobID{bs.marker(b, b.Epoch), bs.marker(b, b.Epoch+1)}
}
