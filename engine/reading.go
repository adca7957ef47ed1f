package engine

import (
	"sync"
	"time"
)

const (
	// holdReads is how long a reading keeps what it may come to from being deleted.
	holdReads = 24 * time.Hour
	// beforeReading is how long before its stream began a reading may have learnt of
	// its object.
	beforeReading = time.Minute
)

// readings are the streams of this process that touch several blobs, one after another:
// what is condemned while one goes on may be what it comes to last. What was condemned
// before it began is no part of it.
type readings struct {
	mu    sync.Mutex
	begun map[*Reading]time.Time
}

func (r *readings) begin(of *Reading, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun == nil {
		r.begun = make(map[*Reading]time.Time)
	}
	r.begun[of] = now.Add(-beforeReading)
}

func (r *readings) end(of *Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.begun, of)
}

// oldest is when the earliest began that is not older than holdReads, or else t.
func (r *readings) oldest(t, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, begun := range r.begun {
		if begun.Before(t) && now.Sub(begun) < holdReads {
			t = begun
		}
	}
	return t
}

// deletable is the time before which must have been condemned what may be deleted: its
// grace is over, and no reading of this process comes to it.
func (e *Engine) deletable(now time.Time) time.Time {
	return e.reading.oldest(now.Add(-e.grace), now)
}
