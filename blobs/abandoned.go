package blobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

// The bounds of one pass. A page is a bounded transaction of the store, and 16 looks keep a
// remote backend busy without taking all its connections.
const (
	reclaimPage   = 256 // rows read at a time
	reclaimPages  = 40  // pages read in one pass
	reclaimAtOnce = 16  // looks at backends at the same time
	maxNamedBlobs = 5   // of those in doubt are named in one line of the log
)

// doubtHolder holds what is in doubt.
func (bs *Blobs) doubtHolder() meta.ID { return bs.c.Deployment }

// reclaim is one pass over what holders that are gone have left.
type reclaim struct {
	bs     *Blobs
	s      *places
	r      *CollectReport
	pages  int
	agreed map[meta.BackendID]bool // looked at in this pass: whether it may be asked
	open   map[meta.BlobPosition]unanswered
	errs   []error
}

// unanswered is a blob that a process which is gone has reserved, and of which its backend
// could not say whether it is there.
type unanswered struct {
	pause time.Duration // before it is asked again; 0: it was not asked
	next  time.Duration // when it is, by Elapsed
}

// The pauses between two looks at one blob of which a backend cannot say whether it is there.
const (
	minAskPause = time.Minute
	maxAskPause = time.Hour
	// maxUnanswered are remembered; more are asked in each pass.
	maxUnanswered = 10_000
)

// reclaimAbandoned condemns what holders that no longer live have reserved and not
// written, and keeps what they have written. Where a backend cannot be asked nothing
// is concluded. It returns what went wrong.
func (bs *Blobs) reclaimAbandoned(ctx context.Context, s *places, r *CollectReport) []error {
	gone, _, err := bs.Gone(ctx)
	if err != nil {
		return []error{fmt.Errorf("look for holders that are gone: %w", err)}
	}
	l := &reclaim{bs: bs, s: s, r: r, agreed: make(map[meta.BackendID]bool), open: make(map[meta.BlobPosition]unanswered)}
	defer l.note()
	for _, h := range gone {
		if err := l.from(ctx, h); err != nil && !errors.Is(err, meta.ErrConflict) { // a conflict: it lives after all
			return append(l.errs, fmt.Errorf("reclaim what a holder that is gone has left: %w", err))
		}
	}
	return l.errs
}

// full reports whether the pass has done its share.
func (l *reclaim) full() bool {
	return l.r.Condemned+l.r.Doubtful >= collectRows || l.pages >= reclaimPages
}

func (l *reclaim) from(ctx context.Context, h meta.Holder) error {
	var after meta.BlobPosition
	for !l.full() {
		l.pages++
		page, err := l.bs.c.Store.Held(ctx, h.ID, after, reclaimPage)
		if err != nil {
			return err
		}
		// The look at the backend comes before the store's transaction, which changes nothing
		// if the holder has beaten since: Reclaim compares the beat. A blob written between the
		// two was written by a process that lives, or whose last request is still under way at
		// the backend. The latter is a blob that was not committed, for its holder is gone.
		dead, kept := l.judge(ctx, page)
		// With an empty page Reclaim removes the holder's own row.
		if len(dead)+len(kept) > 0 || len(page) == 0 {
			n, err := l.bs.c.Store.Reclaim(ctx, h, dead, kept, l.bs.doubtHolder(), l.bs.c.Now())
			if err != nil {
				return err
			}
			l.r.Condemned += n
			l.r.Doubtful += len(kept)
			l.tell(kept)
		}
		if len(page) < reclaimPage {
			return nil
		}
		last := page[len(page)-1]
		after = meta.BlobPosition{ID: last.ID, Backend: last.Backend}
	}
	return nil
}

// judge divides rows by whether their blobs are there. A row of which that cannot be
// learnt is in neither part.
func (l *reclaim) judge(ctx context.Context, page []meta.Blob) (dead, kept []meta.Blob) {
	found := make([]error, len(page)) // nil: it is there
	var looking sync.WaitGroup
	turn := make(chan struct{}, reclaimAtOnce)
	for i, b := range page {
		if !l.agrees(ctx, b.Backend) {
			found[i] = errNotAsked
			continue
		}
		if before := l.bs.unanswered[position(b)]; before.next > l.bs.c.Elapsed() {
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
	for i, b := range page {
		switch err := found[i]; {
		case err == nil:
			kept = append(kept, b)
		case errors.Is(err, backends.ErrNotFound):
			dead = append(dead, b)
		default:
			l.leave(ctx, b, err)
		}
	}
	return dead, kept
}

// leave is for a row whose blob could not be asked for. It stays, and is asked again. One
// blob that a backend cannot look at, as on a disk with a bad sector, keeps no others from
// being reclaimed; a backend that is away is not asked again in this pass.
func (l *reclaim) leave(ctx context.Context, b meta.Blob, err error) {
	before := l.bs.unanswered[position(b)]
	if errors.Is(err, errNotAsked) {
		l.remember(b, before)
		return
	}
	told := before.pause > 0
	if ofBackend(ctx, err) {
		told, l.agreed[b.Backend] = !l.agreed[b.Backend], false
	} else {
		before.pause = min(max(2*before.pause, minAskPause), maxAskPause)
		before.next = l.bs.c.Elapsed() + before.pause
	}
	l.remember(b, before)
	if !told && len(l.errs) < maxStuckErrors {
		l.errs = append(l.errs, fmt.Errorf("look for what processes that are gone have left at backend %s: %w", l.s.states[b.Backend].Name, err))
	}
}

func (l *reclaim) remember(b meta.Blob, u unanswered) {
	if len(l.open) < maxUnanswered {
		l.open[position(b)] = u
	}
}

// note keeps what this pass could not find out, for the next one and for BackendHealth.
func (l *reclaim) note() {
	l.bs.unanswered = l.open
	n := make(map[meta.BackendID]int64)
	for at := range l.open {
		n[at.Backend]++
	}
	l.bs.unansweredAt.Store(&n)
}

func position(b meta.Blob) meta.BlobPosition { return meta.BlobPosition{ID: b.ID, Backend: b.Backend} }

// errNotAsked: a backend that is not configured, out of reach, or of another state of
// the store can say nothing; a blob that it could not look at before has its pause.
var errNotAsked = errors.New("the backend was not asked")

// agrees reports whether what a backend says counts.
func (l *reclaim) agrees(ctx context.Context, id meta.BackendID) bool {
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
func (l *reclaim) tell(kept []meta.Blob) {
	names := make(map[meta.BackendID][]string)
	for _, b := range kept {
		names[b.Backend] = append(names[b.Backend], backends.BlobID(b.ID).String())
	}
	for at, ids := range names {
		l.bs.c.Log.Warn("a process ended between writing blobs and committing them, or the store is older than they are; they are kept until they are discarded",
			"backend", l.s.states[at].Name, "blobs", len(ids), "some", ids[:min(len(ids), maxNamedBlobs)])
	}
}
