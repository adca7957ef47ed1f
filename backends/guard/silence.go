package guard

import (
	"sync/atomic"
	"time"
)

// silence detects a backend that accepts calls and answers none, because it is
// frozen or behind a broken route. It detects that before the calls time out,
// because they occupy places of requests until then.
type silence struct {
	overdue atomic.Int64 // waiting calls that have heard nothing for SilenceAfter
	heard   atomic.Int64 // the time of the backend's last answer, in Unix nanoseconds
}

// hear is called for each answer and each piece of a body.
func (s *silence) hear(now time.Time) { s.heard.Store(now.UnixNano()) }

// fallBehind is called for each call that becomes overdue.
func (s *silence) fallBehind(g *Guard, now time.Time) {
	s.overdue.Add(1)
	s.judge(g, now)
}

// judge opens the breaker when BreakerFailures calls are overdue and the backend
// has sent nothing at all meanwhile. A backend that is only slow answers some
// calls.
func (s *silence) judge(g *Guard, now time.Time) {
	if s.overdue.Load() >= BreakerFailures && now.Sub(time.Unix(0, s.heard.Load())) >= g.opts.SilenceAfter {
		g.breaker.fellSilent(now)
	}
}
