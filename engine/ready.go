package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// Check is one thing that must work for requests to be served.
type Check struct {
	Name string
	Do   func(context.Context) error
}

// Checks are what every request depends on: the store and the keys. A backend is not
// among them: one that is away takes its own objects away and no others, and another
// gateway would not reach it either. See blobs.CheckBackend.
func (e *Engine) Checks() []Check {
	return []Check{{"store", e.store.Check}, {"keys", e.checkKeys}}
}

// checkKeys has the provider open the system's seed, which every deployment has and whose
// wrap this process has at hand, as it read it last. The seed may have been rewrapped since, and the key taken away that it was under before.
func (e *Engine) checkKeys(ctx context.Context) error {
	was := *e.wrappedSeed.Load()
	err := e.opensSystem(ctx, was)
	if err == nil {
		return nil
	}
	now, readErr := e.Seeds().System(ctx)
	if readErr != nil || bytes.Equal(now.Wrapped, was) {
		return err
	}
	if err = e.opensSystem(ctx, now.Wrapped); err == nil {
		e.wrappedSeed.Store(&now.Wrapped)
	}
	return err
}

func (e *Engine) opensSystem(ctx context.Context, wrapped []byte) error {
	raw, err := e.provider.Unwrap(ctx, SystemContext(meta.ID(e.deployment)), wrapped)
	clear(raw)
	return err
}

// Ready reports whether requests can be served right now.
func (e *Engine) Ready(ctx context.Context) error {
	var errs []error
	for _, c := range e.Checks() {
		if err := c.Do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}
