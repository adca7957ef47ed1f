package blobs

import (
	"context"
	"sync"
)

// overtakenMarker is one that this process wrote when another gateway may have moved
// the epoch on already.
type overtakenMarker struct {
	at    *place
	epoch int64
}

// overtakenMarkers are those that are yet to be deleted.
type overtakenMarkers struct {
	mu sync.Mutex
	of []overtakenMarker
}

// maxOvertaken are remembered; of more, fsck tells.
const maxOvertaken = 1000

func (o *overtakenMarkers) add(m overtakenMarker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.of) < maxOvertaken {
		o.of = append(o.of, m)
	}
}

func (o *overtakenMarkers) takeAll() (all []overtakenMarker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, o.of = o.of, nil
	return all
}

// dropOvertaken deletes markers that were written too late. Markers that cannot be
// deleted are tried again with the next beat.
func (bs *Blobs) dropOvertaken(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for _, m := range bs.overtaken.takeAll() {
		row, err := bs.row(ctx, m.at.id)
		// Not of the present epoch or a later one: that marker is the one that the row needs.
		if err == nil && row.Epoch > m.epoch {
			err = m.at.Delete(ctx, bs.marker(row, m.epoch))
		}
		if err != nil {
			bs.overtaken.add(m)
			bs.c.Log.Warn("an epoch marker that was written late could not be deleted and will be tried again", "backend", m.at.Name, "error", err)
		}
	}
}
