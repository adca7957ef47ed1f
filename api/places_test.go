package api

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

func TestStranger(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:99", "", "192.0.2.1/32"},
		{"[::ffff:192.0.2.1]:99", "", "192.0.2.1/32"},
		{"[2001:db8:1:2:3:4:5:6]:99", "", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:99", "", "fe80::/64"},
		{"192.0.2.1:99", "198.51.100.7", "192.0.2.1/32"}, // it is not a proxy and may invent addresses
		{"10.0.0.1:99", "203.0.113.5, 198.51.100.7", "198.51.100.7/32"},
		{"10.0.0.1:99", "2001:db8:1:2::9", "2001:db8:1:2::/64"},
		{"10.0.0.1:99", "unknown", "invalid Prefix"},
		{"pipe", "", "invalid Prefix"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		x := New(Config{Engine: new(engine.Engine), Proxies: proxies}).newExchange(httptest.NewRecorder(), r)
		if got := x.req.stranger().String(); got != c.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

// fill takes seats until none is left for the party.
func fill(s *seats, as func(*seat) bool) (all []*seat) {
	for {
		x := &seat{}
		if !s.enter(x, stranger{}) {
			return all
		}
		if !as(x) {
			s.leave(x)
			return all
		}
		all = append(all, x)
	}
}

func TestSeats(t *testing.T) {
	const size = 1024
	tenant := func(n byte) func(*seats) func(*seat) bool {
		return func(s *seats) func(*seat) bool {
			return func(x *seat) bool { return s.asTenant(x, meta.ID{n}) }
		}
	}
	from := func(n byte) func(*seats) func(*seat) bool {
		who := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 32)
		return func(s *seats) func(*seat) bool {
			return func(x *seat) bool { return s.asStranger(x, who) }
		}
	}
	for _, c := range []struct {
		name    string
		parties []func(*seats) func(*seat) bool // each takes as many as it can, one after another
		want    []int
	}{
		{"one tenant, then another", []func(*seats) func(*seat) bool{tenant(1), tenant(2)}, []int{size * 29 / 32, size / 32}},
		{"one address, then others", []func(*seats) func(*seat) bool{from(1), from(2), from(3), tenant(1)},
			[]int{size / 2 * 3 / 4, size / 32, size / 32, size*29/32 - size/2*3/4 - size/16}},
		{"a tenant and an address, then another tenant", []func(*seats) func(*seat) bool{tenant(1), from(1), tenant(2)}, []int{size * 29 / 32, size / 32, size / 32}},
		{"an address and a tenant, then another tenant",
			[]func(*seats) func(*seat) bool{from(1), tenant(1), from(2), tenant(2)}, []int{size / 2 * 3 / 4, size*29/32 - size/2*3/4, size / 32, size / 32}},
	} {
		s := newSeats(&Limits{Concurrent: size})
		var all []*seat
		for i, party := range c.parties {
			took := fill(s, party(s))
			// One more or less is due to rounding.
			if n := len(took); n < c.want[i]-1 || n > c.want[i]+1 {
				t.Errorf("%s: party %d takes %d, want %d", c.name, i, n, c.want[i])
			}
			all = append(all, took...)
		}
		for _, x := range all {
			s.leave(x)
			s.leave(x) // giving back twice has no effect
		}
		if s.taken != 0 || len(s.tenants) != 0 || len(fill(s, from(1)(s))) != size/2*3/4 {
			t.Errorf("%s: not all was given back: %+v", c.name, s)
		}
	}
	// An address whose senders are not known yet leaves seats to others, which no tenant
	// needs to be known for.
	s := newSeats(&Limits{Concurrent: size})
	from1, from2 := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	var unknown []*seat
	for x := new(seat); s.enter(x, from1); x = new(seat) {
		unknown = append(unknown, x)
	}
	if n := len(unknown); n != size*29/32+1 {
		t.Errorf("%d requests of one address are in progress before their sender is known", n)
	}
	if one := new(seat); !s.enter(one, from2) || !s.asTenant(one, meta.ID{1}) {
		t.Error("another address gets no seat beside them")
	} else {
		s.leave(one)
	}
	for _, x := range unknown {
		s.leave(x)
	}
	if s.taken != 0 || len(s.unknown) != 0 {
		t.Errorf("not all was given back: %+v", s)
	}
	// A stranger whose form was read is a stranger no more.
	s = newSeats(&Limits{Concurrent: size})
	var one seat
	if !s.enter(&one, from2) || !s.asStranger(&one, stranger{}) || len(s.unknown) != 0 || !s.asTenant(&one, meta.ID{1}) || !s.asTenant(&one, meta.ID{2}) {
		t.Fatal("no seat")
	}
	if one.strange || s.tenants[meta.ID{1}] != 1 || len(s.tenants) != 1 {
		t.Errorf("%+v of %v", one, s.tenants)
	}
	s.leave(&one)
	if len(fill(s, from(1)(s))) != size/2*3/4 || len(s.tenants) != 0 {
		t.Error("the stranger's seat was not given back")
	}
}

// Documents of a tenant, of another one and of strangers have separate places,
// by their bytes. Documents of unknown length count as the longest.
func TestLargeDocumentsHavePlaces(t *testing.T) {
	const most = 2 << 20
	reserve := func(s *Server, owner byte, remote string, kind BodyKind, length int64) error {
		r := httptest.NewRequest("POST", "/b?delete", nil)
		r.ContentLength, r.RemoteAddr = length, remote
		x := s.newExchange(httptest.NewRecorder(), r)
		x.req.Op = &Operation{Body: kind, MaxBody: most}
		x.req.Principal = access.Principal{Tenant: access.ID{owner}}
		return x.reserveDocument()
	}
	for _, length := range []int64{100 << 10, 1 << 20, most, -1, most + 1} {
		bytes := length
		if length < 0 || length > most {
			bytes = most
		}
		s := New(Config{})
		for _, c := range []struct {
			owner  byte
			remote string
			want   int64 // bytes
		}{
			{0, "192.0.2.1:1", maxStrangerDocuments * 3 / 4}, {0, "192.0.2.2:1", max(bytes, maxStrangerDocuments/16)},
			{1, "192.0.2.1:1", maxDocuments * 3 / 4}, {2, "192.0.2.1:1", maxDocuments / 16}, {3, "192.0.2.1:1", maxDocuments / 16},
		} {
			n := int64(0)
			var err error
			for ; err == nil && n <= maxDocuments/bytes; n++ {
				err = reserve(s, c.owner, c.remote, XMLBody, length)
			}
			if n--; !errors.Is(err, s3err.SlowDown) || n != c.want/bytes {
				t.Errorf("tenant %d at %s has %d places for documents of %d bytes, want %d: %v", c.owner, c.remote, n, length, c.want/bytes, err)
			}
		}
		for kind, length := range map[BodyKind]int64{XMLBody: smallDocument, DataBody: MaxObjectBytes, NoBody: 0} {
			if err := reserve(s, 1, "192.0.2.1:1", kind, length); err != nil {
				t.Errorf("kind %d of %d bytes: %v", kind, length, err)
			}
		}
	}
}

// However small the gateway is, forms that name an access key leave half of the
// seats.
func TestFormsLeaveHalf(t *testing.T) {
	for _, concurrent := range []int{16, 100, 1024} {
		s := New(Config{Limits: Limits{Concurrent: concurrent}})
		n := 0
		for key := range byte(64) {
			for s.forms.Take(meta.ID{key}) {
				n++
			}
		}
		if n > concurrent/2 || n < min(concurrent/2, maxForms) {
			t.Errorf("%d forms of %d requests", n, concurrent)
		}
	}
}
