package backends

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestThrottled(t *testing.T) {
	err := fmt.Errorf("get blob: %w", &Throttled{After: 3 * time.Second, Err: io.ErrClosedPipe})
	for _, want := range []error{ErrThrottled, ErrUnavailable, io.ErrClosedPipe} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
	}
	var th *Throttled
	if !errors.As(err, &th) || th.After != 3*time.Second {
		t.Errorf("%v carries %+v", err, th)
	}
	if !strings.Contains(err.Error(), "3s") || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
		t.Errorf("the text leaves something out: %v", err)
	}
	if bare := (&Throttled{}); !errors.Is(bare, ErrThrottled) || bare.Error() != ErrThrottled.Error() {
		t.Errorf("bare: %v", bare)
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "1.5": 0, "soon": 0,
		"301":                           MaxRetryAfter,
		"9223372036854775807":           MaxRetryAfter,
		"99999999999999999999":          0,
		"Tue, 06 May 2031 07:08:39 GMT": 30 * time.Second,
		"Tue, 06 May 2031 07:08:09 GMT": 0,
		"Mon, 05 May 2031 07:08:09 GMT": 0,
		"Tue, 06 May 2036 07:08:39 GMT": MaxRetryAfter,
	} {
		if got := ParseRetryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Tue, 06 May 2031 07:08:39 GMT")
	f.Fuzz(func(t *testing.T, header string) {
		if d := ParseRetryAfter(header, time.Unix(0, 0)); d < 0 || d > MaxRetryAfter {
			t.Fatalf("%q is %v", header, d)
		}
	})
}
