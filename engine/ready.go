package engine

import (
	"context"
	"errors"
	"fmt"
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

// checkKeys has the provider open the system's seed, which every deployment has.
func (e *Engine) checkKeys(ctx context.Context) error {
	raw, err := e.systemSeed(ctx)
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
