package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// errSlow is the cause of a context that one of our time limits has ended.
var errSlow = errors.New("it does not answer in time")

// within runs one attempt with a time limit, and counts it as waiting.
func (g *Guard) within(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	w := g.newWatch(ctx, limit)
	defer w.stop()
	return blame(ctx, w.ctx, attempt(w.ctx))
}

// atMost runs one attempt with a time limit only.
func atMost(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	inner, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	return blame(ctx, inner, attempt(inner))
}

// blame tells our own time limit, which is a failure of the backend, from the end
// of the caller's context.
func blame(outer, inner context.Context, err error) error {
	if err == nil || inner.Err() == nil || outer.Err() != nil || context.Cause(inner) != errSlow {
		return err
	}
	if errors.Is(err, errSlow) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %v", backends.ErrUnavailable, errSlow)
	}
	return err
}

// watch is a context with a timer that is set before each step. A step that has
// heard nothing for Options.SilenceAfter, or longer for a long body, counts as
// overdue until it ends.
type watch struct {
	g      *Guard
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	waits   bool          // a step is in progress
	turn    int           // of the timer; an alarm of an earlier turn is ignored
	left    time.Duration // the rest of the step's time once it is overdue
	overdue bool
}

// newWatch starts with a step of that limit.
func (g *Guard) newWatch(ctx context.Context, limit time.Duration) *watch {
	w := &watch{g: g}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.wind(limit, g.opts.SilenceAfter)
	return w
}

// wind begins a step with a time limit. It is overdue at the earlier time.
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

// alarm is called when a step is overdue, and when its time has passed.
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

// stop also ends the context.
func (w *watch) stop() {
	w.pause()
	w.cancel(nil)
}
