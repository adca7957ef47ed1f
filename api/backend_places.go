package api

import (
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Requests that wait for a backend's first answer leave the last eighth of all seats to
// those who wait for others, or for none, unless one of 32 waits there at most; and those
// of one party at one backend leave the last seven of 32. So those who wait for a backend
// that is frozen keep neither other backends' requests out nor those that need the store
// alone. Whoever sends or takes a body does not wait for the backend.
//
// A backend that takes so many requests at once and no more (Limits.Backends) has three
// quarters of them shared among parties besides, until a request ends: its own queue does
// not know whose a slow reader's request is.

// party is whom a request counts with.
type party struct {
	tenant   meta.ID
	stranger stranger
}

func (x *seat) party() party { return party{x.tenant, x.stranger} }

// sender is the party of a request whose seat was given back: its tenant, or the address
// of one that nobody signed.
func (x *exchange) sender() party {
	if owner := x.req.Owner(); !owner.IsZero() {
		return party{tenant: owner}
	}
	return party{stranger: x.req.stranger()}
}

// backendSeats are the requests at one backend.
type backendSeats struct {
	waiting int
	of      map[party]int     // of them
	few     *fair.Pool[party] // of a backend that takes few requests; nil: it takes all
}

func newBackendSeats(most int) *backendSeats {
	b := &backendSeats{of: make(map[party]int)}
	if most > 0 {
		b.few = fair.New[party](most * 3 / 4)
	}
	return b
}

// awaitBackend counts a request with those that wait for a backend.
func (s *seats) awaitBackend(x *seat, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.backends[name]
	if b == nil {
		b = newBackendSeats(s.most[name])
		s.backends[name] = b
	}
	who := x.party()
	left, share := s.size-s.taken, max(s.size/32, 1)
	switch {
	case left < s.size/8 && b.waiting >= share, left < s.size*7/32 && b.of[who] >= share:
		return false
	case b.few != nil && !x.few[b]:
		if !b.few.Take(who) {
			return false
		}
		if x.few == nil {
			x.few = make(map[*backendSeats]bool)
		}
		x.few[b] = true
	}
	b.waiting++
	b.of[who]++
	return true
}

// answered ends what awaitBackend has begun.
func (s *seats) answered(x *seat, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, who := s.backends[name], x.party()
	b.waiting--
	if b.of[who]--; b.of[who] == 0 {
		delete(b.of, who)
	}
}

// leaveBackends is for a seat that is given back; with the lock held.
func (s *seats) leaveBackends(x *seat) {
	for b := range x.few {
		b.few.Give(x.party())
	}
}

// admitAt is asked by the engine before it uses a backend for the request. An answer that
// has begun is finished.
func (x *exchange) admitAt(backend string) (answered func(), err error) {
	if !x.server.seats.awaitBackend(&x.seat, backend) {
		if x.status != 0 {
			return func() {}, nil
		}
		x.reason = "too many requests at once at backend " + backend
		return nil, s3err.SlowDown
	}
	return func() { x.server.seats.answered(&x.seat, backend) }, nil
}
