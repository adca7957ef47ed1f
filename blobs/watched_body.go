package blobs

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// watchedRead is the most that one step of a body reads.
	watchedRead = 64 << 10
	// durablePace is the assumed minimum speed, in bytes per second, at which a backend makes
	// the bytes of a body durable, and maxDurable bounds the time that follows from it.
	durablePace = 16 << 20
	maxDurable  = 2 * time.Minute
)

// watchedReader reads a body in steps, each with a time of its own. It has a buffer of its
// own, because a step that hangs may read into that later.
type watchedReader struct {
	w      *watched
	ctx    context.Context
	cancel context.CancelCauseFunc
	r      io.ReadCloser
	buf    []byte
	left   []byte // of buf, read and not yet handed out
	err    error  // of the last step; after one that was given up, r is the step's
	hangs  bool
}

func (r *watchedReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 && r.err == nil && len(p) > 0 {
		r.step()
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	if len(r.left) > 0 {
		return n, nil
	}
	return n, r.err
}

// stepped is the result of one step.
type stepped struct {
	n   int
	err error // of the reader, which may come with bytes
}

func (r *watchedReader) step() {
	if r.buf == nil {
		r.buf = make([]byte, watchedRead)
	}
	c, err := r.w.begin(r.ctx, r.w.limit)
	if err != nil {
		r.err = err
		return
	}
	s, err := during(r.ctx, c, r.cancel, func() (stepped, error) {
		n, err := r.r.Read(r.buf)
		return stepped{n, err}, nil
	}, func(stepped) { r.r.Close() })
	if err != nil {
		r.err, r.hangs = err, true
		return
	}
	r.left, r.err = r.buf[:s.n], s.err
}

// Close implements io.Closer. The reader of a step that hangs is closed when that ends.
// No hanging call keeps a reader open.
func (r *watchedReader) Close() error {
	defer r.cancel(nil)
	if r.hangs {
		return nil
	}
	c := &call{w: r.w, timer: time.NewTimer(r.w.limit)}
	_, err := during(context.WithoutCancel(r.ctx), c, r.cancel, func() (struct{}, error) {
		r.w.slots <- struct{}{} // not refused, so it may have to wait
		return struct{}{}, r.r.Close()
	}, nil)
	return err
}

// Put implements backends.Backend. The time that r takes to be read does not count.
func (w *watched) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, err := w.begin(ctx, w.limit)
	if err != nil {
		return err
	}
	body := &watchedBody{r: r, c: c}
	ended := make(chan struct{})
	go func() {
		failed := w.Backend.Put(inner, id, body, size)
		if c.end() {
			err = failed
			close(ended)
		}
	}()
	if gaveUp := c.await(ctx, cancel, ended); gaveUp != nil {
		body.take()
		return gaveUp
	}
	return err
}

// watchedBody is the body of a Put. After take the Put reads nothing of it any more.
type watchedBody struct {
	c     *call
	mu    sync.Mutex
	r     io.Reader
	n     int64
	taken bool
}

func (s *watchedBody) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken {
		return 0, errHangs
	}
	s.c.timer.Stop()
	n, err := s.r.Read(p)
	s.n += int64(n)
	s.c.timer.Reset(s.c.w.limit + min(time.Duration(s.n/durablePace)*time.Second, maxDurable))
	return n, err
}

// take waits for a Read that is under way, which ends as its source does.
func (s *watchedBody) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = true
}

// listed is one step of a list.
type listed struct {
	info backends.Info
	err  error
}

// List implements backends.Backend. Each step has its own time, without the caller's.
func (w *watched) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		inner, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		c, err := w.begin(ctx, w.limit)
		if err != nil {
			yield(backends.Info{}, err)
			return
		}
		steps, ended := make(chan listed), make(chan struct{})
		go func() {
			defer func() {
				if c.end() {
					close(ended)
				}
			}()
			for info, err := range w.Backend.List(inner, after) {
				select {
				case steps <- listed{info, err}:
				case <-inner.Done():
					return
				}
			}
		}()
		if err := c.list(ctx, cancel, steps, ended, yield); err != nil {
			yield(backends.Info{}, err)
		}
	}
}

// list yields steps until there are no more or the caller stops. A list that ends for
// another reason than its own end is an error: the rest would be taken for missing.
func (c *call) list(ctx context.Context, cancel context.CancelCauseFunc, steps <-chan listed, ended <-chan struct{}, yield func(backends.Info, error) bool) error {
	var why error
	for why == nil {
		select {
		case s := <-steps:
			c.timer.Stop()
			if !yield(s.info, s.err) {
				cancel(nil)
				c.timer.Reset(0)
				_ = c.await(ctx, cancel, ended) // the caller wants no more of it
				return nil
			}
			c.timer.Reset(c.w.limit)
		case <-ended:
			return backends.Ended(ctx)
		case <-ctx.Done():
			why = context.Cause(ctx)
		case <-c.timer.C:
			why = errHangs
		}
	}
	c.timer.Reset(0)
	_ = c.await(ctx, cancel, ended)
	return why
}
