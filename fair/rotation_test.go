package fair

import (
	"strings"
	"testing"
	"time"
)

// Turns take their steps one after another, the latest first. A turn whose step
// failed waits while the others continue.
func TestRotation(t *testing.T) {
	now := time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)
	var r Rotation[string, string]
	if r.Next(now) != nil || r.Ready(now) || !r.Empty() || !r.Looks(now, 3, false) {
		t.Error("got a turn before one began")
	}
	for _, party := range []string{"a", "b", "c"} {
		r.Begin(party, "turn of "+party)
	}
	if !r.Has("b") || r.Has("d") || r.Looks(now, 3, true) {
		t.Error("other turns are under way than began")
	}
	order := func(n int) string {
		var b strings.Builder
		for range n {
			if at := r.Next(now); at != nil {
				b.WriteString(at.party)
			}
		}
		return b.String()
	}
	if got := order(6); got != "cbacba" {
		t.Errorf("steps were taken in the order %s", got)
	}
	failed := r.Next(now)
	failed.Fail(now, 2)
	if got := order(4); got != "baba" {
		t.Errorf("beside a failure in the order %s", got)
	}
	for _, test := range []struct {
		name  string
		at    time.Time
		waits bool
	}{
		{"at once", now, true},
		{"before its time", now.Add(2*resumeAfter - 1), true},
		{"in time", now.Add(2 * resumeAfter), false},
		{"by a clock that was set back", now.Add(-time.Hour), false},
	} {
		if failed.waits(test.at) != test.waits {
			t.Errorf("%s: the turn waits is %t", test.name, !test.waits)
		}
	}
	r.End(failed)
	if got := order(2); r.Has("c") || got != "ba" {
		t.Errorf("after one ended in the order %s", got)
	}
}

// While turns are in progress and a look found no other one, the next look is a
// minute later, or when a turn has ended.
func TestRotationLooks(t *testing.T) {
	now := time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)
	var r Rotation[int, int]
	r.Begin(1, 1)
	r.Begin(2, 2)
	r.FoundNone(now)
	if r.Looks(now.Add(lookAgain-1), 9, false) || !r.Looks(now.Add(lookAgain), 9, false) || !r.Looks(now, 9, true) || !r.Looks(now.Add(-1), 9, false) {
		t.Error("it is looked at another time")
	}
	r.End(r.Next(now))
	if !r.Looks(now, 9, false) {
		t.Error("no look after a turn has ended")
	}
}
