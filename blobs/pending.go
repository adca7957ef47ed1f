package blobs

import (
	"context"
	"errors"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// One backend that is away keeps nobody from being served: a gateway starts without it,
// refuses what needs it, and does what a start does with it once it is back. Until
// its markers were seen nothing is written, deleted or read there. One that turns out to
// be the wrong storage, or may not be used, is refused alone.

// pendingBackends are the new ones that could not be registered at the start.
type pendingBackends struct {
	mu sync.Mutex
	of map[string]string // by name, with the last failure that was logged
}

func (l *pendingBackends) has(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.of[name]
	return ok
}

// note remembers a backend with why it could not be registered, and reports whether
// that is news.
func (l *pendingBackends) note(name, why string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = make(map[string]string)
	}
	before, ok := l.of[name]
	l.of[name] = why
	return !ok || before != why
}

func (l *pendingBackends) drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, name)
}

// unreached reports whether an error says that a backend is out of reach, rather than
// what is wrong with it.
func unreached(ctx context.Context, err error) bool {
	return errors.Is(err, backends.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
}

// registerPending tries again to register what could not be at the start.
func (bs *Blobs) registerPending(ctx context.Context, s *places) {
	for i := range bs.c.Backends {
		b := &bs.c.Backends[i]
		if !bs.pending.has(b.Name) {
			continue
		}
		if _, ok := s.named(b.Name); ok { // another gateway was faster
			bs.pending.drop(b.Name)
			continue
		}
		within, cancel := context.WithTimeout(ctx, proveTimeout)
		err := bs.registerUnused(within, s, b, false)
		cancel()
		switch {
		case err == nil || errors.Is(err, meta.ErrConflict): // the next beat sees which
		case bs.pending.note(b.Name, err.Error()):
			bs.c.Log.Warn("a new backend cannot be registered; nothing is placed there", "backend", b.Name, "error", err)
		}
	}
}

// met sees to it that a backend's markers were seen before anything is read there.
func (bs *Blobs) met(ctx context.Context, p *place) error {
	if p.met.Load() || bs.c.ReadOnly {
		return nil
	}
	return bs.prove(ctx, p)
}
