package blobs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/sanctum-storage/gateway/meta"
)

// Names of leases. Each keeps gateways from doing the same work at the same time, and
// nothing more: what must not happen twice is a compare-and-swap.
const (
	collectorLease = "collector"
	moverLease     = "mover"
)

// heldLeases are those that this process took, by name.
type heldLeases struct {
	mu     sync.Mutex
	byName map[string]meta.Lease
}

// Hold makes a lease this process's, if it is free or its holder shows no sign
// of life, and reports whether it is. It stays so until Close.
func (bs *Blobs) Hold(ctx context.Context, name string) (meta.Lease, bool, error) {
	seen, err := bs.c.Store.Lease(ctx, name)
	if err != nil {
		return seen, false, err
	}
	// Without a look at the beat: a lease taken from this process has another holder's id.
	if seen.Holder == bs.holder {
		bs.keepLease(seen)
		return seen, true, nil
	}
	// A holder that lives is known to the store, so that the others see it beat.
	if err := bs.ShowLife(ctx); err != nil {
		return seen, false, err
	}
	if !seen.Holder.IsZero() {
		// The holder must be known to live. One that is neither gone nor alive has no row any
		// more, so its lease is free.
		_, alive, err := bs.Gone(ctx)
		if err != nil || alive[seen.Holder] {
			return seen, false, err
		}
	}
	// A compare-and-swap on the fence of seen, so that of two gateways one succeeds.
	l, err := bs.c.Store.TakeLease(ctx, seen, bs.holder)
	if errors.Is(err, meta.ErrConflict) { // another was faster
		return l, false, nil
	} else if err != nil { // of unknown outcome: the next call sees
		return l, false, err
	}
	bs.keepLease(l)
	return l, true, nil
}

func (bs *Blobs) keepLease(l meta.Lease) {
	bs.leases.mu.Lock()
	defer bs.leases.mu.Unlock()
	if bs.leases.byName == nil {
		bs.leases.byName = make(map[string]meta.Lease)
	}
	bs.leases.byName[l.Name] = l
}

// dropLeases makes this process's leases free.
func (bs *Blobs) dropLeases(ctx context.Context) error {
	bs.leases.mu.Lock()
	held := slices.Collect(maps.Values(bs.leases.byName))
	bs.leases.byName = nil
	bs.leases.mu.Unlock()
	var errs []error
	for _, l := range held {
		// A lease that another has taken meanwhile has another fence, and is left alone.
		errs = append(errs, bs.c.Store.DropLease(ctx, l))
	}
	return errors.Join(errs...)
}
