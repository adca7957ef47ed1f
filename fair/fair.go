// Package fair shares places and turns among parties that do not know each other, so that
// none of them can take all: the next one who comes with nothing still finds a place.
package fair

import (
	"net/netip"
	"sync"
)

// Pool is a number of places, or of bytes. Any party may take what is free, but for a
// reserve: of that only parties take that then hold a share at most, or that held
// nothing. Nobody waits for a place. A Pool is safe for concurrent use, and costs memory
// for the parties that hold something.
type Pool[K comparable] struct {
	size, reserve, share int

	mu    sync.Mutex
	taken int
	held  map[K]int
}

// New returns a pool of size places, at least one, of which a quarter is the reserve
// and a sixteenth, at least one, is a share. So one party alone takes three quarters,
// and four that are greedy still leave a place to a fifth.
func New[K comparable](size int) *Pool[K] {
	size = max(size, 1)
	return &Pool[K]{size: size, reserve: size / 4, share: max(size/16, 1), held: make(map[K]int)}
}

// Take takes a place for a party, and reports whether there was one for it.
func (p *Pool[K]) Take(party K) bool { return p.TakeMany(party, 1) }

// TakeMany takes n places for a party, or none, and reports which.
func (p *Pool[K]) TakeMany(party K, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, left := p.held[party], p.size-p.taken-n
	if left < 0 || left < p.reserve && held > 0 && held+n > p.share {
		return false
	}
	p.taken += n
	p.held[party] = held + n
	return true
}

// Give gives back a place that the party has taken.
func (p *Pool[K]) Give(party K) { p.GiveMany(party, 1) }

// GiveMany gives back n places that the party has taken.
func (p *Pool[K]) GiveMany(party K, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[party] < n {
		panic("fair: a place is given back that was not taken")
	}
	p.taken -= n
	if p.held[party] -= n; p.held[party] == 0 {
		delete(p.held, party)
	}
}

// hostBits is how many bits of an IPv6 address say which network it is in, of which one
// host has all addresses. Source: RFC 4291, section 2.5.4
const hostBits = 64

// Host is the party that an address is of: itself, or the network of an IPv6 address.
func Host(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = hostBits
	}
	p, _ := a.Prefix(bits) // it fails for the zero Addr, and is the zero Prefix
	return p
}
