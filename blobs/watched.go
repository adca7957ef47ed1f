package blobs

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// DefaultCallTimeout is how long a call, or one step of a body or a list, waits for a
	// backend. A guard's attempts end before.
	DefaultCallTimeout = 30 * time.Second
	// returnTime is the most for a call to come back after its context has ended.
	returnTime = time.Second
	// maxCalls are under way at one backend, those included that were given up and have
	// not ended.
	maxCalls = 64
	// deleteLimits times as long waits a Delete, for which a folder flushes up to a thousand
	// folders one after another.
	deleteLimits = 4
	// maxHangPause bounds the pause before another call while some hang.
	maxHangPause = time.Hour
)

// errHangs: a call was not answered in its time.
var errHangs = fmt.Errorf("%w: a call there is not answered", backends.ErrUnavailable)

// watched is a backend whose calls are given up when their time is over. A folder of a
// file system that hangs ends no call, whatever its context says: so each call is made in
// a goroutine, which ends with the call and is not waited for. While calls hang, others
// are refused at once, except one after each of growing pauses.
//
// All of Blobs and all background steps call backends by it. Bodies of requests do not:
// they have places of their own, which backends share, and need the speed.
type watched struct {
	backends.Backend
	limit time.Duration
	slots chan struct{} // one for each call under way

	mu     sync.Mutex
	hung   int           // calls that were given up and have not ended
	doomed int           // those of hung that delete
	pause  time.Duration // after the last one that was given up; 0: another was answered since
	resume time.Time     // when the next call may begin
}

func watch(b backends.Backend, limit time.Duration) *watched {
	if limit <= 0 {
		limit = DefaultCallTimeout
	}
	return &watched{Backend: b, limit: limit, slots: make(chan struct{}, maxCalls)}
}

// call is a call under way, or one step of a body.
type call struct {
	w      *watched
	timer  *time.Timer // until it is given up
	trial  bool        // begun while others hang
	dooms  bool        // it deletes
	mu     sync.Mutex
	ended  bool
	gaveUp bool
}

// begin takes a place for a call. The caller ends it with end, also one that was given up.
func (w *watched) begin(ctx context.Context, limit time.Duration) (*call, error) {
	if err := backends.Ended(ctx); err != nil {
		return nil, err
	}
	trial, err := w.admit()
	if err != nil {
		return nil, err
	}
	c := &call{w: w, trial: trial, timer: time.NewTimer(limit)}
	select {
	case w.slots <- struct{}{}:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.timer.C:
		return nil, fmt.Errorf("%w: %d calls are under way", backends.ErrUnavailable, maxCalls)
	}
}

// admit returns an error while calls hang and it is not the time to try another.
func (w *watched) admit() (trial bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.hung >= maxCalls || w.pause > 0 && now.Before(w.resume) {
		return false, fmt.Errorf("%w: %d calls hang", errHangs, w.hung)
	}
	if w.pause == 0 {
		return false, nil
	}
	w.resume = now.Add(w.pause)
	return true, nil
}

// end is called when a call has come back, and reports whether anybody waits for it.
func (c *call) end() (awaited bool) {
	c.mu.Lock()
	c.ended = true
	gaveUp := c.gaveUp
	c.mu.Unlock()
	w := c.w
	w.mu.Lock()
	if gaveUp {
		w.hung--
	}
	if gaveUp && c.dooms {
		w.doomed--
	}
	if !gaveUp || w.hung == 0 {
		w.pause = 0
	}
	w.mu.Unlock()
	<-w.slots
	c.timer.Stop()
	return !gaveUp
}

// giveUp reports false for a call that has ended meanwhile.
func (c *call) giveUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.gaveUp = true
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.dooms {
		w.doomed++
	}
	// Of several that began together one counts.
	if w.hung++; c.trial || w.pause == 0 {
		w.pause = min(max(2*w.pause, w.limit), maxHangPause)
		w.resume = time.Now().Add(w.pause)
	}
	return true
}

// await waits for a call that ended closes. When its time or ctx is over it ends the call's
// own context, and after returnTime gives the call up, which it reports by an error.
func (c *call) await(ctx context.Context, cancel context.CancelCauseFunc, ended <-chan struct{}) error {
	var why error
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		why = context.Cause(ctx)
	case <-c.timer.C:
		why = errHangs
	}
	cancel(why)
	back := time.NewTimer(min(returnTime, c.w.limit))
	defer back.Stop()
	select {
	case <-ended:
		return nil
	case <-back.C:
	}
	if !c.giveUp() {
		<-ended
		return nil
	}
	return why
}

// timed makes one call. A result that comes after the call was given up goes to drop,
// which may be nil.
func timed[T any](ctx context.Context, w *watched, limit time.Duration, do func(context.Context) (T, error), drop func(T)) (T, error) {
	c, err := w.begin(ctx, limit)
	if err != nil {
		var none T
		return none, err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return during(ctx, c, cancel, func() (T, error) { return do(inner) }, drop)
}

// during makes a call that has begun, whose context may outlive it.
func during[T any](ctx context.Context, c *call, cancel context.CancelCauseFunc, do func() (T, error), drop func(T)) (T, error) {
	var none, result T
	var err error
	ended := make(chan struct{})
	go func() {
		got, failed := do()
		if !c.end() {
			if drop != nil && failed == nil {
				drop(got)
			}
			return
		}
		result, err = got, failed
		close(ended)
	}()
	if gaveUp := c.await(ctx, cancel, ended); gaveUp != nil {
		return none, gaveUp
	}
	return result, err
}

// Stat implements backends.Backend.
func (w *watched) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	return timed(ctx, w, w.limit, func(ctx context.Context) (backends.Info, error) { return w.Backend.Stat(ctx, id) }, nil)
}

// Delete implements backends.Backend.
func (w *watched) Delete(ctx context.Context, ids ...backends.BlobID) error {
	c, err := w.begin(ctx, deleteLimits*w.limit)
	if err != nil {
		return err
	}
	c.dooms = true
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	_, err = during(ctx, c, cancel, func() (struct{}, error) { return struct{}{}, w.Backend.Delete(inner, ids...) }, nil)
	return err
}

// errDooms: a blob that is copied there could be deleted as the one that was there before.
var errDooms = fmt.Errorf("%w: a deletion there was given up and may yet be carried out", backends.ErrUnavailable)

// refuseDoomed fails while a Delete hangs there that was given up. A blob has one id for
// ever: one that comes back to a backend, which it left, must not meet it.
func (w *watched) refuseDoomed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doomed > 0 {
		return errDooms
	}
	return nil
}

// Check implements backends.Backend.
func (w *watched) Check(ctx context.Context) error {
	_, err := timed(ctx, w, w.limit, func(ctx context.Context) (struct{}, error) { return struct{}{}, w.Backend.Check(ctx) }, nil)
	return err
}

// Sweep implements backends.Sweeper.
func (w *watched) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	return timed(ctx, w, deleteLimits*w.limit, func(ctx context.Context) (int, error) { return backends.Sweep(ctx, w.Backend, before) }, nil)
}

// Get implements backends.Backend.
func (w *watched) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	c, err := w.begin(ctx, w.limit)
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancelCause(ctx) // which governs the reader too
	r, err := during(ctx, c, cancel, func() (io.ReadCloser, error) { return w.Backend.Get(inner, id, off, n) },
		func(r io.ReadCloser) { r.Close() })
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &watchedReader{w: w, ctx: ctx, cancel: cancel, r: r}, nil
}
