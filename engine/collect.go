package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Bounds of one pass of Collect.
const (
	collectRows  = 500 // rows swept, reservations condemned or uploads expired at a time
	collectBlobs = 500 // blobs deleted
	// abandonAfter is how long a holder's beat stands still before its
	// reservations are condemned. A gateway that was only paused finds its
	// commit refused and its client tries again.
	abandonAfter = time.Minute
)

// CollectReport is what one pass did.
type CollectReport struct {
	Expired   int  `json:"expired_uploads"`
	Condemned int  `json:"condemned_reservations"`
	Swept     int  `json:"swept_rows"`
	Deleted   int  `json:"deleted_blobs"`
	More      bool `json:"more"` // another pass has work at once
}

// holderWatch remembers since when each holder's beat has stood still, by this
// process's monotonic clock.
type holderWatch struct {
	seen map[meta.ID]beatSince
	mu   sync.Mutex
}

type beatSince struct {
	beat  int64
	since time.Time
}

// Collect does one bounded pass over what is left behind: uploads that are too
// old, reservations of processes that are gone, rows of ended uploads, and
// blobs that nobody refers to. Everything is condemned in the ledger before a
// byte of it is deleted. Concurrent calls wait for one another.
func (e *Engine) Collect(ctx context.Context) (r CollectReport, err error) {
	e.collecting.Lock()
	defer e.collecting.Unlock()
	now := e.now()
	if r.Expired, err = e.store.ExpireUploads(ctx, now.Add(-e.expiry), collectRows); err != nil {
		return r, fmt.Errorf("expire uploads: %w", err)
	}
	if r.Condemned, err = e.condemnAbandoned(ctx); err != nil {
		return r, fmt.Errorf("condemn reservations: %w", err)
	}
	if r.Swept, err = e.store.Sweep(ctx, collectRows, now.Add(-e.grace), now); err != nil {
		return r, fmt.Errorf("sweep: %w", err)
	}
	if r.Deleted, err = e.deleteDead(ctx); err != nil {
		return r, fmt.Errorf("delete dead blobs: %w", err)
	}
	r.More = r.Expired == collectRows || r.Condemned >= collectRows || r.Swept == collectRows || r.Deleted == collectBlobs
	return r, nil
}

// condemnAbandoned looks for holders that no longer live.
func (e *Engine) condemnAbandoned(ctx context.Context) (n int, err error) {
	holders, err := e.store.Holders(ctx)
	if err != nil {
		return 0, err
	}
	for _, h := range holders {
		if h.ID == e.holder || !e.abandonedBy(h) {
			continue
		}
		for n < collectRows {
			m, err := e.store.CondemnHolder(ctx, h, collectRows, e.now())
			if errors.Is(err, meta.ErrConflict) { // it lives after all
				break
			} else if err != nil {
				return n, err
			}
			if n += m; m < collectRows {
				break
			}
		}
	}
	return n, nil
}

func (e *Engine) abandonedBy(h meta.Holder) bool {
	if e.sole {
		return true
	}
	w := &e.abandoned
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(map[meta.ID]beatSince)
	}
	s, known := w.seen[h.ID]
	if !known || s.beat != h.Beat {
		w.seen[h.ID] = beatSince{h.Beat, time.Now()}
		return false
	}
	if time.Since(s.since) < abandonAfter {
		return false
	}
	delete(w.seen, h.ID)
	return true
}

// deleteDead removes blobs whose grace is over, and then forgets them. If it is
// cut short between the two, the next pass deletes them again, which is no error.
func (e *Engine) deleteDead(ctx context.Context) (int, error) {
	ids, err := e.store.DeadBlobs(ctx, e.now().Add(-e.grace), collectBlobs)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if err := e.advanceEpoch(ctx); errors.Is(err, meta.ErrConflict) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	gone := make([]backends.BlobID, len(ids))
	for i, id := range ids {
		gone[i] = backends.BlobID(id)
	}
	if err := e.backend.Delete(ctx, gone...); err != nil {
		return 0, err
	}
	for rest := ids; len(rest) > 0; {
		n := min(len(rest), meta.MaxBatch)
		if err := e.store.Forget(ctx, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(ids), nil
}
