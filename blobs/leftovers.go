package blobs

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// LeftoverAge is how old is what a backend keeps of a Put before it counts as left
	// over: no Put of one blob takes as long.
	LeftoverAge = 7 * 24 * time.Hour
	// LeftoverInterval is the pause between two looks at one backend for it.
	LeftoverInterval = 24 * time.Hour
	// leftoverTimeout bounds one look.
	leftoverTimeout = time.Minute
)

// sweepBackends removes from backends what Puts have left that were cut short: by a kill,
// or where the backend did not take their end either. A backend that does not let itself
// be swept has been told of in the log, and is none of the collector's failures: it may
// lack a right that nothing else needs.
func (bs *Blobs) sweepBackends(ctx context.Context, s *places) {
	for id, p := range s.configured {
		last, swept := bs.sweptAt[id]
		if !p.proved.Load() || swept && bs.c.Elapsed()-last < LeftoverInterval {
			continue
		}
		if bs.sweptAt == nil {
			bs.sweptAt = make(map[meta.BackendID]time.Duration)
		}
		// Before the sweep, so that a backend that fails is not asked again with each pass.
		bs.sweptAt[id] = bs.c.Elapsed()
		within, cancel := context.WithTimeout(ctx, leftoverTimeout)
		n, err := backends.Sweep(within, p.Backend.Backend, bs.c.Now().Add(-LeftoverAge))
		cancel()
		if n > 0 {
			bs.c.Log.Info("removed what writes that were cut short had left at a backend", "backend", p.Name, "uploads", n)
		}
		if err != nil && ctx.Err() == nil {
			bs.c.Log.Warn("what writes that were cut short have left at a backend could not be looked for or removed, and will be tried again in a day",
				"backend", p.Name, "error", err)
		}
	}
}
