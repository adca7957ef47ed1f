// Package fair shares places and turns among parties that do not know each
// other. No party can take all: the next one that holds nothing still gets a
// place.
package fair

import (
	"net/netip"
	"sync"
)

// Pool is a number of places, or of bytes. Any party may take free ones, except
// for a reserve. The reserve is for parties that then hold at most a share, or
// that held nothing. Nobody waits. A Pool is safe for concurrent use, and needs
// memory only for parties that hold something.
type Pool[K comparable] struct {
	size, reserve, share int

	mu    sync.Mutex
	taken int
	held  map[K]int
}

// New returns a pool of size places, at least one. A quarter of them is the
// reserve; a sixteenth, at least one, is a share. So a single party can take
// three quarters, and four greedy parties leave a place to a fifth.
func New[K comparable](size int) *Pool[K] {
	size = max(size, 1)
	return &Pool[K]{size: size, reserve: size / 4, share: max(size/16, 1), held: make(map[K]int)}
}

// Take takes a place for a party and reports whether it got one.
func (p *Pool[K]) Take(party K) bool { return p.TakeMany(party, 1) }

// TakeMany takes n places for a party, or none, and reports which.
func (p *Pool[K]) TakeMany(party K, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, left := p.held[party], p.size-p.taken-n
	// A party that holds nothing may take n from the reserve, however large n is.
	// Another one may only come up to its share.
	if left < 0 || left < p.reserve && held > 0 && held+n > p.share {
		return false
	}
	p.taken += n
	p.held[party] = held + n
	return true
}

// Give gives back a place of the party.
func (p *Pool[K]) Give(party K) { p.GiveMany(party, 1) }

// GiveMany gives back n places of the party. It panics if the party holds
// fewer.
func (p *Pool[K]) GiveMany(party K, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[party] < n {
		panic("fair: gave back a place that was not taken")
	}
	p.taken -= n
	if p.held[party] -= n; p.held[party] == 0 {
		delete(p.held, party)
	}
}

// hostBits is the length of the network prefix of an IPv6 address. One host can
// have all addresses of its network. Source: RFC 4291, section 2.5.4
const hostBits = 64

// Host returns the party of an address: the address itself, or the network of
// an IPv6 address.
func Host(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = hostBits
	}
	p, _ := a.Prefix(bits) // for the zero Addr it fails and returns the zero Prefix
	return p
}
