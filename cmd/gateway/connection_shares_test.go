package main

import (
	"net"
	"net/netip"
	"testing"
)

// One address takes no more than its part of the connections, whatever it opens;
// another, and one of a proxy, get theirs.
func TestConnectionsAreShared(t *testing.T) {
	const limit = 16
	plain, err := bind("s3", "127.0.0.1:0", limit)
	if err != nil {
		t.Fatal(err)
	}
	l := share(plain, limit, []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")})
	defer l.Close()
	accepted := make(chan net.Conn, 2*limit)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("a"))
			accepted <- conn
		}
	}()
	// open reports whether a connection from an address is kept.
	open := func(from byte) bool {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
		conn, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		n, _ := conn.Read(make([]byte, 1))
		return n == 1
	}
	count := func(from byte) (n int) {
		for n < limit && open(from) {
			n++
		}
		return n
	}
	if n := count(1); n != limit*3/4 {
		t.Errorf("one address has %d of %d connections", n, limit)
	}
	if n := count(2); n != 1 {
		t.Errorf("the next has %d", n)
	}
	if first, second := open(9), open(9); !first || !second {
		t.Error("a proxy has a share")
	}
	(<-accepted).Close() // of the first address, which stays beyond its part
	if open(1) || !open(3) {
		t.Error("a place that was given back is not for another address")
	}
}
