package blobs

import (
	"context"
	"iter"

	"github.com/sanctum-storage/gateway/meta"
)

// inDoubt yields the rows of blobs that are in doubt.
func (bs *Blobs) inDoubt(ctx context.Context) iter.Seq2[meta.Blob, error] {
	return func(yield func(meta.Blob, error) bool) {
		var after meta.BlobPosition
		for {
			page, err := bs.c.Store.Held(ctx, bs.doubtHolder(), after, meta.MaxPage)
			if err != nil {
				yield(meta.Blob{}, err)
				return
			}
			for _, b := range page {
				// The position is kept before the yield: the caller may release the row, and
				// the next page must begin behind it all the same.
				after = meta.BlobPosition{ID: b.ID, Backend: b.Backend}
				if !yield(b, nil) {
					return
				}
			}
			if len(page) < meta.MaxPage {
				return
			}
		}
	}
}

// doubtfulBlobs counts blobs in doubt by backend.
func (bs *Blobs) doubtfulBlobs(ctx context.Context) (map[meta.BackendID]int64, error) {
	n := make(map[meta.BackendID]int64)
	for b, err := range bs.inDoubt(ctx) {
		if err != nil {
			return nil, err
		}
		n[b.Backend]++
	}
	return n, nil
}

// countDoubtful takes note for BackendHealth.
func (bs *Blobs) countDoubtful(ctx context.Context) {
	if n, err := bs.doubtfulBlobs(ctx); err == nil {
		bs.doubtful.Store(&n)
	}
}

// DiscardDoubtful condemns the blobs in doubt at a backend, and returns how many: the
// operator knows that no state of the store that may come back refers to them. Collect
// deletes them. Errors: NoSuchEntity.
func (bs *Blobs) DiscardDoubtful(ctx context.Context, name string) (int, error) {
	s, err := bs.refresh(ctx)
	if err != nil {
		return 0, meta.Coded(err)
	}
	row, ok := s.named(name)
	if !ok {
		return 0, noSuchBackend(name)
	}
	n := 0
	var reserved []meta.BlobID
	for b, err := range bs.inDoubt(ctx) {
		switch {
		case err != nil:
			return n, meta.Coded(err)
		case b.Backend != row.ID:
			continue
		// The place of a copy has no reservation of its own: the ledger ends it by the pair of
		// blob and backend.
		case b.State == meta.BlobCopy:
			err = bs.c.Store.ReleaseCopy(ctx, bs.doubtHolder(), b.ID, b.Backend, bs.c.Now())
		default:
			if reserved = append(reserved, b.ID); len(reserved) == meta.MaxReservation {
				err = bs.c.Store.Release(ctx, bs.doubtHolder(), reserved, bs.c.Now())
				reserved = reserved[:0]
			}
		}
		if err != nil {
			return n, meta.Coded(err)
		}
		n++
	}
	if len(reserved) > 0 {
		if err := bs.c.Store.Release(ctx, bs.doubtHolder(), reserved, bs.c.Now()); err != nil {
			return n, meta.Coded(err)
		}
	}
	bs.countDoubtful(ctx)
	bs.c.Log.Info("blobs in doubt were discarded", "backend", name, "blobs", n)
	return n, nil
}
