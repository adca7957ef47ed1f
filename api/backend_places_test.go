package api

import (
	"net/netip"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// arrive sends requests of a tenant, as many as find a seat, up to most. They
// wait for the backend; "" means that they need none.
func arrive(s *seats, tenant byte, backend string, most int) (in []*seat) {
	for range most {
		x := &seat{}
		if !s.enter(x, stranger{}) {
			return in
		}
		if !s.asTenant(x, meta.ID{tenant}) || backend != "" && !s.awaitBackend(x, backend) {
			s.leave(x)
			return in
		}
		in = append(in, x)
	}
	return in
}

// Requests that wait for a frozen backend leave seats to requests for other
// backends or for none, whether they are of one tenant or of many, and whether
// one backend is frozen or several.
func TestFrozenBackendLeavesSeats(t *testing.T) {
	const size = 1024
	type crowd struct {
		tenants int
		backend string
	}
	for name, crowds := range map[string][]crowd{
		"one tenant":       {{1, "frozen"}},
		"many tenants":     {{40, "frozen"}},
		"several backends": {{1, "frozen"}, {1, "icy"}, {1, "stiff"}},
		"many everywhere":  {{40, "frozen"}, {1, "icy"}},
	} {
		s := newSeats(&Limits{Concurrent: size})
		waiting := make(map[*seat]string)
		for _, c := range crowds {
			for tenant := range c.tenants {
				for _, x := range arrive(s, byte(tenant), c.backend, 2*size) {
					waiting[x] = c.backend
				}
			}
		}
		if n := len(waiting); n < size*3/4 || n > size*15/16 {
			t.Errorf("%s: %d of %d seats are taken by waiting requests", name, n, size)
		}
		for _, tenant := range []byte{0, 200} { // a tenant of the crowd, and another one
			if tenant == 0 && name == "many everywhere" {
				continue // it holds its share
			}
			for _, backend := range []string{"healthy", ""} {
				in := arrive(s, tenant, backend, size/32)
				if len(in) != size/32 {
					t.Errorf("%s: tenant %d finds %d seats at %q, want %d", name, tenant, len(in), backend, size/32)
				}
				for _, x := range in {
					if backend != "" {
						s.answered(x, backend)
					}
					s.leave(x)
				}
			}
		}
		for x, backend := range waiting {
			s.answered(x, backend)
			s.leave(x)
		}
		for backend, b := range s.backends {
			if b.waiting != 0 || len(b.of) != 0 || s.taken != 0 {
				t.Errorf("%s: not all was given back: %d at %s, %d seats", name, b.waiting, backend, s.taken)
			}
		}
	}
}

// A client that is being sent a body does not wait for the backend. Its seat
// counts like any other.
func TestBodiesDoNotWait(t *testing.T) {
	const size, most = 1024, 1024 * 29 / 32
	s := newSeats(&Limits{Concurrent: size})
	for n := range most {
		in := arrive(s, 1, "healthy", 1)
		if len(in) != 1 {
			t.Fatalf("only %d readers of one tenant, want %d", n, most)
		}
		s.answered(in[0], "healthy")
	}
	if n := len(arrive(s, 2, "healthy", size/32)); n != size/32 {
		t.Errorf("another tenant finds %d seats, want %d", n, size/32)
	}
}

// A backend that takes few requests has places for all parties, however many
// one of them has in progress, and a request keeps its place until it ends.
func TestFewPlacesAreShared(t *testing.T) {
	s := newSeats(&Limits{Concurrent: 1024, Backends: map[string]int{"small": 64}})
	readers := arrive(s, 1, "small", 1024)
	for _, x := range readers {
		s.answered(x, "small")
		if !s.awaitBackend(x, "small") { // the request's next part
			t.Fatal("a reader is refused in the middle")
		}
		s.answered(x, "small")
	}
	if n := len(readers); n != 36 { // three quarters of three quarters
		t.Errorf("one tenant has %d requests under way at a backend that takes 64", n)
	}
	for tenant := byte(2); tenant < 5; tenant++ {
		if n := len(arrive(s, tenant, "small", 3)); n != 3 {
			t.Errorf("tenant %d finds %d places, want 3", tenant, n)
		}
	}
	if n := len(arrive(s, 1, "large", 200)); n != 200 {
		t.Errorf("at another backend it finds %d places", n)
	}
	for _, x := range readers {
		s.leave(x)
	}
	if n := len(arrive(s, 6, "small", 20)); n != 20 {
		t.Errorf("%d places after the readers have ended, want 20", n)
	}
}

// Forms of one tenant count as one party, whatever addresses they come from.
func TestFormsAreTheirTenants(t *testing.T) {
	s := newSeats(&Limits{Concurrent: 1024, Backends: map[string]int{"small": 64}})
	n := 0
	for ; ; n++ {
		x, from := &seat{}, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 32)
		if !s.enter(x, stranger{}) || !s.asStranger(x, from) || !s.asTenant(x, meta.ID{1}) || !s.awaitBackend(x, "small") {
			break
		}
	}
	if n != 36 { // as in TestFewPlacesAreShared
		t.Errorf("one tenant has %d forms under way at a backend that takes 64", n)
	}
}
