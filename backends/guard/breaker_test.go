package guard

import (
	"testing"
	"time"
)

// broken is a breaker that has just opened, and when it lets a probe through.
func broken(t *testing.T, now time.Time) (*breaker, time.Time) {
	t.Helper()
	b := &breaker{}
	for range BreakerFailures {
		ticket, err := b.admit(now)
		if err != nil {
			t.Fatal(err)
		}
		b.report(ticket, away, now)
	}
	if b.current() != Open {
		t.Fatalf("after %d failures it is %v", BreakerFailures, b.current())
	}
	return b, now.Add(CoolDownMin)
}

// Attempts that began in an earlier spell say nothing about this one.
func TestOldNews(t *testing.T) {
	start := time.Unix(0, 0)
	b := &breaker{}
	old, err := b.admit(start)
	if err != nil {
		t.Fatal(err)
	}
	b, now := broken(t, start)
	first, err := b.admit(now)
	if err != nil {
		t.Fatalf("no probe after the cool-down: %v", err)
	}
	if _, err := b.admit(now.Add(ProbeGap - 1)); err == nil {
		t.Error("a second probe beside the first")
	}
	now = now.Add(ProbeGap)
	second, err := b.admit(now)
	if err != nil {
		t.Fatalf("no second probe after ProbeGap: %v", err)
	}
	for _, v := range []verdict{alive, away, unknown} {
		b.report(old, v, now)
		b.report(first, v, now)
		if b.current() != HalfOpen {
			t.Fatalf("old news made it %v", b.current())
		}
	}
	b.report(second, alive, now)
	if b.current() != Closed {
		t.Fatalf("after a good probe it is %v", b.current())
	}
	for range 2 * BreakerFailures {
		b.report(second, away, now)
		b.report(first, away, now)
	}
	if b.current() != Closed {
		t.Error("attempts from the outage opened it again")
	}
}

func TestFailuresInARow(t *testing.T) {
	now := time.Unix(0, 0)
	for name, relief := range map[string]func(b *breaker, ticket uint64){
		"an answer": func(b *breaker, ticket uint64) { b.report(ticket, alive, now) },
		"headway":   func(b *breaker, _ uint64) { b.madeHeadway() },
	} {
		b := &breaker{}
		ticket, err := b.admit(now)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for range BreakerFailures - 1 {
				b.brokeOff(now) // a body counts like an attempt
			}
			relief(b, ticket)
		}
		if b.current() != Closed {
			t.Errorf("%s does not end a row", name)
		}
		for range BreakerFailures - 1 {
			b.brokeOff(now)
			b.report(ticket, unknown, now)
		}
		b.report(ticket, away, now)
		if b.current() != Open {
			t.Errorf("%s: %d in a row leave it %v", name, BreakerFailures, b.current())
		}
		b.brokeOff(now)
		if _, err := b.admit(now.Add(CoolDownMin)); err != nil {
			t.Errorf("a body that breaks off while it is open puts the probe off: %v", err)
		}
	}
}
