package guard

import (
	"context"
	"io"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// linkPace is the assumed minimum speed of a link, in bytes per second, when many
// bodies are sent at once. It extends the time after which a call is overdue, up to
// half of its time limit.
const linkPace = 1 << 20

// Put implements backends.Backend. It is retried only while r is unread.
func (g *Guard) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	touched := false
	again := func(err error) bool { return !touched && idempotent(err) }
	return g.call(ctx, Put, again, func(ctx context.Context) error {
		w := g.newWatch(ctx, g.opts.StallTimeout)
		defer w.stop()
		return blame(ctx, w.ctx, g.b.Put(w.ctx, id, &source{g: g, w: w, r: r, touched: &touched}, size))
	})
}

// source is the body of a Put. Its time limit excludes the time of the caller's
// reader.
type source struct {
	g       *Guard
	w       *watch
	r       io.Reader
	touched *bool
	n       int64 // bytes read
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
	// The bytes of a body that was read are in transit for a while. So many long
	// bodies that end at once are overdue later than calls that have sent little.
	overdue := s.g.opts.SilenceAfter + time.Duration(s.n)*time.Second/linkPace
	s.w.wind(limit, max(s.g.opts.SilenceAfter, min(overdue, limit/2)))
	return n, err
}
