package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// One address gets no more than its share of the connections, however many it
// opens. Another address gets its own share, and a connection of a proxy needs
// none.
func TestConnectionsAreShared(t *testing.T) {
	const limit = 16
	plain, err := bind("s3", "127.0.0.1:0")
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
	// open reports whether the listener keeps a connection from an address.
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
	(<-accepted).Close() // of the first address, which still has more than its share
	if open(1) || !open(3) {
		t.Error("a place that was given back is not for another address")
	}
}

// idleCrowd is a server whose connections are all taken by five addresses
// without a request: they are connected and silent, have sent half a header, or
// are kept open after an answer.
type idleCrowd struct {
	*httptest.Server
	t       *testing.T
	release chan struct{} // ends the requests for /slow
}

func newIdleCrowd(t *testing.T, limit int, encrypted bool) *idleCrowd {
	t.Helper()
	plain, err := bind("s3", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &idleCrowd{t: t, release: make(chan struct{})}
	c.Server = &httptest.Server{Listener: share(plain, limit, nil), Config: &http.Server{
		Handler: occupied(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				io.WriteString(w, "begun")
				w.(http.Flusher).Flush()
				<-c.release
			}
		})),
		ConnContext: remember,
	}}
	if encrypted {
		c.EnableHTTP2 = true
		c.StartTLS()
	} else {
		c.Start()
	}
	t.Cleanup(c.Close)
	return c
}

// connect opens a connection from an address and sends text.
func (c *idleCrowd) connect(from byte, text string) net.Conn {
	c.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
	conn, err := d.Dial("tcp", c.Listener.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, text)
	return conn
}

// Connections without a request do not keep out a new one, whatever they wait
// for. A connection with a request is not closed for another.
func TestIdleConnectionsMakeWay(t *testing.T) {
	const limit = 32
	for name, text := range map[string]string{
		"silent": "", "half a header": "GET / HTTP/1.1\r\nHost: h\r\nX-", "kept": "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		c := newIdleCrowd(t, limit, false)
		busy := c.connect(99, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
		answer := bufio.NewReader(busy)
		if line, err := answer.ReadString('\n'); !strings.Contains(line, " 200 ") {
			t.Fatalf("%q, %v", line, err)
		}
		for from := byte(1); from <= 5; from++ {
			for range limit {
				c.connect(from, text)
			}
		}
		time.Sleep(idleGrace + idleGrace/5)
		for from := byte(50); from < 50+limit/2; from++ {
			conn := c.connect(from, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(line, " 200 ") {
				t.Errorf("%s: a newcomer is answered %q, %v", name, line, err)
			}
		}
		close(c.release)
		if _, err := io.ReadAll(io.LimitReader(answer, 60)); err != nil {
			t.Errorf("%s: a request under way was cut: %v", name, err)
		}
		l := c.Listener.(*shared)
		c.CloseClientConnections()
		c.Close()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			l.mu.Lock()
			left := l.taken + len(l.hosts)
			l.mu.Unlock()
			if left == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %d places were not given back", name, left)
			}
		}
	}
}

// Requests over HTTP/2 protect their connection as well.
func TestStreamsOccupyConnections(t *testing.T) {
	c := newIdleCrowd(t, 16, true)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.URL+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("%+v, %v", resp, err)
	}
	defer resp.Body.Close()
	for from := byte(1); from <= 5; from++ {
		for range 16 {
			c.connect(from, "")
		}
	}
	time.Sleep(idleGrace + idleGrace/5)
	for from := byte(50); from < 80; from++ {
		c.connect(from, "")
	}
	close(c.release)
	if body, err := io.ReadAll(resp.Body); string(body) != "begun" || err != nil {
		t.Errorf("a stream under way: %q, %v", body, err)
	}
	client.CloseIdleConnections()
}
