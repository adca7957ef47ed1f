package transfer

import (
	"context"
	"sync/atomic"
	"time"
)

// watch cancels a context when no byte moves.
type watch struct {
	timer *time.Timer
	after time.Duration
	moved *atomic.Int64
}

// watched derives a context that is cancelled after c.stall without a call of
// Write. The caller calls stop.
func (c *Copier) watched(ctx context.Context) (_ context.Context, w *watch, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w = &watch{time.AfterFunc(c.stall, func() { cancel(errStalled) }), c.stall, &c.counters.moved}
	return ctx, w, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

// Write counts bytes and restarts the time.
func (w *watch) Write(p []byte) (int, error) {
	w.timer.Reset(w.after)
	w.moved.Add(int64(len(p)))
	return len(p), nil
}

// cause replies with errStalled if that is why the context ended.
func cause(ctx context.Context, err error) error {
	if err != nil && context.Cause(ctx) == errStalled {
		return errStalled
	}
	return err
}
