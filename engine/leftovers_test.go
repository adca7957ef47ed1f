package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/guard"
	"github.com/sanctum-storage/gateway/blobs"
)

// littered is a backend that has to be swept.
type littered struct {
	backends.Backend
	swept []time.Time
	err   error
}

func (l *littered) Sweep(_ context.Context, before time.Time) (int, error) {
	l.swept = append(l.swept, before)
	return 0, l.err
}

// The leftovers at a backend of writes that were cut short are swept by the collector,
// once a day, whatever stands before the backend; one that cannot be swept costs
// nothing else.
func TestBackendsAreSwept(t *testing.T) {
	wraps := map[string]func(backends.Backend) backends.Backend{
		"bare":  func(b backends.Backend) backends.Backend { return b },
		"guard": func(b backends.Backend) backends.Backend { return guard.New(b, guard.Options{}) },
	}
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			r := newBareRig(t)
			clock := &stillClock{}
			l := &littered{Backend: r.backend}
			now := time.Now()
			r.config.Backends, r.config.Elapsed, r.config.Now = local(wrap(l)), clock.Elapsed, func() time.Time { return now }
			r.reopen()
			r.b = r.bucket("first-bucket", "")
			collect := func(want int) {
				t.Helper()
				if _, err := r.e.Blobs().Collect(t.Context()); err != nil {
					t.Error(err)
				}
				if len(l.swept) != want {
					t.Errorf("swept %d times, want %d", len(l.swept), want)
				}
			}
			collect(1)
			if age := now.Sub(l.swept[0]); age != blobs.LeftoverAge {
				t.Errorf("what is %v old is swept", age)
			}
			collect(1)
			clock.advance(blobs.LeftoverInterval)
			l.err = errors.Join(backends.ErrDenied, errors.New("no right to list uploads"))
			collect(2)
			collect(2)
			clock.advance(blobs.LeftoverInterval)
			collect(3)
		})
	}
}
