package engine

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// leftoverAge is how old is what a backend keeps of a Put before it counts as left
	// over: no Put of one blob takes as long.
	leftoverAge = 7 * 24 * time.Hour
	// leftoverInterval is the pause between two looks at one backend for it.
	leftoverInterval = 24 * time.Hour
	// leftoverTimeout bounds one look.
	leftoverTimeout = time.Minute
)

// sweepBackends removes from backends what Puts have left that were cut short: by a kill,
// or where the backend did not take their end either. A backend that does not let itself
// be swept has been told of in the log, and is none of the collector's failures: it may
// lack a right that nothing else needs.
func (e *Engine) sweepBackends(ctx context.Context, s *places) {
	for id, p := range s.configured {
		last, swept := e.sweptAt[id]
		if !p.proved.Load() || swept && e.elapsed()-last < leftoverInterval {
			continue
		}
		if e.sweptAt == nil {
			e.sweptAt = make(map[meta.BackendID]time.Duration)
		}
		e.sweptAt[id] = e.elapsed()
		within, cancel := context.WithTimeout(ctx, leftoverTimeout)
		n, err := backends.Sweep(within, p.Backend.Backend, e.now().Add(-leftoverAge))
		cancel()
		if n > 0 {
			e.log.Info("removed what writes that were cut short had left at a backend", "backend", p.Name, "uploads", n)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Warn("what writes that were cut short have left at a backend could not be looked for or removed, and will be tried again in a day",
				"backend", p.Name, "error", err)
		}
	}
}
