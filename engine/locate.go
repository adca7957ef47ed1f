package engine

import (
	"context"
	"errors"
	"io"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// read opens a range of a blob, wherever it is, and says where; nil where that cannot be
// learnt. A blob that has been moved since its place was learnt is looked up once more.
func (e *Engine) read(ctx context.Context, id meta.BlobID, off, n int64) (io.ReadCloser, *place, error) {
	s := e.registry.now.Load()
	p := s.only
	if p == nil {
		at, err := e.locate(ctx, s, id)
		if err != nil {
			return nil, nil, err
		}
		p = at
	}
	r, err := e.readAt(ctx, p, id, off, n)
	if !errors.Is(err, backends.ErrNotFound) {
		return r, p, p.fail(err)
	}
	e.blobPlaces.Drop(id)
	if q := e.moved(ctx, id); q != nil && q != p {
		r, err := e.readAt(ctx, q, id, off, n)
		return r, q, q.fail(err)
	}
	return nil, p, p.fail(err)
}

func (e *Engine) readAt(ctx context.Context, p *place, id meta.BlobID, off, n int64) (io.ReadCloser, error) {
	answered, err := admitted(ctx, p)
	if err != nil {
		return nil, err
	}
	defer answered()
	if err := e.met(ctx, p); err != nil {
		return nil, err
	}
	return p.Get(ctx, backends.BlobID(id), off, n)
}

// moved finds where a blob is now that it is not where it was, nil where that cannot
// be learnt. The backend that it left may be retired, and the other the only one.
func (e *Engine) moved(ctx context.Context, id meta.BlobID) *place {
	s, err := e.refresh(ctx)
	if err != nil {
		return nil
	}
	if s.only != nil {
		return s.only
	}
	p, err := e.locate(ctx, s, id)
	if err != nil {
		return nil
	}
	return p
}

// locate finds the backend of a blob.
func (e *Engine) locate(ctx context.Context, s *places, id meta.BlobID) (*place, error) {
	at, ok := e.blobPlaces.Get(id)
	if !ok {
		found, err := e.store.BlobBackends(ctx, []meta.BlobID{id})
		if err != nil {
			return nil, meta.Coded(err)
		}
		if at = found[0]; at != 0 {
			e.blobPlaces.Put(id, at)
		} else { // condemned since the reader learnt of it, and perhaps still there
			b, err := e.store.Blob(ctx, id)
			if errors.Is(err, meta.ErrNotFound) {
				return nil, backendError(backends.ErrNotFound)
			} else if err != nil {
				return nil, meta.Coded(err)
			}
			at = b.Backend
		}
	}
	p, err := s.at(at)
	if err != nil { // perhaps it was registered a moment ago
		if s, again := e.refresh(ctx); again == nil {
			return s.at(at)
		}
	}
	return p, err
}

// foresee learns where many blobs are in few steps, for a reader of all of them.
func (e *Engine) foresee(ctx context.Context, rows []meta.Part) error {
	if e.registry.now.Load().only != nil {
		return nil
	}
	var ids []meta.BlobID
	for i := range rows {
		for _, id := range rows[i].Blobs {
			if _, ok := e.blobPlaces.Get(id); !ok {
				ids = append(ids, id)
			}
		}
	}
	return e.eachPlace(ctx, ids, func(id meta.BlobID, at meta.BackendID) error {
		if at != 0 {
			e.blobPlaces.Put(id, at)
		}
		return nil
	})
}

// eachPlace calls f with each blob's backend, zero where the blob is neither
// reserved nor live.
func (e *Engine) eachPlace(ctx context.Context, ids []meta.BlobID, f func(meta.BlobID, meta.BackendID) error) error {
	for len(ids) > 0 {
		batch := ids[:min(len(ids), meta.MaxBatch)]
		ids = ids[len(batch):]
		at, err := e.store.BlobBackends(ctx, batch)
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
