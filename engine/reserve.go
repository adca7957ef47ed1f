package engine

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

// reserve returns a blob id that nobody has used, reserved durably at the
// backend where the bucket's new blobs of a storage class go.
func (e *Engine) reserve(ctx context.Context, b meta.Bucket, class string) (*place, meta.BlobID, error) {
	s := e.registry.now.Load()
	for try := 1; ; try++ {
		p, err := s.homeOf(&b, class)
		if err == nil {
			var id meta.BlobID
			answered, refused := admitted(ctx, p)
			if refused != nil {
				return nil, id, refused
			}
			id, err = e.reserveAt(ctx, p)
			answered()
			if err == nil {
				return p, id, nil
			}
		}
		moved := errors.Is(err, meta.ErrConflict) || errors.Is(err, errNotConfigured)
		if !moved || try == maxPlaceTries {
			return nil, meta.BlobID{}, meta.Coded(backendError(err))
		}
		// The backend drains, or is one that this process has not heard of.
		if s, err = e.refresh(ctx); err != nil {
			return nil, meta.BlobID{}, meta.Coded(err)
		}
		if b, err = e.SameBucket(ctx, b); err != nil {
			return nil, meta.BlobID{}, err
		}
	}
}

// SameBucket reads a bucket's row anew; one of the same name is another.
func (e *Engine) SameBucket(ctx context.Context, b meta.Bucket) (meta.Bucket, error) {
	now, err := e.Bucket(ctx, b.Name)
	if err == nil && now.ID != b.ID {
		return now, noSuchBucket(b.Name)
	}
	return now, err
}

// reserveAt reserves at one backend; ErrConflict when that is not active.
func (e *Engine) reserveAt(ctx context.Context, p *place) (meta.BlobID, error) {
	if err := e.prove(ctx, p); err != nil {
		return meta.BlobID{}, err
	}
	if e.silent() {
		e.flushPools()
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
		err := e.refillPool(ctx, p)
		<-p.pool.refill
		if err != nil {
			return meta.BlobID{}, err
		}
	}
}

func (e *Engine) refillPool(ctx context.Context, p *place) error {
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
	if e.silent() {
		if err := e.beat(ctx); err != nil {
			return err
		}
	}
	if err := e.beginAt(ctx, p); err != nil {
		return err
	}
	err := e.store.Reserve(ctx, e.holder, p.id, ids, e.now())
	if errors.Is(err, meta.ErrUnknown) {
		e.unreleased.add(ids...) // never to be used
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
func (e *Engine) beginAt(ctx context.Context, p *place) error {
	if p.begun.Load() {
		return nil
	}
	err := e.advanceEpoch(ctx, p)
	switch {
	case err == nil:
		p.begun.Store(true)
	case Disagrees(err):
		return fmt.Errorf("backend %s: %w", p.Name, err)
	default:
		e.log.Warn("the epoch of a backend could not be moved on and will be tried again", "backend", p.Name, "error", err)
	}
	return nil
}

// silent reports whether other gateways may soon take this process for dead, and
// so its pools for abandoned: it was paused, or cut off from the store.
func (e *Engine) silent() bool { return e.quiet() <= 0 }

// quiet is for how long this process may yet show no sign of life before it is silent.
func (e *Engine) quiet() time.Duration {
	return abandonAfter/2 + time.Duration(e.beaten.Load()) - e.elapsed()
}

// beat shows a sign of life, and learns which sealing holds: whoever was silent may have
// been left behind.
func (e *Engine) beat(ctx context.Context) error {
	at := e.elapsed()
	if err := e.store.Beat(ctx, e.holder, e.writesBy()); err != nil {
		return err
	}
	if err := e.reread(ctx); err != nil {
		return err
	}
	e.beaten.Store(int64(at))
	return nil
}

// flushPools makes sure that no id is used that may have been condemned.
func (e *Engine) flushPools() {
	e.suspected.Store(true)
	e.registry.reading.Lock()
	defer e.registry.reading.Unlock()
	for _, p := range e.registry.known {
		e.unreleased.add(p.pool.takeAll()...)
	}
}

// giveUp is for a stored body that could not be committed.
func (e *Engine) giveUp(ctx context.Context, s *stored, why error) {
	switch {
	case s.size == 0:
	case errors.Is(why, meta.ErrReservationLost):
		e.lost(ctx, s)
	default:
		e.release(ctx, s.extent.Blob)
	}
}

// lost is for a body whose reservation was condemned, or is in doubt: which only this
// process can end. The collector may have been there before the last byte was, and not
// come again, so bytes that the ledger does not know are deleted here: what is not
// reserved or live in it never will be again. The rest of the pools will have been
// condemned too.
func (e *Engine) lost(ctx context.Context, s *stored) {
	e.flushPools()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	err := e.releaseIDs(ctx, []meta.BlobID{s.extent.Blob})
	var at []meta.BackendID
	if err == nil {
		at, err = e.store.BlobBackends(ctx, []meta.BlobID{s.extent.Blob})
	}
	if err == nil && at[0] == 0 {
		err = e.deleteUnknown(ctx, s)
	}
	if err != nil {
		e.log.Warn("a blob whose reservation was lost could not be deleted", "backend", s.at.Name, "error", err)
	}
}

// deleteUnknown deletes a blob of this process's that the ledger does not know, unless
// the store is an older one.
func (e *Engine) deleteUnknown(ctx context.Context, s *stored) error {
	if err := e.agree(ctx, s.at); err != nil {
		return err
	}
	return s.at.Delete(ctx, backends.BlobID(s.extent.Blob))
}

// abandon is for a body that did not arrive whole, as far as this process knows.
// If the collector has been there already, because the process was paused for
// long, bytes that are still under way would never be deleted: then the ledger
// takes the blob back, as one that is dead.
func (e *Engine) abandon(ctx context.Context, s *stored) {
	id := s.extent.Blob
	e.release(ctx, id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if _, err := e.store.Blob(ctx, id); !errors.Is(err, meta.ErrNotFound) {
		return
	}
	err := e.store.Reserve(ctx, e.holder, s.at.id, []meta.BlobID{id}, e.now())
	switch {
	case err == nil:
		e.release(ctx, id)
	case errors.Is(err, meta.ErrConflict): // the backend drains: nothing new is reserved there
		err = e.deleteUnknown(ctx, s)
	}
	if err != nil {
		e.log.Warn("a blob whose reservation was lost could not be condemned", "backend", s.at.Name, "error", err)
	}
}

// release condemns a reservation whose blob will not be committed. The ledger
// leaves it alone if it was committed after all. When the store cannot be
// reached, Beat tries again.
func (e *Engine) release(ctx context.Context, id meta.BlobID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := e.releaseIDs(ctx, []meta.BlobID{id}); err != nil {
		e.log.Warn("a reservation could not be released and will be tried again", "error", err)
		e.unreleased.add(id)
	}
}

// releaseIDs condemns blobs that this process reserved and did not commit. Of what was
// taken from it for dead it still knows that.
func (e *Engine) releaseIDs(ctx context.Context, ids []meta.BlobID) error {
	err := e.store.Release(ctx, e.holder, ids, e.now())
	if err == nil && e.suspected.Load() {
		err = e.store.Release(ctx, e.doubtHolder(), ids, e.now())
	}
	return err
}

// Beat shows the other gateways that this process lives, sees what has become of
// the deployment's row and of the backends, and gives up what will not be used: what
// could not be released before, unused reservations at backends that drain, what moves
// of blobs that are gone have left, and late markers. Then it moves epochs on if this process has changed
// the store. It is called every BeatInterval. A backend that is away is no error.
func (e *Engine) Beat(ctx context.Context) error {
	e.beating.Lock()
	defer e.beating.Unlock()
	e.sweep()
	if e.silent() { // what was reserved may have been condemned since
		e.flushPools()
	}
	err := e.beat(ctx)
	s, failed := e.refresh(ctx)
	if failed != nil {
		return errors.Join(err, failed, e.releaseUnused(ctx, nil))
	}
	e.registerLate(ctx, s)
	e.proveLate(ctx, s)
	e.dropOvertaken(ctx)
	err = errors.Join(err, e.releaseUnused(ctx, s), e.releaseCopies(ctx))
	e.cover(ctx, s)
	return err
}

// releaseUnused gives back failed reservations, and the pools of backends that
// are not active. Without places it gives back no pool.
func (e *Engine) releaseUnused(ctx context.Context, s *places) error {
	ids := e.unreleased.takeAll()
	if s != nil {
		e.registry.reading.Lock()
		for id, p := range e.registry.known {
			if s.states[id].State != meta.BackendActive {
				ids = append(ids, p.pool.takeAll()...)
			}
		}
		e.registry.reading.Unlock()
	}
	return e.releaseBatches(ctx, ids)
}

// releaseAll gives all unused pools back.
func (e *Engine) releaseAll(ctx context.Context) error {
	ids := e.unreleased.takeAll()
	e.registry.reading.Lock()
	for _, p := range e.registry.known {
		ids = append(ids, p.pool.takeAll()...)
	}
	e.registry.reading.Unlock()
	return e.releaseBatches(ctx, ids)
}

// releaseBatches releases ids, and remembers those that it could not.
func (e *Engine) releaseBatches(ctx context.Context, ids []meta.BlobID) error {
	for len(ids) > 0 {
		n := min(len(ids), meta.MaxReservation)
		if err := e.releaseIDs(ctx, ids[:n]); err != nil {
			e.unreleased.add(ids...)
			return err
		}
		ids = ids[n:]
	}
	return nil
}
