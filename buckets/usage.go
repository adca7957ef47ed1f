package buckets

import (
	"context"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// usageTTL is how old the usage may be that a quota is held against.
const usageTTL = 2 * time.Second

// usageSeen is a usage as the store had it, and what this process stored since.
// since is what a quota would otherwise overlook until the next read.
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
func (bs *Buckets) usageOf(ctx context.Context, id meta.ID, read func(context.Context, meta.ID) (meta.Usage, error)) (meta.Usage, error) {
	if u, ok := bs.usages.Get(id); ok {
		return u.now(), nil
	}
	// Changes that this process commits during the read are not counted until the next one: a
	// quota may be exceeded by that, as Admit says.
	u, err := bs.usages.Load(id, func() (*usageSeen, error) {
		stored, err := read(ctx, id)
		return &usageSeen{store: stored}, meta.Coded(err)
	})
	if err != nil {
		return meta.Usage{}, err
	}
	return u.now(), nil
}

// Charge notes what a commit of this process added, for as long as the store's
// usage is not read again.
// It has no effect where no usage is remembered, because the next read has the commit.
func (bs *Buckets) Charge(b meta.Bucket, more meta.Usage) {
	for _, id := range []meta.ID{b.ID, b.Owner} {
		if u, ok := bs.usages.Get(id); ok {
			u.add(more)
		}
	}
}

// Freed has the usage read again after something of a bucket was removed, so that
// there is room for it at once.
func (bs *Buckets) Freed(b meta.Bucket) {
	bs.usages.Drop(b.ID)
	bs.usages.Drop(b.Owner)
}

// Usage is what a bucket's versions take up, exactly.
func (bs *Buckets) Usage(ctx context.Context, b meta.Bucket) (meta.Usage, error) {
	u, err := bs.Store.BucketUsage(ctx, b.ID)
	return u, meta.Coded(err)
}

// TenantUsage is what all buckets of a tenant take up, exactly.
func (bs *Buckets) TenantUsage(ctx context.Context, id meta.ID) (meta.Usage, error) {
	u, err := bs.Store.OwnerUsage(ctx, id)
	return u, meta.Coded(err)
}
