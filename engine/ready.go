package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Check is one thing that must work for requests to be served.
type Check struct {
	Name string
	Do   func(context.Context) error
}

// Checks are what every request depends on: the store and the keys. A backend is not
// among them: one that is away takes its own objects away and no others, and another
// gateway would not reach it either. See CheckBackend.
func (e *Engine) Checks() []Check {
	return []Check{{"store", e.store.Check}, {"keys", e.checkKeys}}
}

// checkKeys has the provider open what this process began with.
func (e *Engine) checkKeys(ctx context.Context) error {
	raw, err := e.provider.Unwrap(ctx, systemContext(meta.ID(e.deployment)), e.wrappedSeed)
	clear(raw)
	return err
}

const (
	// BackendCheckInterval is how often each backend is asked whether it is there.
	BackendCheckInterval = 10 * time.Second
	// BackendCheckTimeout bounds one CheckBackend. A backend that has not answered by
	// then is away.
	BackendCheckTimeout = 8 * time.Second
)

// errUnregistered: a new backend that could not be reached yet.
var errUnregistered = errors.New("the backend is new and has not been reached since the start")

// answer is what a backend last answered to CheckBackend.
type answer struct {
	mu    sync.Mutex
	began time.Duration // of the check under way, by Engine.elapsed; negative: none is
	err   error         // of the last that has ended
}

// BackendNames are the configured backends.
func (e *Engine) BackendNames() (names []string) {
	for i := range e.backends {
		names = append(names, e.backends[i].Name)
	}
	return names
}

// CheckBackend asks a configured backend whether it is the right storage and can be
// written to and read from, and takes note for BackendHealth. It is called every
// BackendCheckInterval, for one backend by one goroutine: what hangs there for good
// shows as away. The error is for the caller's log; a retired backend is none.
func (e *Engine) CheckBackend(ctx context.Context, name string) error {
	a := e.answers[name]
	a.mu.Lock()
	a.began = e.elapsed()
	before := a.err
	a.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, BackendCheckTimeout)
	defer cancel()
	err := e.checkBackend(within, name)
	a.mu.Lock()
	a.began = -1
	if ctx.Err() == nil { // otherwise it says nothing of the backend
		a.err = err
	}
	a.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil && before == nil:
		e.log.Warn("a backend is away: requests for what is there are refused", "backend", name, "error", err)
	case err == nil && before != nil:
		e.log.Info("a backend is back", "backend", name)
	}
	return err
}

func (e *Engine) checkBackend(ctx context.Context, name string) error {
	s := e.registry.now.Load()
	row, ok := s.named(name)
	if !ok && e.late.has(name) {
		return errUnregistered
	} else if !ok {
		return nil
	}
	p, err := s.at(row.ID)
	if err != nil {
		return err
	}
	if row.State != meta.BackendActive { // nothing new is written there
		return e.agree(ctx, p)
	}
	if err := e.prove(ctx, p); err != nil {
		return err
	}
	return p.Backend.Check(ctx)
}

// away reports whether a backend was last found not to answer as it should, or has
// not answered in time.
func (e *Engine) away(name string) bool {
	a := e.answers[name]
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err != nil || a.began >= 0 && e.elapsed()-a.began > BackendCheckTimeout+BackendCheckTimeout/4
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
