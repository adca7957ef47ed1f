package main

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		addr      string
		encrypted bool
		domains   []string
		want      string
	}{
		{"127.0.0.1:9000", false, nil, "http://127.0.0.1:9000"},
		{"0.0.0.0:9000", false, nil, "http://127.0.0.1:9000"},
		{"[::]:80", false, nil, "http://127.0.0.1"},
		{"[::1]:443", true, nil, "https://[::1]"},
		{"[::1]:9000", false, nil, "http://[::1]:9000"},
		{"0.0.0.0:443", true, []string{"s3.example.com", "other"}, "https://s3.example.com"},
		{"10.0.0.1:80", true, nil, "https://10.0.0.1:80"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := endpoint(fakeListener{addr}, c.encrypted, c.domains); got != c.want {
			t.Errorf("%s: %s, want %s", c.addr, got, c.want)
		}
	}
}

// fakeListener has only an address.
type fakeListener struct{ addr net.Addr }

func (l fakeListener) Addr() net.Addr            { return l.addr }
func (l fakeListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (l fakeListener) Close() error              { return nil }

// startServer serves h with small limits.
func startServer(t *testing.T, h http.Handler, limit int, conf *tls.Config) string {
	t.Helper()
	return startServerWith(t, h, limit, conf, true)
}

func startServerWith(t *testing.T, h http.Handler, limit int, conf *tls.Config, http2 bool) string {
	t.Helper()
	bound, err := bind("s3", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := share(bound, limit, nil)
	c := &configuration{Settings: Settings{LimitsReadHeaderTimeout: 200 * time.Millisecond, LimitsIdleTimeout: time.Minute}}
	s := newServer(c, h, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- serve(s, l, conf, http2) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

func TestServerLimits(t *testing.T) {
	var seen []string
	addr := startServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, r.Method+" "+r.RequestURI) }), 16, nil)
	talk := func(request string) string {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, request) // the server may close the connection meanwhile
		answer, _ := io.ReadAll(conn)
		return string(answer)
	}
	// No path is cleaned or redirected, and OPTIONS * reaches the handler.
	for _, target := range []string{"GET /a/../b//c", "GET //", "OPTIONS *"} {
		if got := talk(target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Errorf("%s: %q", target, got)
		}
		if !slices.Contains(seen, target) {
			t.Errorf("%s did not arrive: %q", target, seen)
		}
	}
	if got := talk("GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 2*maxHeaderBytes) + "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("a large header: %q", got)
	}
	if got := talk("GET / HTTP/1.1\r\nHost: h\r\n"); strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("a header that does not end: %q", got)
	}
	if got := talk("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); strings.Contains(got, "\x00\x00") {
		t.Errorf("HTTP/2 without TLS: %q", got)
	}
}

func TestConnectionLimit(t *testing.T) {
	addr := startServer(t, http.NotFoundHandler(), 1, nil)
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(first, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", addr) // waits in the system's queue
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	io.WriteString(second, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	answer := make(chan error, 1)
	go func() { _, err := io.ReadAll(second); answer <- err }()
	select {
	case err := <-answer:
		t.Fatalf("the second connection was served beside the first (%v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	first.Close()
	if err := <-answer; err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
}

// Connections without a request keep nobody from the operator's listeners.
func TestOperatorListenersStayReachable(t *testing.T) {
	c := &configuration{Settings: Settings{
		S3Address: "127.0.0.1:0", AdminAddress: "127.0.0.1:0", MetricsAddress: "127.0.0.1:0", LimitsConnections: minConnections,
		LimitsReadHeaderTimeout: time.Minute, LimitsIdleTimeout: time.Minute,
	}}
	all, err := bindListeners(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(all.close)
	for name, l := range map[string]net.Listener{"admin": all.admin, "metrics": all.metrics} {
		s := newServer(c, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		for range operatorConnections + 1 {
			conn, err := from.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
		}
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTLSVersionsAndProtocols(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	writeCertificate(t, "one", cert, key)
	files, err := newCertificates(&configuration{Settings: Settings{TLSCertFile: cert, TLSKeyFile: key}})
	if err != nil {
		t.Fatal(err)
	}
	both := startServer(t, http.NotFoundHandler(), 16, files.config())
	one := startServerWith(t, http.NotFoundHandler(), 16, files.config(), false)
	for _, c := range []struct {
		addr  string
		max   uint16
		next  []string
		proto string
		ok    bool
	}{
		{both, tls.VersionTLS13, []string{"h2", "http/1.1"}, "h2", true},
		{one, tls.VersionTLS13, []string{"h2", "http/1.1"}, "http/1.1", true},
		{both, tls.VersionTLS12, []string{"http/1.1"}, "http/1.1", true},
		{both, tls.VersionTLS11, []string{"http/1.1"}, "", false},
	} {
		conn, err := tls.Dial("tcp", c.addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: c.max, NextProtos: c.next})
		if (err == nil) != c.ok {
			t.Errorf("version %x: %v", c.max, err)
		}
		if err != nil {
			continue
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != c.proto {
			t.Errorf("version %x: protocol %q, want %q", c.max, got, c.proto)
		}
		conn.Close()
	}
}

// TestACME: certificates are requested for the configured domains only, by
// tls-alpn-01, and are stored in the data folder.
func TestACME(t *testing.T) {
	dir := t.TempDir()
	c, err := newCertificates(&configuration{Settings: Settings{
		Data: dir, TLSACMEDomains: []string{"s3.example.com"}, TLSACMEDirectory: "https://127.0.0.1:1/directory",
	}})
	if err != nil {
		t.Fatal(err)
	}
	conf := c.config()
	if conf.MinVersion != tls.VersionTLS12 || !slices.Contains(conf.NextProtos, "acme-tls/1") || !slices.Contains(conf.NextProtos, "h2") {
		t.Errorf("configuration: version %x, protocols %q", conf.MinVersion, conf.NextProtos)
	}
	if err := c.acme.HostPolicy(t.Context(), "s3.example.com"); err != nil {
		t.Errorf("the configured domain: %v", err)
	}
	if err := c.acme.HostPolicy(t.Context(), "bucket.s3.example.com"); err == nil {
		t.Error("a domain that was not configured is accepted")
	}
	if err := c.acme.Cache.Put(t.Context(), "key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	if found, err := exists(filepath.Join(dir, acmeFolder, "key")); !found {
		t.Errorf("the cache is not in the data folder: %v", err)
	}
	if _, err := conf.GetCertificate(&tls.ClientHelloInfo{ServerName: "other.example.com"}); err == nil {
		t.Error("a certificate for another domain")
	}
}
