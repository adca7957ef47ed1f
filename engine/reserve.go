package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// reserveBatch blobs are reserved at a time, so that a PUT costs one
	// durable write of the store, its commit.
	reserveBatch = 128
	// settleTimeout bounds what is done for a request after it has failed.
	settleTimeout = 10 * time.Second
	// maxUnreleased failed reservations are remembered for another try.
	maxUnreleased = 10_000
)

// reservations are blob ids that the ledger holds for this process.
type reservations struct {
	refill chan struct{} // holds one token: the right to refill
	once   sync.Once
	mu     sync.Mutex
	free   []meta.BlobID
	failed []meta.BlobID // used in vain, not yet released
}

func (p *reservations) take() (id meta.BlobID, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return id, false
	}
	id = p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	return id, true
}

// reserve returns a blob id that nobody has used, reserved durably.
func (e *Engine) reserve(ctx context.Context) (meta.BlobID, error) {
	p := &e.pool
	p.once.Do(func() { p.refill = make(chan struct{}, 1) })
	for {
		if id, ok := p.take(); ok {
			return id, nil
		}
		select {
		case p.refill <- struct{}{}:
		case <-ctx.Done():
			return meta.BlobID{}, context.Cause(ctx)
		}
		err := e.refillPool(ctx)
		<-p.refill
		if err != nil {
			return meta.BlobID{}, storeError(err)
		}
	}
}

func (e *Engine) refillPool(ctx context.Context) error {
	p := &e.pool
	p.mu.Lock()
	enough := len(p.free) > 0 // another caller refilled while this one waited
	p.mu.Unlock()
	if enough {
		return nil
	}
	ids := make([]meta.BlobID, reserveBatch)
	for i := range ids {
		ids[i] = meta.BlobID(backends.NewBlobID())
	}
	if err := e.store.Reserve(ctx, e.holder, ids, e.now()); err != nil {
		return err
	}
	p.mu.Lock()
	p.free = append(p.free, ids...)
	p.mu.Unlock()
	return nil
}

// release condemns a reservation whose blob will not be committed. The ledger
// leaves it alone if it was committed after all. When the store cannot be
// reached, Beat tries again.
func (e *Engine) release(ctx context.Context, id meta.BlobID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := e.store.Release(ctx, e.holder, []meta.BlobID{id}, e.now()); err != nil {
		e.log.Warn("a reservation could not be released and will be tried again", "error", err)
		p := &e.pool
		p.mu.Lock()
		if len(p.failed) < maxUnreleased { // beyond: condemned when this process ends
			p.failed = append(p.failed, id)
		}
		p.mu.Unlock()
	}
}

// Beat shows the other gateways that this process lives, and releases again
// what could not be released before. It is called every few seconds.
func (e *Engine) Beat(ctx context.Context) error {
	p := &e.pool
	p.mu.Lock()
	failed := p.failed
	p.failed = nil
	p.mu.Unlock()
	err := errors.Join(e.store.Beat(ctx, e.holder), e.releaseBatches(ctx, &failed))
	p.mu.Lock()
	p.failed = append(p.failed, failed...)
	p.mu.Unlock()
	return err
}

// releaseAll gives the unused pool back.
func (e *Engine) releaseAll(ctx context.Context) error {
	p := &e.pool
	p.mu.Lock()
	ids := append(p.free, p.failed...)
	p.free, p.failed = nil, nil
	p.mu.Unlock()
	return e.releaseBatches(ctx, &ids)
}

// releaseBatches takes from ids what it released.
func (e *Engine) releaseBatches(ctx context.Context, ids *[]meta.BlobID) error {
	for len(*ids) > 0 {
		n := min(len(*ids), meta.MaxReservation)
		if err := e.store.Release(ctx, e.holder, (*ids)[:n], e.now()); err != nil {
			return err
		}
		*ids = (*ids)[n:]
	}
	return nil
}
