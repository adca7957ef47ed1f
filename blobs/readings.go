package blobs

import (
	"sync"
	"time"
)

const (
	// holdReads is how long a reading keeps what it may come to from being deleted.
	// A stream that never ends, of a client that reads a byte an hour, must not stop deletion
	// for good.
	holdReads = 24 * time.Hour
	// beforeReading is how long before its stream began a reading may have learnt of
	// its object.
	// The version's row is read, and checked against access, before the stream begins. A blob
	// that was condemned in between belongs to the reading too.
	beforeReading = time.Minute
)

// Reading keeps the blobs of a stream that touches several, one after another, from being
// deleted: what is condemned while it goes on may be what it comes to last. Blobs that
// were condemned before it began are no part of it. It is part of what reads, and not
// copied.
type Reading struct{ began time.Time }

// BeginReading makes r known to the collector of this process, until EndReading or for
// holdReads.
func (bs *Blobs) BeginReading(r *Reading) {
	r.began = bs.c.Now().Add(-beforeReading)
	bs.reading.mu.Lock()
	defer bs.reading.mu.Unlock()
	if bs.reading.all == nil {
		bs.reading.all = make(map[*Reading]struct{})
	}
	bs.reading.all[r] = struct{}{}
}

// EndReading ends what BeginReading began, if it did.
func (bs *Blobs) EndReading(r *Reading) {
	bs.reading.mu.Lock()
	defer bs.reading.mu.Unlock()
	delete(bs.reading.all, r)
}

// readings are the streams of this process that have begun.
type readings struct {
	mu  sync.Mutex
	all map[*Reading]struct{}
}

// oldest is when the earliest began that is not older than holdReads, or else t.
func (r *readings) oldest(t, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for of := range r.all {
		// Other gateways' readings are not known here. They have the grace.
		if of.began.Before(t) && now.Sub(of.began) < holdReads {
			t = of.began
		}
	}
	return t
}

// deletable is the time before which must have been condemned what may be deleted: its
// grace is over, and no reading of this process comes to it.
func (bs *Blobs) deletable(now time.Time) time.Time {
	return bs.reading.oldest(now.Add(-bs.c.Grace), now)
}
