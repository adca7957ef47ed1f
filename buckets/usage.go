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

// usageIdle is how long the usage of one that stores nothing is remembered. It is longer than
// any commit takes, so that no claim is forgotten while its outcome is open.
const usageIdle = 10 * time.Minute

// usageSeen is a usage as the store had it, and what this process claimed since. One value
// serves for all reads, so that no read loses a claim.
type usageSeen struct {
	mu    sync.Mutex
	store meta.Usage
	// since is what the store may not have shown at the last read: what was claimed after that
	// began, and what was underway then.
	since    meta.Usage
	underway meta.Usage // claimed, and not known to be stored
	read     time.Time  // when the last read began; zero: there was none, or it is too old for a reason
	reading  int        // the number of reads begun
	freed    int        // the number of the read that was under way when something was removed
}

// fresh reports whether a quota may be held against it.
func (u *usageSeen) fresh() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.read.IsZero() && time.Since(u.read) <= usageTTL
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
	u.since, u.underway = u.since.Plus(more), u.underway.Plus(more)
	return true
}

// end ends a claim, and gives its room back where nothing was stored.
func (u *usageSeen) end(more meta.Usage, stored bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.underway = u.underway.Minus(more)
	if !stored {
		u.since = u.since.Minus(more)
	}
}

// stale has the usage read again.
func (u *usageSeen) stale() {
	u.mu.Lock()
	u.read, u.freed = time.Time{}, u.reading
	u.mu.Unlock()
}

// renew reads the usage. A claim that ends during the read counts whole beside it, whether the
// read saw it or not, until the next read. Reads of one value must not overlap.
func (u *usageSeen) renew(read func() (meta.Usage, error)) error {
	u.mu.Lock()
	began, before, underway := time.Now(), u.since, u.underway
	u.reading++
	u.mu.Unlock()
	store, err := read()
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.store, u.since, u.read = store, u.since.Minus(before).Plus(underway), began
	if u.freed == u.reading { // a removal that the read may not have seen
		u.read = time.Time{}
	}
	return nil
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
	if u, ok := bs.usages.Get(id); ok && u.fresh() {
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
	u, ok := bs.usages.Get(id)
	if ok && u.fresh() { // by the read before
		r.usage = u
		return
	}
	if !ok {
		u = new(usageSeen)
	}
	bs.usages.Put(id, u) // before the read, so that Freed finds it, and for another usageIdle
	r.usage, r.err = u, meta.Coded(u.renew(func() (meta.Usage, error) { return read(ctx, id) }))
}

// Freed has the usage read again after something of a bucket was removed, so that
// there is room for it at once.
func (bs *Buckets) Freed(b meta.Bucket) {
	for _, id := range []meta.ID{b.ID, b.Owner} {
		if u, ok := bs.usages.Get(id); ok {
			u.stale()
		}
	}
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
