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
	// BreakerFailures consecutive failures open the breaker, and so do as many
	// overdue calls while the backend is silent.
	BreakerFailures = 8
	// CoolDownMin is how long it first stays open; the time doubles with each
	// failed probe, up to CoolDownMax. It is shortened by a random part of up to
	// one half, so that several gateways do not probe together.
	CoolDownMin = time.Second
	CoolDownMax = 10 * time.Second
	// ProbeGap is the time after which another probe is let through while one is in
	// progress, which may hang or be a slow upload.
	ProbeGap = 5 * time.Second
	// RecoveryBound is the time after a backend's recovery within which a Guard
	// that gets at least one call a second lets all calls through: CoolDownMax,
	// ProbeGap and as much again.
	RecoveryBound = 30 * time.Second
)

// State is the state of the breaker.
type State int32

// Closed: calls go through. Open: they are refused. HalfOpen: a probe is in
// progress.
const (
	Closed State = iota
	Open
	HalfOpen
)

// String is for metrics.
func (s State) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// openError is the error of an open breaker.
type openError struct{ next time.Duration }

func (e *openError) Error() string {
	return fmt.Sprintf("%v: %d calls in a row failed or were not answered; the next try is due in %v",
		backends.ErrUnavailable, BreakerFailures, e.next.Round(time.Millisecond))
}

func (e *openError) Unwrap() error { return backends.ErrUnavailable }

// verdict is the conclusion from an attempt about the backend.
type verdict int

const (
	unknown verdict = iota // the caller gave up first
	alive                  // it answered, with success or an error
	away
)

// judge returns the verdict. A backend that throttles is alive: Retry-After and the
// retry budget handle it.
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

// breaker counts consecutive failures. A ticket marks the attempts since the last
// change of state. Verdicts of earlier attempts are outdated and ignored. The zero
// value is closed.
type breaker struct {
	mu       sync.Mutex
	state    State
	ticket   uint64
	failures int
	coolDown time.Duration
	next     time.Time // Open, HalfOpen: when the next probe may begin
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

// report is called once for each admitted attempt.
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
	case b.state == HalfOpen: // the probe was cancelled
		b.next = now
	}
}

// brokeOff counts a body that breaks off long after it was admitted.
func (b *breaker) brokeOff(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		b.fail(now)
	}
}

// fellSilent opens a closed breaker.
func (b *breaker) fellSilent(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		b.coolDown = CoolDownMin
		b.open(now)
	}
}

// madeHeadway resets the failures: an attempt had some success before it failed.
func (b *breaker) madeHeadway() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
}

// fail and open need the lock.
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
