package blobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

const (
	// proveTimeout bounds the look at one backend's marker.
	proveTimeout = 10 * time.Second
	// maxRegisterTries is how often registering starts over because another
	// gateway registered one, or a collector moved an epoch on.
	maxRegisterTries = 2 * meta.MaxBackends
	// laterBackends are how many numbers above those that the store knows a new
	// backend is looked for under.
	// A store that was restored from before several backends were registered has lower numbers
	// than those backends' markers were made with.
	laterBackends = 8
)

// DefaultBackend returns the name of the default backend of a configuration, which is the
// only one where named is empty. It refuses a configuration that cannot be meant; one
// without backends can where nothing is to be written.
func DefaultBackend(configured []Backend, named string, readOnly bool) (string, error) {
	if len(configured) == 0 && !readOnly {
		return "", errors.New("no backend is configured")
	}
	seen := make(map[string]bool)
	for _, b := range configured {
		switch {
		case b.Name == "" || len(b.Name) > meta.MaxPlaceName || len(b.Region) > meta.MaxPlaceName || len(b.Jurisdiction) > meta.MaxPlaceName:
			return "", fmt.Errorf("backend %q: a name, region or jurisdiction has at most %d bytes, and a name at least one", b.Name, meta.MaxPlaceName)
		case seen[b.Name]:
			return "", fmt.Errorf("backend %q is configured twice", b.Name)
		}
		seen[b.Name] = true
	}
	if named == "" && len(configured) == 1 {
		named = configured[0].Name
	}
	if !seen[named] && len(configured) > 0 {
		return "", fmt.Errorf("the default backend %q is not configured", named)
	}
	return named, nil
}

// reconcile brings the store's backends and the configured ones together: new
// ones are registered, and none that still holds something may be missing. accept: one
// that a later state of the store has used is registered as well.
func (bs *Blobs) reconcile(ctx context.Context, accept bool) error {
	for range maxRegisterTries {
		s, err := bs.refresh(ctx)
		if err != nil {
			return fmt.Errorf("read the registered backends: %w", err)
		}
		if err := bs.refuseMissing(s); err != nil {
			return err
		}
		b := bs.unregistered(s)
		if b == nil {
			return nil
		}
		err = bs.registerUnused(ctx, s, b, accept)
		switch {
		// Another gateway was faster, or an epoch advanced. The next turn reads what there is
		// now.
		case errors.Is(err, meta.ErrConflict):
		case err != nil && unreached(ctx, err):
			bs.pending.note(b.Name, err.Error())
			bs.c.Log.Warn("a new backend cannot be reached; nothing is placed there until it can", "backend", b.Name, "error", err)
		case err != nil:
			return err
		}
	}
	return errors.New("the registered backends change all the time")
}

// registerUnused registers a new backend unless its storage was used before, which accept passes
// over. ErrConflict: another gateway has registered it meanwhile.
func (bs *Blobs) registerUnused(ctx context.Context, s *places, b *Backend, accept bool) error {
	if !accept {
		if err := bs.refuseUsed(ctx, s, b); errors.Is(err, meta.ErrConflict) {
			return err
		} else if err != nil {
			return fmt.Errorf("backend %s: %w", b.Name, err)
		}
	}
	if err := bs.register(ctx, s, b); err != nil {
		return fmt.Errorf("register the new backend %s: %w", b.Name, err)
	}
	return nil
}

// unregistered is a configured backend that the store does not know, but for those that
// are out of reach.
func (bs *Blobs) unregistered(s *places) *Backend {
	for i := range bs.c.Backends {
		if _, ok := s.named(bs.c.Backends[i].Name); !ok && !bs.pending.has(bs.c.Backends[i].Name) {
			return &bs.c.Backends[i]
		}
	}
	return nil
}

// refuseMissing finds a backend that holds something and is not configured.
func (bs *Blobs) refuseMissing(s *places) error {
	for _, row := range s.rows {
		if row.State == meta.BackendRetired || bs.configuredAs(row.Name) != nil {
			continue
		}
		if len(s.rows) == 1 && len(bs.c.Backends) == 1 {
			return fmt.Errorf("the store knows this deployment's only backend as %q, and the configuration calls one %q: if it is the same storage, call it %q in the configuration; if it is to be another one, configure both and drain %q",
				row.Name, bs.c.Backends[0].Name, row.Name, row.Name)
		}
		return fmt.Errorf("backend %q is %s and may hold objects, but is not configured: configure it, or drain it and wait until it is retired before it is taken out of the configuration", row.Name, stateName(row.State))
	}
	return nil
}

func stateName(s meta.BackendState) string {
	switch s {
	case meta.BackendActive:
		return "active"
	case meta.BackendDraining:
		return "draining"
	case meta.BackendRetired:
		return "retired"
	}
	return "unknown"
}

// register adds a backend to the store. Its markers go first: a row without them
// would look like a store that was rolled back. Another gateway may be
// registering as well; then the caller looks again.
func (bs *Blobs) register(ctx context.Context, s *places, b *Backend) error {
	row := meta.Backend{ID: meta.FirstBackend, Name: b.Name, State: meta.BackendActive, Created: bs.c.Now(), Epoch: firstEpoch}
	for _, other := range s.rows {
		// Ids of retired backends are not used again: rows of versions and leftover markers may
		// still name them.
		row.ID = max(row.ID, other.ID+1)
	}
	if err := bs.refuseForeign(ctx, b, row); err != nil {
		return err
	}
	if err := bs.putMarkers(ctx, b, row, row.Epoch); err != nil {
		return fmt.Errorf("write its markers: %w", err)
	}
	// Again: of two gateways that register one storage under two names, the later
	// to be added sees the marker of the earlier.
	if err := bs.refuseForeign(ctx, b, row); err != nil {
		return errors.Join(err, b.Delete(ctx, bs.markersOf(row, row.Epoch)...))
	}
	err := bs.c.Store.AddBackend(ctx, row)
	switch {
	case errors.Is(err, meta.ErrUnknown):
		return nil // the caller looks what became of it
	case errors.Is(err, meta.ErrExists):
		now, err := bs.row(ctx, row.ID)
		if err != nil || now.Name == row.Name {
			return err // nil: another gateway registered it, with the same markers
		}
		return b.Delete(ctx, bs.markersOf(row, row.Epoch)...)
	case err != nil:
		return errors.Join(err, b.Delete(ctx, bs.markersOf(row, row.Epoch)...))
	}
	bs.c.Log.Info("a backend was registered", "backend", row.Name, "id", row.ID)
	return nil
}

// PutFirstMarkers writes the markers of a new deployment's first backend, the default, and returns
// its row. A row without them would look like a store that was rolled back.
func (bs *Blobs) PutFirstMarkers(ctx context.Context, created time.Time) (meta.Backend, error) {
	b := bs.configuredAs(bs.c.Default)
	first := meta.Backend{ID: meta.FirstBackend, Name: b.Name, State: meta.BackendActive, Created: created, Epoch: firstEpoch}
	if err := bs.putMarkers(ctx, b, first, first.Epoch); err != nil {
		return first, fmt.Errorf("backend %s: %w", b.Name, err)
	}
	return first, nil
}

// DeleteFirstMarkers takes the markers of PutFirstMarkers away: another gateway began the deployment.
func (bs *Blobs) DeleteFirstMarkers(ctx context.Context, first meta.Backend) error {
	return bs.configuredAs(first.Name).Delete(ctx, bs.markersOf(first, first.Epoch)...)
}
