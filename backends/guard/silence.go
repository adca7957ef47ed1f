package guard

import (
	"sync/atomic"
	"time"
)

// silence is how a backend is noticed that takes calls and answers none, as one that is
// frozen or behind a broken route does: before the calls have run out of time, which
// hold places of requests until then.
type silence struct {
	overdue atomic.Int64 // calls that wait and have heard nothing for SilenceAfter
	heard   atomic.Int64 // when the backend last answered anything, in Unix nanoseconds
}

// hear is called for each answer and each piece of a body.
func (s *silence) hear(now time.Time) { s.heard.Store(now.UnixNano()) }

// fallBehind is called for each call that becomes overdue.
func (s *silence) fallBehind(g *Guard, now time.Time) {
	s.overdue.Add(1)
	s.judge(g, now)
}

// judge opens the breaker when as many calls are overdue as may fail, and nothing at all
// was heard meanwhile. Of a backend that is only slow, some are answered.
func (s *silence) judge(g *Guard, now time.Time) {
	if s.overdue.Load() >= BreakerFailures && now.Sub(time.Unix(0, s.heard.Load())) >= g.opts.SilenceAfter {
		g.breaker.fellSilent(now)
	}
}
