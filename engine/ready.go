package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// Check is one thing that must work for requests to be served.
type Check struct {
	Name string // "store", or "backend " and its name
	Do   func(context.Context) error
}

// Checks are the store and each configured backend. A backend that is not
// active passes: no new request depends on it for writing, and taking the
// gateway out of service would not bring it back.
func (e *Engine) Checks() []Check {
	cs := []Check{{"store", e.store.Check}}
	for i := range e.backends {
		name := e.backends[i].Name
		cs = append(cs, Check{"backend " + name, func(ctx context.Context) error { return e.checkBackend(ctx, name) }})
	}
	return cs
}

func (e *Engine) checkBackend(ctx context.Context, name string) error {
	s := e.registry.now.Load()
	row, ok := s.named(name)
	if !ok || row.State != meta.BackendActive {
		return nil
	}
	p, err := s.at(row.ID)
	if err != nil {
		return err
	}
	if err := e.prove(ctx, p); err != nil {
		return err
	}
	return p.Backend.Check(ctx)
}

// Ready reports whether requests can be served right now: the store and every
// active backend answer.
func (e *Engine) Ready(ctx context.Context) error {
	var errs []error
	for _, c := range e.Checks() {
		if err := c.Do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}
