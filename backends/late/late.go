// Package late is a backend that could not be opened at the start. A call tries
// again to open it; once it is open, all calls go to it.
//
// Until then every call fails at once, except the one that tries. The reason may
// pass (ErrUnavailable), or be a wrong setting, which is reported as ErrDenied.
// Only this backend is affected. A wrong setting is tried again too, because the
// error may be corrected on the other side.
package late

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// Pause is the pause between two tries to open the backend.
	Pause = 5 * time.Second
	// OpenTimeout bounds one try.
	OpenTimeout = 30 * time.Second
)

// Backend is a backends.Backend that is opened late. Make one with New.
type Backend struct {
	open   func(context.Context) (backends.Backend, error)
	opened atomic.Pointer[backends.Backend]

	mu     sync.Mutex
	err    error         // why it is not open
	next   time.Time     // when it may be tried again
	trying chan struct{} // closed at the end of the current try; nil if there is none
	cancel func()        // ends the current try
	closed bool
}

var (
	_ backends.Backend = (*Backend)(nil)
	_ backends.Sweeper = (*Backend)(nil)
)

// New returns a backend that open opens later. cause is the error of the first try.
func New(open func(context.Context) (backends.Backend, error), cause error) *Backend {
	return &Backend{open: open, err: told(cause), next: time.Now().Add(Pause)}
}

// told translates an error of opening for the callers of the backend.
func told(cause error) error {
	if errors.Is(cause, backends.ErrUnavailable) {
		return fmt.Errorf("it has not been reached since the start: %w", cause)
	}
	if errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w: it has not been reached since the start: %v", backends.ErrUnavailable, cause)
	}
	return fmt.Errorf("%w: it cannot be opened: %w", backends.ErrDenied, cause)
}

// get returns the backend, or the reason why there is none. It begins a try if one
// is due.
func (b *Backend) get(ctx context.Context) (backends.Backend, error) {
	if opened := b.opened.Load(); opened != nil {
		return *opened, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, backends.ErrClosed
	}
	if b.trying != nil || time.Now().Before(b.next) {
		defer b.mu.Unlock()
		return nil, b.err
	}
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), OpenTimeout)
	b.trying, b.cancel = make(chan struct{}), cancel
	done := b.trying
	b.mu.Unlock()
	go b.try(try) // the caller may return before it ends; Close waits for it
	select {
	case <-done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if opened := b.opened.Load(); opened != nil {
		return *opened, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return nil, b.err
}

func (b *Backend) try(ctx context.Context) {
	opened, err := b.open(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.opened.Store(&opened)
	} else {
		b.err = told(err)
	}
	b.next = time.Now().Add(Pause)
	b.cancel()
	close(b.trying)
	b.trying = nil
}

// Put implements backends.Backend.
func (b *Backend) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	to, err := b.get(ctx)
	if err != nil {
		return err
	}
	return to.Put(ctx, id, r, size)
}

// Get implements backends.Backend.
func (b *Backend) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	from, err := b.get(ctx)
	if err != nil {
		return nil, err
	}
	return from.Get(ctx, id, off, n)
}

// Stat implements backends.Backend.
func (b *Backend) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	at, err := b.get(ctx)
	if err != nil {
		return backends.Info{}, err
	}
	return at.Stat(ctx, id)
}

// Delete implements backends.Backend.
func (b *Backend) Delete(ctx context.Context, ids ...backends.BlobID) error {
	at, err := b.get(ctx)
	if err != nil {
		return err
	}
	return at.Delete(ctx, ids...)
}

// Sweep implements backends.Sweeper.
func (b *Backend) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	at, err := b.get(ctx)
	if err != nil {
		return 0, err
	}
	return backends.Sweep(ctx, at, before)
}

// List implements backends.Backend.
func (b *Backend) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		at, err := b.get(ctx)
		if err != nil {
			yield(backends.Info{}, err)
			return
		}
		for info, err := range at.List(ctx, after) {
			if !yield(info, err) {
				return
			}
		}
	}
}

// Check implements backends.Backend.
func (b *Backend) Check(ctx context.Context) error {
	at, err := b.get(ctx)
	if err != nil {
		return err
	}
	return at.Check(ctx)
}

// Close ends the current try, and closes the backend if it was opened.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	trying := b.trying
	if trying != nil {
		b.cancel()
	}
	b.mu.Unlock()
	if trying != nil {
		<-trying
	}
	if opened := b.opened.Load(); opened != nil {
		return (*opened).Close()
	}
	return nil
}
