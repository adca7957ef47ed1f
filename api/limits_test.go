package api

import (
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

func TestMinimumRate(t *testing.T) {
	for _, c := range []struct {
		waited  time.Duration
		arrived int64
		err     error
	}{
		{rateWindow - 1, 0, nil},
		{rateWindow, DefaultMinRate * 30, nil},
		{rateWindow, DefaultMinRate*30 - 1, s3err.RequestTimeout},
		{2 * rateWindow, DefaultMinRate * 30, s3err.RequestTimeout},
	} {
		w := wire{limits: Limits{}.withDefaults(), waited: c.waited, arrived: c.arrived}
		if err := w.judge(); !errors.Is(err, c.err) {
			t.Errorf("%d bytes in %v: %v, want %v", c.arrived, c.waited, err, c.err)
		}
		if c.err == nil && c.waited >= rateWindow && (w.waited != 0 || w.arrived != 0) {
			t.Error("the window did not begin anew")
		}
	}
}
