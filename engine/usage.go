package engine

import (
	"context"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// usageTTL is how old the usage may be that a quota is held against.
const usageTTL = 2 * time.Second

// usageSeen is a usage as the store had it, and what this process stored since.
type usageSeen struct {
	mu    sync.Mutex
	store meta.Usage
	since meta.Usage
}

func (u *usageSeen) now() meta.Usage {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.store.Plus(u.since)
}

func (u *usageSeen) add(more meta.Usage) {
	u.mu.Lock()
	u.since = u.since.Plus(more)
	u.mu.Unlock()
}

// usageOf is what a bucket or a tenant takes up, as far as this process knows.
func (e *Engine) usageOf(ctx context.Context, id meta.ID, read func(context.Context, meta.ID) (meta.Usage, error)) (meta.Usage, error) {
	if u, ok := e.usages.Get(id); ok {
		return u.now(), nil
	}
	stored, err := read(ctx, id)
	if err != nil {
		return meta.Usage{}, meta.Coded(err)
	}
	e.usages.Put(id, &usageSeen{store: stored})
	return stored, nil
}

// charge notes what a commit of this process added, for as long as the store's
// usage is not read again.
func (e *Engine) charge(b meta.Bucket, more meta.Usage) {
	for _, id := range []meta.ID{b.ID, b.Owner} {
		if u, ok := e.usages.Get(id); ok {
			u.add(more)
		}
	}
}

// freed has the usage read again after something of a bucket was removed, so that
// there is room for it at once.
func (e *Engine) freed(b meta.Bucket) {
	e.usages.Drop(b.ID)
	e.usages.Drop(b.Owner)
}

// BucketUsage is what a bucket's versions take up, exactly.
func (e *Engine) BucketUsage(ctx context.Context, b meta.Bucket) (meta.Usage, error) {
	u, err := e.store.BucketUsage(ctx, b.ID)
	return u, meta.Coded(err)
}

// TenantUsage is what all buckets of a tenant take up, exactly.
func (e *Engine) TenantUsage(ctx context.Context, id meta.ID) (meta.Usage, error) {
	u, err := e.store.OwnerUsage(ctx, id)
	return u, meta.Coded(err)
}
