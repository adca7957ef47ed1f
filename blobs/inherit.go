package blobs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// A blob that a process reserved which is gone is one of two things: never written, or
// written and perhaps committed. After a crash the ledger alone cannot tell: a store
// that was restored from a copy says "reserved" of what was committed after the copy,
// and where the epoch had not moved since, nothing else says otherwise. So a blob whose
// bytes are there is in doubt. The ledger hands it to the deployment, which nobody takes
// for dead, and it stays until an operator discards it. A body that was cut short never
// became a blob, so that a kill leaves few.

const (
	inheritPage   = 256 // rows read at a time
	inheritPages  = 40  // pages read in one pass
	inheritAtOnce = 16  // looks at backends at the same time
	maxNamedBlobs = 5   // of those in doubt are named in one line of the log
)

// doubtHolder holds what is in doubt.
func (bs *Blobs) doubtHolder() meta.ID { return bs.c.Deployment }

// legacy is one pass over what holders that are gone have left.
type legacy struct {
	bs     *Blobs
	s      *places
	r      *CollectReport
	pages  int
	agreed map[meta.BackendID]bool // looked at in this pass: whether it may be asked
	errs   []error
}

// inheritAbandoned condemns what holders that no longer live have reserved and not
// written, and keeps what they have written. Where a backend cannot be asked nothing
// is concluded. It returns what went wrong.
func (bs *Blobs) inheritAbandoned(ctx context.Context, s *places, r *CollectReport) []error {
	gone, _, err := bs.Gone(ctx)
	if err != nil {
		return []error{fmt.Errorf("look for holders that are gone: %w", err)}
	}
	l := &legacy{bs: bs, s: s, r: r, agreed: make(map[meta.BackendID]bool)}
	for _, h := range gone {
		if err := l.from(ctx, h); err != nil && !errors.Is(err, meta.ErrConflict) { // a conflict: it lives after all
			return append(l.errs, fmt.Errorf("inherit from a holder that is gone: %w", err))
		}
	}
	return l.errs
}

// full reports whether the pass has done its share.
func (l *legacy) full() bool {
	return l.r.Condemned+l.r.Doubtful >= collectRows || l.pages >= inheritPages
}

func (l *legacy) from(ctx context.Context, h meta.Holder) error {
	var after meta.BlobPosition
	for !l.full() {
		l.pages++
		page, err := l.bs.c.Store.Held(ctx, h.ID, after, inheritPage)
		if err != nil {
			return err
		}
		dead, kept := l.judge(ctx, page)
		if len(dead)+len(kept) > 0 || len(page) == 0 {
			n, err := l.bs.c.Store.Inherit(ctx, h, dead, kept, l.bs.doubtHolder(), l.bs.c.Now())
			if err != nil {
				return err
			}
			l.r.Condemned += n
			l.r.Doubtful += len(kept)
			l.tell(kept)
		}
		if len(page) < inheritPage {
			return nil
		}
		last := page[len(page)-1]
		after = meta.BlobPosition{ID: last.ID, Backend: last.Backend}
	}
	return nil
}

// judge divides rows by whether their blobs are there. A row of which that cannot be
// learnt is in neither part.
func (l *legacy) judge(ctx context.Context, page []meta.Blob) (dead, kept []meta.Blob) {
	found := make([]error, len(page)) // nil: it is there
	var looking sync.WaitGroup
	turn := make(chan struct{}, inheritAtOnce)
	for i, b := range page {
		if !l.agrees(ctx, b.Backend) {
			found[i] = errNotAsked
			continue
		}
		p := l.s.configured[b.Backend]
		turn <- struct{}{}
		looking.Go(func() {
			_, found[i] = p.Stat(ctx, backends.BlobID(b.ID))
			<-turn
		})
	}
	looking.Wait()
	failed := make(map[meta.BackendID]bool)
	for i, b := range page {
		switch err := found[i]; {
		case err == nil:
			kept = append(kept, b)
		case errors.Is(err, backends.ErrNotFound):
			dead = append(dead, b)
		case !errors.Is(err, errNotAsked) && !failed[b.Backend]:
			failed[b.Backend] = true
			l.agreed[b.Backend] = false // not to be asked again in this pass
			l.errs = append(l.errs, fmt.Errorf("look for what processes that are gone have left at backend %s: %w", l.s.states[b.Backend].Name, err))
		}
	}
	return dead, kept
}

// errNotAsked: a backend that is not configured, out of reach, or of another state of
// the store can say nothing.
var errNotAsked = errors.New("the backend was not asked")

// agrees reports whether what a backend says counts.
func (l *legacy) agrees(ctx context.Context, id meta.BackendID) bool {
	agreed, looked := l.agreed[id]
	if looked {
		return agreed
	}
	p := l.s.configured[id]
	if p != nil {
		err := l.bs.agree(ctx, p)
		if agreed = err == nil; !agreed {
			l.errs = append(l.errs, fmt.Errorf("what processes that are gone have left: %w", err))
		}
	}
	l.agreed[id] = agreed
	return agreed
}

// tell logs what is in doubt from now on.
func (l *legacy) tell(kept []meta.Blob) {
	names := make(map[meta.BackendID][]string)
	for _, b := range kept {
		names[b.Backend] = append(names[b.Backend], backends.BlobID(b.ID).String())
	}
	for at, ids := range names {
		l.bs.c.Log.Warn("a process ended between writing blobs and committing them, or the store is older than they are; they are kept until they are discarded",
			"backend", l.s.states[at].Name, "blobs", len(ids), "some", ids[:min(len(ids), maxNamedBlobs)])
	}
}
