package blobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// reserveBatch blobs are reserved at a time at one backend, so that a PUT
	// costs one durable write of the store, its commit.
	reserveBatch = 128
	// settleTimeout bounds what is done for a request after it has failed.
	settleTimeout = 10 * time.Second
	// maxUnreleased failed reservations are remembered for another try.
	// At 20 bytes an id that is 200 KB of memory.
	maxUnreleased = 10_000
	// maxPlaceTries is how often a new blob looks for a place because its
	// bucket's backend began to drain meanwhile.
	maxPlaceTries = 4
)

// reservations are blob ids that the ledger holds for this process at one
// backend.
type reservations struct {
	refill chan struct{} // holds one token: the right to refill
	mu     sync.Mutex
	free   []meta.BlobID
}

func newReservations() reservations { return reservations{refill: make(chan struct{}, 1)} }

func (r *reservations) take() (id meta.BlobID, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.free) == 0 {
		return id, false
	}
	// The newest first: the order has no meaning, and the slice keeps its room.
	id = r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	return id, true
}

// takeAll empties the pool.
func (r *reservations) takeAll() (ids []meta.BlobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, r.free = r.free, nil
	return ids
}

// unreleased are reservations that were used in vain, or not at all, and whose
// release failed.
type unreleased struct {
	mu  sync.Mutex
	ids []meta.BlobID
}

func (u *unreleased) add(ids ...meta.BlobID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ids)+len(ids) <= maxUnreleased { // beyond: condemned when this process ends
		u.ids = append(u.ids, ids...)
	}
}

func (u *unreleased) takeAll() (ids []meta.BlobID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids, u.ids = u.ids, nil
	return ids
}

// Reserve returns a blob id that nobody has used, reserved durably at the backend where
// the bucket's new blobs go. name is that of the backend where it is to be, and may be
// empty or no backend's: then it is the bucket's home. The caller commits the blob
// under Holder, or calls Abandon where it is not whole, or GiveUp where it is. Errors:
// InvalidStorageClass where the bucket demands another place than the name's.
func (bs *Blobs) Reserve(ctx context.Context, b meta.Bucket, name string) (Reserved, error) {
	s := bs.registry.now.Load()
	for try := 1; ; try++ {
		p, err := s.homeOf(&b, name)
		if err == nil {
			var id meta.BlobID
			answered, refused := p.admitted(ctx)
			if refused != nil {
				return Reserved{}, refused
			}
			id, err = bs.reserveAt(ctx, p)
			answered()
			if err == nil {
				return Reserved{id, Place{p}}, nil
			}
		}
		moved := errors.Is(err, meta.ErrConflict) || errors.Is(err, errNotConfigured)
		if !moved || try == maxPlaceTries {
			return Reserved{}, meta.Coded(Coded(err))
		}
		// The backend drains, or is one that this process has not heard of.
		if s, err = bs.refresh(ctx); err != nil {
			return Reserved{}, meta.Coded(err)
		}
		if b, err = bs.c.Buckets.Again(ctx, b); err != nil {
			return Reserved{}, err
		}
	}
}

// reserveAt reserves at one backend; ErrConflict when that is not active.
func (bs *Blobs) reserveAt(ctx context.Context, p *place) (meta.BlobID, error) {
	if err := bs.prove(ctx, p); err != nil {
		return meta.BlobID{}, err
	}
	if bs.silent() {
		bs.flushPools()
	}
	for {
		if id, ok := p.pool.take(); ok {
			return id, nil
		}
		select {
		case p.pool.refill <- struct{}{}:
		case <-ctx.Done():
			return meta.BlobID{}, context.Cause(ctx)
		}
		err := bs.refillPool(ctx, p)
		<-p.pool.refill
		if err != nil {
			return meta.BlobID{}, err
		}
	}
}

func (bs *Blobs) refillPool(ctx context.Context, p *place) error {
	p.pool.mu.Lock()
	enough := len(p.pool.free) > 0 // another caller refilled while this one waited
	p.pool.mu.Unlock()
	if enough {
		return nil
	}
	ids := make([]meta.BlobID, 0, reserveBatch)
	for _, id := range backends.NewBlobIDs(reserveBatch) {
		ids = append(ids, meta.BlobID(id))
	}
	if bs.silent() {
		if err := bs.ShowLife(ctx); err != nil {
			return err
		}
	}
	if err := bs.beginAt(ctx, p); err != nil {
		return err
	}
	err := bs.c.Store.Reserve(ctx, bs.holder, p.id, ids, bs.c.Now())
	if errors.Is(err, meta.ErrUnknown) {
		bs.unreleased.add(ids...) // never to be used
	}
	if errors.Is(err, meta.ErrExists) {
		return s3err.Wrap(s3err.ServiceUnavailable, err)
	}
	if err != nil {
		return err
	}
	p.pool.mu.Lock()
	p.pool.free = append(p.pool.free, ids...)
	p.pool.mu.Unlock()
	return nil
}

// beginAt moves the epoch on before this process first reserves at a backend, so that
// a copy of the store from before is noticed, however soon the process dies. A backend
// where that fails for another reason may take the blob all the same: the next batch or
// beat tries again.
func (bs *Blobs) beginAt(ctx context.Context, p *place) error {
	if p.begun.Load() {
		return nil
	}
	err := bs.advanceEpoch(ctx, p)
	switch {
	case err == nil:
		p.begun.Store(true)
	case Disagrees(err):
		return fmt.Errorf("backend %s: %w", p.Name, err)
	default:
		bs.c.Log.Warn("the epoch of a backend could not be moved on and will be tried again", "backend", p.Name, "error", err)
	}
	return nil
}
