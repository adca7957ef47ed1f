package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/sanctum-storage/gateway/meta"
)

// Names of the leases. Each keeps gateways from doing the same work at the same
// time, and nothing more: what must not happen twice is a compare-and-swap.
const (
	collectorLease = "collector"
	moverLease     = "mover"
	sealingLease   = "sealing"
)

// heldLeases are those that this process took, by name.
type heldLeases struct {
	mu     sync.Mutex
	byName map[string]meta.Lease
}

// hold makes a lease this process's, if it is free or its holder shows no sign
// of life, and reports whether it is. It stays so until Close.
func (e *Engine) hold(ctx context.Context, name string) (meta.Lease, bool, error) {
	seen, err := e.store.Lease(ctx, name)
	if err != nil {
		return seen, false, err
	}
	if seen.Holder == e.holder {
		e.keepLease(seen)
		return seen, true, nil
	}
	// A holder that lives is known to the store, so that the others see it beat.
	if err := e.beat(ctx); err != nil {
		return seen, false, err
	}
	if !seen.Holder.IsZero() {
		_, alive, err := e.look(ctx)
		if err != nil || alive[seen.Holder] {
			return seen, false, err
		}
	}
	l, err := e.store.TakeLease(ctx, seen, e.holder)
	if errors.Is(err, meta.ErrConflict) { // another was faster
		return l, false, nil
	} else if err != nil { // of unknown outcome: the next call sees
		return l, false, err
	}
	e.keepLease(l)
	return l, true, nil
}

// HoldLease makes the lease of a name this process's, if it is free or its holder shows no
// sign of life, and reports whether it is. It stays so until Close. A lease keeps gateways
// from doing the same work at the same time, and nothing more.
func (e *Engine) HoldLease(ctx context.Context, name string) (mine bool, err error) {
	_, mine, err = e.hold(ctx, name)
	return mine, err
}

func (e *Engine) keepLease(l meta.Lease) {
	e.leases.mu.Lock()
	defer e.leases.mu.Unlock()
	if e.leases.byName == nil {
		e.leases.byName = make(map[string]meta.Lease)
	}
	e.leases.byName[l.Name] = l
}

// dropLeases makes this process's leases free.
func (e *Engine) dropLeases(ctx context.Context) error {
	e.leases.mu.Lock()
	held := slices.Collect(maps.Values(e.leases.byName))
	e.leases.byName = nil
	e.leases.mu.Unlock()
	var errs []error
	for _, l := range held {
		errs = append(errs, e.store.DropLease(ctx, l))
	}
	return errors.Join(errs...)
}
