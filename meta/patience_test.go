package meta

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Each call has the same time limit, whatever happens to the request's own context.
// After one call has used it up, each further one has a part of it.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 5 * time.Second
		call := func(ctx context.Context, takes time.Duration) (time.Duration, error) {
			began := time.Now()
			ctx, done := Patiently(ctx)
			defer done()
			select {
			case <-time.After(takes):
				return time.Since(began), nil
			case <-ctx.Done():
				return time.Since(began), context.Cause(ctx)
			}
		}
		ctx, cancel := context.WithCancel(WithPatience(t.Context(), each))
		for range 5 {
			if took, err := call(ctx, each-1); err != nil {
				t.Errorf("a call of %v: %v after %v", each-1, err, took)
			}
		}
		if most := Patience(ctx, time.Hour); most != each {
			t.Errorf("patience for %v, want %v", most, each)
		}
		if took, err := call(ctx, time.Hour); !errors.Is(err, ErrSlow) || !errors.Is(err, ErrUnavailable) || took != each {
			t.Errorf("%v after %v", err, took)
		}
		cancel()
		if _, err := call(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("a request that has ended: %v", err)
		}
		after := context.WithoutCancel(ctx)
		if took, err := call(after, time.Hour); !errors.Is(err, ErrSlow) || took != each/spentPart {
			t.Errorf("clearing up after it: %v after %v", err, took)
		}
		if took, err := call(t.Context(), time.Hour); err != nil || took != time.Hour {
			t.Errorf("no request: %v after %v", err, took)
		}
	})
}
