package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// errSlow is the cause of a context that a clock of ours has ended.
var errSlow = errors.New("it does not answer in time")

// within runs one attempt under a clock.
func within(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
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

// watch is a context with a clock that is wound before each step.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// newWatch starts with limit running.
func newWatch(ctx context.Context, limit time.Duration) *watch {
	w := &watch{}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(limit, func() { w.cancel(errSlow) })
	return w
}

func (w *watch) wind(limit time.Duration) { w.timer.Reset(limit) }
func (w *watch) pause()                   { w.timer.Stop() }

// stop ends the context, too.
func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
