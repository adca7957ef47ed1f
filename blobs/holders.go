package blobs

import (
	"context"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// AbandonAfter is how long a holder's beat stands still before its reservations
// are condemned and its leases taken. A gateway that was only paused finds its
// commit refused and its client tries again.
// Twelve times BeatInterval: a pause of the garbage collector, a fail-over of the store or a
// frozen virtual machine of some seconds costs no reservation.
const AbandonAfter = time.Minute

// holderWatch remembers since when each holder's beat has stood still, by this
// process's monotonic clock.
type holderWatch struct {
	mu   sync.Mutex
	seen map[meta.ID]beatSince
}

type beatSince struct {
	beat  int64
	since time.Duration
}

// Gone takes note of all beats and returns the holders, other than this process, that show
// no sign of life, and the ids of those that do.
func (bs *Blobs) Gone(ctx context.Context) (gone []meta.Holder, known map[meta.ID]bool, err error) {
	holders, err := bs.c.Store.Holders(ctx)
	if err != nil {
		return nil, nil, err
	}
	w := &bs.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	now := bs.c.Elapsed()
	seen := make(map[meta.ID]beatSince, len(holders))
	known = make(map[meta.ID]bool, len(holders))
	for _, h := range holders {
		if h.ID == bs.holder {
			continue
		}
		// A holder seen for the first time counts from now, however old its beat: no clock of
		// another machine is compared.
		s, ok := w.seen[h.ID]
		if !ok || s.beat != h.Beat {
			s = beatSince{h.Beat, now}
		}
		seen[h.ID] = s
		// With Sole every other holder is an earlier run of this gateway, and is gone for
		// certain.
		if bs.c.Sole || now-s.since >= AbandonAfter {
			gone = append(gone, h)
			continue
		}
		known[h.ID] = true
	}
	// Replaced as a whole, so that holders whose rows are gone are forgotten.
	w.seen = seen
	return gone, known, nil
}
