package guard

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// MaxResumes is how often the reading of one body is resumed without Headway in
	// between.
	MaxResumes = 3
	// Headway is the number of bytes after which the count of resumes restarts. So
	// a client can read a large object for hours, with pauses in which the backend
	// drops its idle connection.
	Headway = 1 << 20
)

// Get implements backends.Backend. The reader hides broken connections: it requests
// the rest, at most MaxResumes times in a row.
func (g *Guard) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	err := g.enter(ctx)
	if err != nil {
		g.stats.count(Get, err)
		return nil, err
	}
	b := &body{g: g, ctx: ctx, id: id, off: off, left: n}
	err = g.retry(ctx, idempotent, b.open)
	g.stats.count(Get, err)
	if err != nil {
		g.leave()
		return nil, err
	}
	return b, nil
}

// body reads a range, from several readers of the backend one after another.
type body struct {
	g   *Guard
	ctx context.Context
	id  backends.BlobID
	off int64 // of the next byte
	// left is the number of bytes to come, -1 for all up to the end of the blob.
	left    int64
	resumes int
	since   int64 // bytes since the last resume

	rc      io.ReadCloser // nil after a break
	w       *watch        // the watch of rc
	fresh   bool          // rc has not yielded a byte yet
	err     error         // the final error, which every later Read repeats
	counted bool
	closed  bool
}

// open is an attempt to get a reader for the rest.
func (b *body) open(ctx context.Context) error {
	w := b.g.newWatch(ctx, b.g.opts.Timeout)
	rc, err := b.g.b.Get(w.ctx, b.id, b.off, b.left)
	w.pause()
	if err != nil {
		err = blame(ctx, w.ctx, err)
		w.stop()
		return err
	}
	b.rc, b.w, b.fresh = rc, w, true
	return nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 && b.err == nil {
		return 0, nil
	}
	for b.err == nil {
		if b.rc == nil {
			b.err = b.g.retry(b.ctx, idempotent, b.open)
			continue
		}
		n, err := b.step(p)
		if err == nil {
			return n, nil
		}
		b.fail(err, n)
		if n > 0 {
			return n, nil // a lasting error comes with the next Read
		}
	}
	b.count()
	return 0, b.err
}

// step is one Read of the backend's reader, with a time limit.
func (b *body) step(p []byte) (int, error) {
	b.w.wind(b.g.opts.StallTimeout, b.g.opts.SilenceAfter)
	n, err := b.rc.Read(p)
	b.w.pause()
	b.off, b.since = b.off+int64(n), b.since+int64(n)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if err != nil && err != io.EOF {
		err = blame(b.ctx, b.w.ctx, err)
	}
	if n > 0 {
		b.g.silence.hear(time.Now())
		b.fresh = b.fresh && err != nil
	}
	return n, err
}

// fail decides whether the rest is requested again.
func (b *body) fail(err error, n int) {
	// A blob that is too short ends at the same place again.
	sameEnd := b.fresh && n == 0 && b.resumes > 0 && errors.Is(err, io.ErrUnexpectedEOF)
	if !breaksOff(err) || sameEnd || b.ctx.Err() != nil {
		b.err = err
		return
	}
	if errors.Is(err, backends.ErrUnavailable) && !errors.Is(err, backends.ErrThrottled) {
		b.g.breaker.brokeOff(time.Now())
	}
	b.release()
	if b.since >= Headway {
		b.resumes = 0
		b.g.budget.refund()
	}
	b.since = 0
	switch {
	case b.left == 0:
		b.err = io.EOF // all bytes have arrived; only the end was lost
	case b.resumes == MaxResumes:
		b.err = err
	default:
		b.resumes++
		if b.err = b.g.pause(b.ctx, b.resumes, time.Now().Add(b.g.opts.Timeout), err); b.err == nil {
			b.g.stats.resumes.Add(1)
		}
	}
}

// breaksOff reports whether an error says nothing about the blob.
func breaksOff(err error) bool {
	return errors.Is(err, backends.ErrUnavailable) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// release closes the backend's reader.
func (b *body) release() error {
	if b.rc == nil {
		return nil
	}
	err := b.rc.Close()
	b.w.stop()
	b.rc = nil
	return err
}

func (b *body) count() {
	if b.counted {
		return
	}
	b.counted = true
	if b.err == io.EOF {
		b.g.stats.count(Read, nil)
	} else {
		b.g.stats.count(Read, b.err)
	}
}

// Close implements io.Closer.
func (b *body) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	defer b.g.leave()
	if b.err == nil {
		b.err = errors.New("read after close")
	}
	return b.release()
}
