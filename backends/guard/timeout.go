package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// errSlow is the cause of a context that a clock of ours has ended.
var errSlow = errors.New("it does not answer in time")

// within runs one attempt under a clock, and counts it among those that wait.
func (g *Guard) within(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	w := g.newWatch(ctx, limit)
	defer w.stop()
	return blame(ctx, w.ctx, attempt(w.ctx))
}

// atMost runs one attempt under a clock of its own.
func atMost(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	inner, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	return blame(ctx, inner, attempt(inner))
}

// blame tells a clock of ours, which is the backend's failure, from the caller's
// end.
func blame(outer, inner context.Context, err error) error {
	if err == nil || inner.Err() == nil || outer.Err() != nil || context.Cause(inner) != errSlow {
		return err
	}
	if errors.Is(err, errSlow) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %v", backends.ErrUnavailable, errSlow)
	}
	return err
}

// watch is a context with a clock that is wound before each step. A step that has heard
// nothing for Options.SilenceAfter, or of a long body for longer, counts as overdue, until
// it ends.
type watch struct {
	g      *Guard
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	waits   bool          // a step is under way
	turn    int           // of the clock: an alarm of an earlier one is late
	left    time.Duration // of the step, once it is overdue
	overdue bool
}

// newWatch starts with limit running.
func (g *Guard) newWatch(ctx context.Context, limit time.Duration) *watch {
	w := &watch{g: g}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.wind(limit, g.opts.SilenceAfter)
	return w
}

// wind begins a step that may take so long, and is overdue earlier than that.
func (w *watch) wind(limit, overdue time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halt()
	first := min(limit, overdue)
	w.waits, w.left = true, limit-first
	w.turn++
	turn := w.turn
	w.timer = time.AfterFunc(first, func() { w.alarm(turn) })
}

// alarm is when a step has waited for as long as it may, or is overdue.
func (w *watch) alarm(turn int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.waits || turn != w.turn:
	case w.overdue || w.left <= 0:
		w.cancel(errSlow)
	default:
		w.overdue = true
		w.timer = time.AfterFunc(w.left, func() { w.alarm(turn) })
		w.g.silence.fallBehind(w.g, time.Now())
	}
}

// pause ends a step.
func (w *watch) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halt()
}

// halt is pause with the lock held.
func (w *watch) halt() {
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.overdue {
		w.g.silence.overdue.Add(-1)
	}
	w.waits, w.overdue = false, false
}

// stop ends the context, too.
func (w *watch) stop() {
	w.pause()
	w.cancel(nil)
}
