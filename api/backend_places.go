package api

import (
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Requests that wait for a backend's first answer leave seats to others. The
// last eighth of all seats is for requests that wait for other backends or for
// none, except that one seat of 32 may always wait at this backend. Requests of
// one party at one backend leave the last seven seats of 32. So requests at a
// frozen backend do not keep out requests for other backends, nor those that
// need only the store. A request that sends or takes a body does not wait for
// the backend in this sense.
//
// A backend with a limit of its own (Limits.Backends) has three quarters of it
// shared among parties, from the first answer until the request ends: the
// backend's own queue cannot tell whose request a slow reader holds.

// party is the tenant or stranger that a request counts with.
type party struct {
	tenant   meta.ID
	stranger stranger
}

// party returns the party to which the seat is assigned.
func (x *seat) party() party { return party{x.tenant, x.stranger} }

// sender returns the party of a request that has no seat any more.
func (x *exchange) sender() party {
	if owner := x.req.Owner(); !owner.IsZero() {
		return party{tenant: owner}
	}
	return party{stranger: x.req.stranger()}
}

// backendSeats counts the requests at one backend.
type backendSeats struct {
	waiting int
	of      map[party]int     // of waiting, by party
	few     *fair.Pool[party] // nil: the backend has no limit of its own
}

// newBackendSeats makes the counts of a backend; most is its limit, 0 for none.
func newBackendSeats(most int) *backendSeats {
	b := &backendSeats{of: make(map[party]int)}
	if most > 0 {
		b.few = fair.New[party](most * 3 / 4)
	}
	return b
}

// awaitBackend counts a request that starts to wait for a backend. It returns
// false when the request must not wait there.
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
	// The place lasts until the request ends, also when it asks the backend
	// again.
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

// answered ends the wait that awaitBackend began.
func (s *seats) answered(x *seat, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, who := s.backends[name], x.party()
	b.waiting--
	if b.of[who]--; b.of[who] == 0 {
		delete(b.of, who)
	}
}

// leaveBackends gives back the places of a seat. The lock is held.
func (s *seats) leaveBackends(x *seat) {
	for b := range x.few {
		b.few.Give(x.party())
	}
}

// admitAt is called by package blobs before the request uses a backend. A request
// whose answer has begun is always admitted.
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
