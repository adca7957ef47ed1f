package blobs

import (
	"context"
	"errors"
	"io"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Read opens a range of a blob, wherever it is, and says where; zero where that cannot be
// learnt. n of -1 is to its end. The caller closes what it returns. A blob that has been moved since its place was learnt is looked up once more.
func (bs *Blobs) Read(ctx context.Context, id meta.BlobID, off, n int64) (io.ReadCloser, Place, error) {
	s := bs.registry.now.Load()
	p := s.only
	if p == nil {
		at, err := bs.locate(ctx, s, id)
		if err != nil {
			return nil, Place{}, err
		}
		p = at
	}
	r, err := bs.readAt(ctx, p, id, off, n)
	if !errors.Is(err, backends.ErrNotFound) {
		return r, Place{p}, p.fail(err)
	}
	bs.remembered.Drop(id)
	if q := bs.moved(ctx, id); q != nil && q != p {
		r, err := bs.readAt(ctx, q, id, off, n)
		return r, Place{q}, q.fail(err)
	}
	return nil, Place{p}, p.fail(err)
}

func (bs *Blobs) readAt(ctx context.Context, p *place, id meta.BlobID, off, n int64) (io.ReadCloser, error) {
	answered, err := p.admitted(ctx)
	if err != nil {
		return nil, err
	}
	defer answered()
	if err := bs.met(ctx, p); err != nil {
		return nil, err
	}
	return p.body(ctx).Get(ctx, backends.BlobID(id), off, n)
}

// moved finds where a blob is now that it is not where it was, nil where that cannot
// be learnt. The backend that it left may be retired, and the other the only one.
func (bs *Blobs) moved(ctx context.Context, id meta.BlobID) *place {
	s, err := bs.refresh(ctx)
	if err != nil {
		return nil
	}
	if s.only != nil {
		return s.only
	}
	p, err := bs.locate(ctx, s, id)
	if err != nil {
		return nil
	}
	return p
}

// locate finds the backend of a blob.
func (bs *Blobs) locate(ctx context.Context, s *places, id meta.BlobID) (*place, error) {
	at, ok := bs.remembered.Get(id)
	if !ok {
		found, err := bs.c.Store.BlobBackends(ctx, []meta.BlobID{id})
		if err != nil {
			return nil, meta.Coded(err)
		}
		if at = found[0]; at != 0 {
			bs.remembered.Put(id, at)
		} else { // condemned since the reader learnt of it, and perhaps still there
			b, err := bs.c.Store.Blob(ctx, id)
			if errors.Is(err, meta.ErrNotFound) {
				return nil, Coded(backends.ErrNotFound)
			} else if err != nil {
				return nil, meta.Coded(err)
			}
			at = b.Backend
		}
	}
	p, err := s.at(at)
	if err != nil { // perhaps it was registered a moment ago
		if s, again := bs.refresh(ctx); again == nil {
			return s.at(at)
		}
	}
	return p, err
}

// PrefetchPlaces learns where many blobs are in few steps, for a reader of all of them.
func (bs *Blobs) PrefetchPlaces(ctx context.Context, rows []meta.Part) error {
	if bs.registry.now.Load().only != nil {
		return nil
	}
	var ids []meta.BlobID
	for i := range rows {
		for _, id := range rows[i].Blobs {
			if _, ok := bs.remembered.Get(id); !ok {
				ids = append(ids, id)
			}
		}
	}
	return bs.EachPlace(ctx, ids, func(id meta.BlobID, at meta.BackendID) error {
		if at != 0 {
			bs.remembered.Put(id, at)
		}
		return nil
	})
}

// EachPlace calls f with each blob's backend, zero where the blob is neither
// reserved nor live.
func (bs *Blobs) EachPlace(ctx context.Context, ids []meta.BlobID, f func(meta.BlobID, meta.BackendID) error) error {
	for len(ids) > 0 {
		batch := ids[:min(len(ids), meta.MaxBatch)]
		ids = ids[len(batch):]
		at, err := bs.c.Store.BlobBackends(ctx, batch)
		if err != nil {
			return meta.Coded(err)
		}
		for i, id := range batch {
			if err := f(id, at[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
