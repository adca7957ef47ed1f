package buckets

import (
	"context"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
)

// usageTTL is how old the usage may be that a quota is held against.
const usageTTL = 2 * time.Second

// usageSeen is a usage as the store had it, and what this process claimed since.
// since is what a quota would otherwise overlook until the next read.
type usageSeen struct {
	mu    sync.Mutex
	store meta.Usage
	since meta.Usage
}

// fits reports whether there is room for more.
func (u *usageSeen) fits(l meta.Limits, more meta.Usage) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !l.Over(u.store.Plus(u.since), more)
}

// claim takes the room for more if there is any.
func (u *usageSeen) claim(l meta.Limits, more meta.Usage) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.Over(u.store.Plus(u.since), more) {
		return false
	}
	u.since = u.since.Plus(more)
	return true
}

// giveBack undoes a claim.
func (u *usageSeen) giveBack(more meta.Usage) {
	u.mu.Lock()
	u.since = u.since.Minus(more)
	u.mu.Unlock()
}

// usageReads are the reads of usages that have not begun, by bucket or tenant.
type usageReads struct {
	mu    sync.Mutex
	of    map[meta.ID]*usageRead
	turns *fair.Turns[meta.ID]
}

// usageRead is a read that requests share. usage and err are set when done is closed.
type usageRead struct {
	done  chan struct{}
	usage *usageSeen
	err   error
}

func newUsageReads() usageReads {
	return usageReads{of: make(map[meta.ID]*usageRead), turns: fair.NewTurns[meta.ID](1)}
}

// usageOf is what a bucket or a tenant takes up, as far as this process knows. Of
// concurrent requests one reads it and the others wait for it: the read sums up all
// buckets of a tenant, and each deletion has it read again. A request takes part in a read
// that begins after it asked, so that it waits for two at most.
func (bs *Buckets) usageOf(ctx context.Context, id meta.ID, read func(context.Context, meta.ID) (meta.Usage, error)) (*usageSeen, error) {
	if u, ok := bs.usages.Get(id); ok {
		return u, nil
	}
	reads := &bs.reads
	reads.mu.Lock()
	r, shared := reads.of[id]
	if !shared {
		r = &usageRead{done: make(chan struct{})}
		reads.of[id] = r
	}
	reads.mu.Unlock()
	if !shared {
		// Others wait for it, whether this request's client stays or not.
		bs.readUsage(context.WithoutCancel(ctx), id, r, read)
		return r.usage, r.err
	}
	within, done := meta.Patiently(ctx) // no longer than for a call of the store
	defer done()
	select {
	case <-r.done:
		return r.usage, r.err
	case <-within.Done():
		return nil, meta.Coded(context.Cause(within))
	}
}

// readUsage carries out a read when the one before it has ended.
func (bs *Buckets) readUsage(ctx context.Context, id meta.ID, r *usageRead, read func(context.Context, meta.ID) (meta.Usage, error)) {
	defer close(r.done)
	within, done := meta.Patiently(ctx)
	leave, err := bs.reads.turns.Enter(within, id)
	done()
	// A request that comes from now on may have to see more than this read does.
	bs.reads.mu.Lock()
	delete(bs.reads.of, id)
	bs.reads.mu.Unlock()
	if err != nil {
		r.err = meta.Coded(err)
		return
	}
	defer leave()
	// The read before it may be new enough.
	if u, ok := bs.usages.Get(id); ok {
		r.usage = u
		return
	}
	// Changes that this process commits during the read are not counted until the next one: a
	// quota may be exceeded by that, as Admit says.
	r.usage, r.err = bs.usages.Load(id, func() (*usageSeen, error) {
		stored, err := read(ctx, id)
		return &usageSeen{store: stored}, meta.Coded(err)
	})
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
