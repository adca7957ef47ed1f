package blobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

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
	began time.Duration // of the check under way, by Config.Elapsed; negative: none is
	err   error         // of the last that has ended
}

// BackendNames are the configured backends.
func (bs *Blobs) BackendNames() (names []string) {
	for i := range bs.c.Backends {
		names = append(names, bs.c.Backends[i].Name)
	}
	return names
}

// CheckBackend asks a configured backend whether it is the right storage and can be
// written to and read from, and takes note for BackendHealth. It is called every
// BackendCheckInterval, for one backend by one goroutine: what hangs there for good
// shows as away. The error is for the caller's log; a retired backend is none.
func (bs *Blobs) CheckBackend(ctx context.Context, name string) error {
	a := bs.answers[name]
	a.mu.Lock()
	a.began = bs.c.Elapsed()
	before := a.err
	a.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, BackendCheckTimeout)
	defer cancel()
	err := bs.checkBackend(within, name)
	a.mu.Lock()
	a.began = -1
	if ctx.Err() == nil { // otherwise it says nothing of the backend
		a.err = err
	}
	a.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil && before == nil:
		bs.c.Log.Warn("a backend is away: requests for what is there are refused", "backend", name, "error", err)
	case err == nil && before != nil:
		bs.c.Log.Info("a backend is back", "backend", name)
	}
	return err
}

func (bs *Blobs) checkBackend(ctx context.Context, name string) error {
	s := bs.registry.now.Load()
	row, ok := s.named(name)
	if !ok && bs.pending.has(name) {
		return errUnregistered
	} else if !ok {
		return nil
	}
	p, err := s.at(row.ID)
	if err != nil {
		return err
	}
	// A draining backend may have become read-only, and Check writes.
	if row.State != meta.BackendActive { // nothing new is written there
		return bs.agree(ctx, p)
	}
	if err := bs.prove(ctx, p); err != nil {
		return err
	}
	return p.Backend.Check(ctx)
}

// away reports whether a backend was last found not to answer as it should, or has
// not answered in time.
func (bs *Blobs) away(name string) bool {
	a := bs.answers[name]
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// A check that does not return, because the backend ignores the end of its context, never
	// sets err. The quarter is for one that is just about to return.
	return a.err != nil || a.began >= 0 && bs.c.Elapsed()-a.began > BackendCheckTimeout+BackendCheckTimeout/4
}
