package iam

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// special are the first and last addresses of networks that are not on the
// internet, with the neighbouring addresses where those are public.
var special = []struct{ first, last, before, after string }{
	{"0.0.0.0", "0.255.255.255", "", "1.0.0.0"},
	{"10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
	{"100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
	{"127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
	{"168.63.129.16", "168.63.129.16", "168.63.129.15", "168.63.129.17"},
	{"169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
	{"172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
	{"192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
	{"192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
	{"192.31.196.0", "192.31.196.255", "192.31.195.255", "192.31.197.0"},
	{"192.52.193.0", "192.52.193.255", "192.52.192.255", "192.52.194.0"},
	{"192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"},
	{"192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
	{"192.175.48.0", "192.175.48.255", "192.175.47.255", "192.175.49.0"},
	{"198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
	{"198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
	{"203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
	{"224.0.0.0", "255.255.255.255", "223.255.255.255", ""},
	{"::", "::1", "", ""},
	{"::0.0.0.2", "::ffff:ffff", "", ""},                          // IPv4-compatible
	{"::ffff:10.0.0.1", "::ffff:169.254.169.254", "", ""},         // mapped
	{"::ffff:0:0.0.0.0", "::ffff:0:ffff:ffff", "", ""},            // translated, RFC 2765
	{"64:ff9b::", "64:ff9b::ffff:ffff", "", ""},                   // RFC 6052
	{"64:ff9b::8.8.8.8", "64:ff9b::169.254.169.254", "", ""},      //
	{"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "", ""}, // RFC 8215
	{"100::", "100::ffff:ffff:ffff:ffff", "", ""},                 // discard-only
	{"100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "", ""},      // dummy, RFC 9780
	{"1fff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "2000::"},
	{"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
	{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "", ""}, // Teredo, benchmarks
	{"2001:10::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
	{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
	{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"},
	{"2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "2620:4f:7fff::", "2620:4f:8001::"},
	{"3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffd::", ""},
	{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "", "3fff:1000::"},
	{"4000::", "5f00::1", "", ""},
	{"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
	{"fe80::1", "febf::1", "", ""},
	{"fe80::1%eth0", "fe80::1%25", "", ""},
	{"fec0::", "feff::1", "", ""}, // site-local
	{"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
}

func TestPublicAddresses(t *testing.T) {
	for _, s := range special {
		for _, a := range []string{s.first, s.last} {
			if isPublic(netip.MustParseAddr(a)) {
				t.Errorf("%s passes for public", a)
			}
			if a := netip.MustParseAddr(a); a.Is4() && isPublic(netip.AddrFrom16(a.As16())) {
				t.Errorf("%s passes for public when it is mapped", a)
			}
		}
		for _, a := range []string{s.before, s.after} {
			if a != "" && !isPublic(netip.MustParseAddr(a)) {
				t.Errorf("%s is refused", a)
			}
		}
	}
	for _, a := range []string{"8.8.8.8", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2600:1f18::1"} {
		if !isPublic(netip.MustParseAddr(a)) {
			t.Errorf("%s is refused", a)
		}
	}
	if isPublic(netip.Addr{}) || isPublic(netip.MustParseAddr("2606:4700::1%eth0")) {
		t.Error("no address, or one with a zone, passes for public")
	}
}

// TestNoSpecialAddressPasses generates addresses. None that the library
// considers private, local or multicast is public, in any form of IPv6 that
// contains it.
func TestNoSpecialAddressPasses(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 2))
	for range 200_000 {
		var b [16]byte
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		b[0] = []byte{0x20, 0x24, 0x26, 0x2a, 0xfc, 0xfe, 0xff, 0, b[0]}[rng.IntN(9)]
		v6, v4 := netip.AddrFrom16(b), netip.AddrFrom4([4]byte(b[12:]))
		for _, a := range []netip.Addr{v6, v4} {
			if isPublic(a) && (!a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast()) {
				t.Fatalf("%s passes for public (seed %d)", a, seed)
			}
		}
		for _, prefix := range []string{"64:ff9b::", "64:ff9b:1::", "::", "::ffff:0:0:0"} {
			held := netip.MustParseAddr(prefix).As16()
			copy(held[12:], b[12:])
			if a := netip.AddrFrom16(held); isPublic(a) {
				t.Fatalf("%s passes for public (seed %d)", a, seed)
			}
		}
	}
}

// counted counts the connections that a listener accepts.
type counted struct {
	net.Listener
	n atomic.Int64
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// TestDialledAddress: the address of the connection decides, whatever the name,
// and no connection is made.
func TestDialledAddress(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	accepted := &counted{Listener: s.Listener}
	s.Listener = accepted
	s.StartTLS()
	defer s.Close()
	_, port, _ := net.SplitHostPort(accepted.Addr().String())
	k := NewKeys(KeysOptions{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "127.1"} {
		_, err := k.fetch(context.Background(), "https://"+host+":"+port)
		if err == nil || accepted.n.Load() != 0 {
			t.Errorf("%s: %v, reached %d times", host, err, accepted.n.Load())
		}
		if strings.Contains(host, "0.0.1") && !strings.Contains(err.Error(), "not a public address") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestNoRedirects: redirects of a provider are not followed, neither for its
// discovery document nor for its keys.
func TestNoRedirects(t *testing.T) {
	asked := 0
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++ }))
	defer elsewhere.Close()
	var s *httptest.Server
	at := ""
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == at {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/keys")
	}))
	defer s.Close()
	for _, at = range []string{discoveryPath, "/keys"} {
		client := *s.Client()
		if _, err := NewKeys(KeysOptions{Client: &client}).fetch(context.Background(), s.URL); err == nil || asked != 0 {
			t.Errorf("redirected at %s: %v, and %d requests elsewhere", at, err, asked)
		}
	}
}
