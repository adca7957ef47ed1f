package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// BreakerFailures in a row open the breaker, and as many calls at once that nothing
	// is heard of.
	BreakerFailures = 8
	// CoolDownMin is how long it stays open first; it doubles with each probe
	// that fails, up to CoolDownMax. Each time a random part of the second half
	// is left out, so that several gateways do not probe together.
	CoolDownMin = time.Second
	CoolDownMax = 10 * time.Second
	// ProbeGap is after what time another probe is let through while one is
	// still out: it may hang, or be a slow upload.
	ProbeGap = 5 * time.Second
	// RecoveryBound is within what time of a backend's healing a Guard that is
	// asked at least once a second lets all calls through: CoolDownMax, ProbeGap
	// and as much again.
	RecoveryBound = 30 * time.Second
)

// State of the breaker.
type State int32

// Closed: calls go through. Open: they are refused. HalfOpen: a probe is out.
const (
	Closed State = iota
	Open
	HalfOpen
)

// String is for metrics.
func (s State) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// openError is the refusal of an open breaker.
type openError struct{ next time.Duration }

func (e *openError) Error() string {
	return fmt.Sprintf("%v: %d calls in a row failed or were not answered; the next try is due in %v",
		backends.ErrUnavailable, BreakerFailures, e.next.Round(time.Millisecond))
}

func (e *openError) Unwrap() error { return backends.ErrUnavailable }

// verdict is what an attempt says about the backend.
type verdict int

const (
	unknown verdict = iota // the caller went away first
	alive                  // it answered, whatever it said
	away
)

// judge finds the verdict. A backend that throttles is there: Retry-After and
// the retry budget deal with it.
func judge(ctx context.Context, err error) verdict {
	switch {
	case err == nil:
		return alive
	case errors.Is(err, backends.ErrThrottled):
		return alive
	case errors.Is(err, backends.ErrUnavailable):
		return away
	case ctx.Err() != nil || errors.Is(err, backends.ErrClosed):
		return unknown
	}
	return alive
}

// breaker counts failures in a row. Tickets tell attempts of the present spell
// from those that began before the last change of state and ended late: the
// latter's verdicts are old news. The zero value is closed.
type breaker struct {
	mu       sync.Mutex
	state    State
	ticket   uint64
	failures int
	coolDown time.Duration
	next     time.Time // Open, HalfOpen: when a probe may go
}

// admit lets an attempt through or refuses it with an openError.
func (b *breaker) admit(now time.Time) (ticket uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		return b.ticket, nil
	}
	if now.Before(b.next) {
		return 0, &openError{b.next.Sub(now)}
	}
	b.state, b.next = HalfOpen, now.Add(ProbeGap)
	b.ticket++
	return b.ticket, nil
}

// report is called once for each attempt that was admitted.
func (b *breaker) report(ticket uint64, v verdict, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case ticket != b.ticket || b.state == Open:
	case b.state == Closed && v == alive:
		b.failures = 0
	case b.state == Closed && v == away:
		b.fail(now)
	case b.state == HalfOpen && v == alive:
		b.state, b.failures = Closed, 0
		b.ticket++
	case b.state == HalfOpen && v == away:
		b.coolDown = min(2*b.coolDown, CoolDownMax)
		b.open(now)
	case b.state == HalfOpen: // the probe was called off
		b.next = now
	}
}

// brokeOff counts a body that was let through long ago and breaks off now.
func (b *breaker) brokeOff(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		b.fail(now)
	}
}

// fellSilent opens a breaker that is closed.
func (b *breaker) fellSilent(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		b.coolDown = CoolDownMin
		b.open(now)
	}
}

// madeHeadway ends a row of failures: an attempt got something out of the
// backend before it failed.
func (b *breaker) madeHeadway() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
}

// fail, open: with the lock held.
func (b *breaker) fail(now time.Time) {
	if b.failures++; b.failures >= BreakerFailures {
		b.coolDown = CoolDownMin
		b.open(now)
	}
}

func (b *breaker) open(now time.Time) {
	b.state = Open
	b.next = now.Add(b.coolDown - jitter(b.coolDown/2))
	b.ticket++
}

func (b *breaker) current() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}
