package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
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
	laterBackends = 8
)

// checkBackends refuses a configuration that cannot be meant.
func checkBackends(c *Config) error {
	if len(c.Backends) == 0 && !c.ReadOnly {
		return errors.New("no backend is configured")
	}
	seen := make(map[string]bool)
	for _, b := range c.Backends {
		switch {
		case b.Name == "" || len(b.Name) > meta.MaxPlaceName || len(b.Region) > meta.MaxPlaceName || len(b.Jurisdiction) > meta.MaxPlaceName:
			return fmt.Errorf("backend %q: a name, region or jurisdiction has at most %d bytes, and a name at least one", b.Name, meta.MaxPlaceName)
		case seen[b.Name]:
			return fmt.Errorf("backend %q is configured twice", b.Name)
		}
		seen[b.Name] = true
	}
	if c.Default == "" && len(c.Backends) == 1 {
		c.Default = c.Backends[0].Name
	}
	if !seen[c.Default] && len(c.Backends) > 0 {
		return fmt.Errorf("the default backend %q is not configured", c.Default)
	}
	return nil
}

// reconcile brings the store's backends and the configured ones together: new
// ones are registered, and none that still holds something may be missing. accept: one
// that a later state of the store has used is registered as well.
func (e *Engine) reconcile(ctx context.Context, accept bool) error {
	for range maxRegisterTries {
		s, err := e.refresh(ctx)
		if err != nil {
			return fmt.Errorf("read the registered backends: %w", err)
		}
		if err := e.refuseMissing(s); err != nil {
			return err
		}
		b := e.unregistered(s)
		if b == nil {
			return nil
		}
		err = e.enrol(ctx, s, b, accept)
		switch {
		case errors.Is(err, meta.ErrConflict):
		case err != nil && unreached(ctx, err):
			e.late.note(b.Name, err.Error())
			e.log.Warn("a new backend cannot be reached; nothing is placed there until it can", "backend", b.Name, "error", err)
		case err != nil:
			return err
		}
	}
	return errors.New("the registered backends change all the time")
}

// enrol registers a new backend unless its storage was used before, which accept passes
// over. ErrConflict: another gateway has registered it meanwhile.
func (e *Engine) enrol(ctx context.Context, s *places, b *Backend, accept bool) error {
	if !accept {
		if err := e.refuseUsed(ctx, s, b); errors.Is(err, meta.ErrConflict) {
			return err
		} else if err != nil {
			return fmt.Errorf("backend %s: %w", b.Name, err)
		}
	}
	if err := e.register(ctx, s, b); err != nil {
		return fmt.Errorf("register the new backend %s: %w", b.Name, err)
	}
	return nil
}

// unregistered is a configured backend that the store does not know, but for those that
// are out of reach.
func (e *Engine) unregistered(s *places) *Backend {
	for i := range e.backends {
		if _, ok := s.named(e.backends[i].Name); !ok && !e.late.has(e.backends[i].Name) {
			return &e.backends[i]
		}
	}
	return nil
}

// refuseMissing finds a backend that holds something and is not configured.
func (e *Engine) refuseMissing(s *places) error {
	for _, row := range s.rows {
		if row.State == meta.BackendRetired || e.configuredAs(row.Name) != nil {
			continue
		}
		if len(s.rows) == 1 && len(e.backends) == 1 {
			return fmt.Errorf("the store knows this deployment's only backend as %q, and the configuration calls one %q: if it is the same storage, call it %q in the configuration; if it is to be another one, configure both and drain %q",
				row.Name, e.backends[0].Name, row.Name, row.Name)
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
func (e *Engine) register(ctx context.Context, s *places, b *Backend) error {
	row := meta.Backend{ID: meta.FirstBackend, Name: b.Name, State: meta.BackendActive, Created: e.now(), Epoch: firstEpoch}
	for _, other := range s.rows {
		row.ID = max(row.ID, other.ID+1)
	}
	if err := e.refuseForeign(ctx, b, row); err != nil {
		return err
	}
	if err := e.putMarkers(ctx, b, row, row.Epoch); err != nil {
		return fmt.Errorf("write its markers: %w", err)
	}
	// Again: of two gateways that register one storage under two names, the later
	// to be added sees the marker of the earlier.
	if err := e.refuseForeign(ctx, b, row); err != nil {
		return errors.Join(err, b.Delete(ctx, e.markersOf(row, row.Epoch)...))
	}
	err := e.store.AddBackend(ctx, row)
	switch {
	case errors.Is(err, meta.ErrUnknown):
		return nil // the caller looks what became of it
	case errors.Is(err, meta.ErrExists):
		now, err := e.row(ctx, row.ID)
		if err != nil || now.Name == row.Name {
			return err // nil: another gateway registered it, with the same markers
		}
		return b.Delete(ctx, e.markersOf(row, row.Epoch)...)
	case err != nil:
		return errors.Join(err, b.Delete(ctx, e.markersOf(row, row.Epoch)...))
	}
	e.log.Info("a backend was registered", "backend", row.Name, "id", row.ID)
	return nil
}

// refuseForeign fails with ErrWrongBackend where a storage holds the marker of
// another backend: draining one of two names of a storage would delete what the
// other holds. A collector may move an epoch on while it looks.
func (e *Engine) refuseForeign(ctx context.Context, at backends.Backend, self meta.Backend) error {
	seen := make(map[backends.BlobID]bool)
	for range maxRegisterTries {
		rows, err := e.store.ListBackends(ctx)
		if err != nil {
			return err
		}
		same := true
		for _, row := range rows {
			if row.ID == self.ID && row.Name == self.Name || row.State == meta.BackendRetired {
				continue
			}
			for _, m := range e.signs(row) {
				if seen[m] {
					continue
				}
				same, seen[m] = false, true
				found, err := holds(ctx, at, m)
				if err != nil {
					return err
				}
				if found {
					return fmt.Errorf("%w: it is that of %s", ErrWrongBackend, row.Name)
				}
			}
		}
		if same {
			return nil
		}
	}
	return errors.New("the backends' epochs change all the time")
}

// refuseUsed fails with ErrStoreRolledBack where a storage was a backend of this name
// already: then the store was copied before that was registered. It fails with
// meta.ErrConflict where another gateway has registered it meanwhile.
func (e *Engine) refuseUsed(ctx context.Context, s *places, b *Backend) error {
	last := meta.FirstBackend
	for _, row := range s.rows {
		last = max(last, row.ID)
	}
	for id := meta.FirstBackend; id <= last+laterBackends; id++ {
		if s.states[id].State == meta.BackendRetired { // what it has left says nothing
			continue
		}
		found, err := holds(ctx, b, e.sealingMarker(meta.Backend{ID: id, Name: b.Name}))
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		now, err := e.refresh(ctx)
		if err != nil {
			return err
		}
		if _, ok := now.named(b.Name); ok {
			return meta.ErrConflict
		}
		return fmt.Errorf("%w (it does not know this backend, which has been in use)", ErrStoreRolledBack)
	}
	return nil
}

// signs are the markers by which a backend's storage is known while epochs move.
func (e *Engine) signs(b meta.Backend) []backends.BlobID {
	if n := incarnation(b.Epoch); n >= firstIncarnation {
		return []backends.BlobID{e.incarnationMarker(b, n)}
	}
	return []backends.BlobID{e.marker(b, b.Epoch), e.marker(b, b.Epoch+1)}
}

// prove sees to it that the configured name leads to the storage that the store
// means, before anything is written there.
func (e *Engine) prove(ctx context.Context, p *place) error {
	if p.proved.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	row, err := e.checkEpoch(ctx, p)
	if err == nil {
		err = e.proveSealing(ctx, p, row)
	}
	if err == nil {
		p.disagrees.Store(false)
		p.proved.Store(true)
		p.met.Store(true)
		return nil
	}
	if Disagrees(err) {
		p.disagrees.Store(true)
	}
	return fmt.Errorf("backend %s: %w", p.Name, err)
}

// agree is prove for what must not rely on what was seen before.
func (e *Engine) agree(ctx context.Context, p *place) error {
	_, err := e.checkEpoch(ctx, p)
	e.noteDisagreement(p, err)
	if err != nil {
		return fmt.Errorf("backend %s: %w", p.Name, err)
	}
	return nil
}

// proveAll proves every backend at start. One that is out of reach is left for
// later, and nothing is written there until then.
//
// A store that says that not every row is sealed is refused when none can be reached:
// whether it was edited to say so, only they can tell.
func (e *Engine) proveAll(ctx context.Context) error {
	asked := false
	var away error
	for _, p := range e.registry.now.Load().configured {
		err := e.prove(ctx, p)
		switch {
		case err == nil:
			asked = true
		case unreached(ctx, err):
			p.noted, away = err.Error(), err
			e.log.Warn("a backend cannot be reached; requests for what is there are refused until it can", "error", err)
		default:
			return err
		}
	}
	if !asked && away != nil && e.sealing() < meta.SealingWhole {
		return fmt.Errorf("the store is not sealed whole, and no backend can be asked whether it ever was: %w", away)
	}
	return nil
}

// proveLate tries again what Open left, all at once: a beat must not take as long as
// several backends that are frozen. A failure is logged when it is new.
func (e *Engine) proveLate(ctx context.Context, s *places) {
	var proving sync.WaitGroup
	for _, p := range s.configured {
		if p.proved.Load() && p.sealed.Load() {
			continue
		}
		proving.Go(func() { e.proveOneLate(ctx, s, p) })
	}
	proving.Wait()
}

func (e *Engine) proveOneLate(ctx context.Context, s *places, p *place) {
	if p.proved.Load() {
		e.sealLate(ctx, s, p)
		return
	}
	err := e.prove(ctx, p)
	switch {
	case err == nil:
		e.log.Info("the backend is in use", "backend", p.Name)
		p.noted = ""
	case err.Error() != p.noted:
		p.noted = err.Error()
		e.log.Warn("a backend cannot be used; requests for what is there are refused", "error", err)
	}
}
