package guard

import (
	"context"
	"io"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// linkPace is how fast at the least what was taken gets to the backend, in bytes per
// second, where many send at once: so much later a call is overdue, up to half of what
// it may take.
const linkPace = 1 << 20

// Put implements backends.Backend. It is tried again only while r is untouched.
func (g *Guard) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	touched := false
	again := func(err error) bool { return !touched && idempotent(err) }
	return g.call(ctx, Put, again, func(ctx context.Context) error {
		w := g.newWatch(ctx, g.opts.StallTimeout)
		defer w.stop()
		return blame(ctx, w.ctx, g.b.Put(w.ctx, id, &source{g: g, w: w, r: r, touched: &touched}, size))
	})
}

// source is the body of a Put. Its clock stands still while the caller's reader
// is at work, whose time is not the backend's.
type source struct {
	g       *Guard
	w       *watch
	r       io.Reader
	touched *bool
	n       int64 // bytes that were taken
}

func (s *source) Read(p []byte) (int, error) {
	s.w.pause()
	*s.touched = true
	n, err := s.r.Read(p)
	s.n += int64(n)
	limit := s.g.opts.StallTimeout
	if err == io.EOF {
		limit = 2 * s.g.opts.Timeout // there is no second attempt
	}
	limit += min(time.Duration(s.n)*time.Second/Pace, MaxAllowance)
	// A body that was taken is on its way for a while: many long bodies that end at once are no
	// silence as soon as calls are that have sent little.
	overdue := s.g.opts.SilenceAfter + time.Duration(s.n)*time.Second/linkPace
	s.w.wind(limit, max(s.g.opts.SilenceAfter, min(overdue, limit/2)))
	return n, err
}
