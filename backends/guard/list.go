package guard

import (
	"context"
	"iter"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// List implements backends.Backend. A listing that breaks off continues after the
// last blob that was yielded.
func (g *Guard) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		err := g.enter(ctx)
		if err == nil {
			defer g.leave()
			err = g.list(ctx, after, yield)
		}
		g.stats.count(List, err)
		if err != nil {
			yield(backends.Info{}, err)
		}
	}
}

// list yields until there are no more blobs or the caller stops. Attempts are
// counted from the last progress.
func (g *Guard) list(ctx context.Context, last backends.BlobID, yield func(backends.Info, error) bool) error {
	for {
		begin := last
		again := func(err error) bool { return last == begin && idempotent(err) }
		err := g.retry(ctx, again, func(ctx context.Context) error {
			err := g.listFrom(ctx, last, func(info backends.Info) bool {
				last = info.ID
				return yield(info, nil)
			})
			if last != begin {
				g.breaker.madeHeadway()
			}
			return err
		})
		if err == nil || last == begin || !idempotent(err) {
			return err
		}
		if err := g.pause(ctx, 1, time.Now().Add(g.opts.Timeout), err); err != nil {
			return err
		}
	}
}

// listFrom is one attempt, with a time limit for each step, without the caller's
// time.
func (g *Guard) listFrom(ctx context.Context, after backends.BlobID, yield func(backends.Info) bool) error {
	w := g.newWatch(ctx, g.opts.Timeout)
	defer w.stop()
	for info, err := range g.b.List(w.ctx, after) {
		w.pause()
		g.silence.hear(time.Now())
		if err != nil {
			return blame(ctx, w.ctx, err)
		}
		if !yield(info) {
			return nil
		}
		w.wind(g.opts.Timeout, g.opts.SilenceAfter)
	}
	return nil
}
