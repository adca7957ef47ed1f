package engine_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// badSector cannot look at blobs, as long as it is bad: at all, or at those of which the
// first look failed.
type badSector struct {
	backends.Backend
	bad   atomic.Bool
	one   atomic.Bool // just the first
	first atomic.Pointer[backends.BlobID]
	looks atomic.Int64
}

func (b *badSector) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := b.Backend.Stat(ctx, id)
	if !b.bad.Load() || info.Size == 0 && err == nil { // a marker
		return info, err
	}
	b.first.CompareAndSwap(nil, &id)
	if b.one.Load() && *b.first.Load() != id {
		return info, err
	}
	b.looks.Add(1)
	return backends.Info{}, syscall.EIO
}

// A blob that a process which is gone has reserved, and that the backend cannot look at, is
// asked for again after growing pauses, counted, and keeps nothing else from being
// reclaimed. When the backend can look at it, it is.
func TestReservationsOfWhichNothingCanBeLearnt(t *testing.T) {
	for name, one := range map[string]bool{"of all": false, "of one": true} {
		t.Run(name, func(t *testing.T) {
			var clock stillClock
			r := newRig(t)
			b := &badSector{Backend: r.backend}
			r.config.Backends[0].Backend, r.config.Elapsed = b, clock.Elapsed
			r.reopen()
			r.mustPut("k", body(1, 100)) // the rest of its batch stays reserved
			r.reopen()                   // a process that is killed gives nothing back
			b.one.Store(one)
			b.bad.Store(true)
			first, err := r.e.Blobs().Collect(t.Context())
			if err == nil {
				t.Error("nobody hears of blobs that cannot be looked at")
			}
			left := r.e.Blobs().BackendHealth()[0].Unanswered
			if one && (left != 1 || first.Condemned < 100) || !one && (left < 100 || first.Condemned != 0) {
				t.Errorf("%d are counted, %+v", left, first)
			}
			looks := b.looks.Load()
			for range 10 * 60 {
				clock.advance(time.Minute)
				if _, err := r.e.Blobs().Collect(t.Context()); err != nil {
					t.Fatalf("told again: %v", err)
				}
				if n := r.e.Blobs().BackendHealth()[0].Unanswered; n != left {
					t.Fatalf("%d are counted, and were %d", n, left)
				}
			}
			if n := b.looks.Load() / looks; n < 10 || n > 20 {
				t.Errorf("each was looked at %d times in ten hours", n)
			}
			b.bad.Store(false)
			clock.advance(time.Hour)
			r.collect()
			if n := r.e.Blobs().BackendHealth()[0].Unanswered; n != 0 {
				t.Errorf("%d are counted at the end", n)
			}
			r.wantBody("k", body(1, 100))
			r.wantClean(1)
		})
	}
}
