package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is enough for a handshake on a busy machine.
const patience = 2 * time.Second

// certificate returns one for 127.0.0.1 with the authority that signed it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
}

// behindTLS is a server that treats each connection as told.
func behindTLS(t *testing.T, speak func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var at sync.WaitGroup
	at.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			at.Go(func() { defer c.Close(); speak(c) })
		}
	})
	t.Cleanup(func() { l.Close(); at.Wait() })
	return "https://" + l.Addr().String()
}

// Each fault of TLS ends with an error, in time, and a part never passes for
// the whole.
func TestFaultsOfTLS(t *testing.T) {
	pair, pool := certificate(t)
	nobody := x509.NewCertPool()
	over := func(config *tls.Config, speak func(c *tls.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			s := tls.Server(c, config)
			if s.Handshake() == nil {
				speak(s)
			}
		}
	}
	good := &tls.Config{Certificates: []tls.Certificate{pair}}
	hear := func(c *tls.Conn) { c.Read(make([]byte, 4096)) }
	says := func(text string) func(*tls.Conn) {
		return func(c *tls.Conn) {
			hear(c)
			io.WriteString(c, text)
			c.NetConn().Close() // without the closing alert
		}
	}
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		speak func(net.Conn)
		roots *x509.CertPool
		want  asked
		err   string
	}{
		"silence": {func(c net.Conn) { time.Sleep(3 * patience) }, pool, small, "handshake timeout"},
		"a handshake in drops": {func(c net.Conn) {
			for _, b := range append([]byte{22, 3, 3, 0x40, 0}, make([]byte, 600)...) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, pool, small, "handshake timeout"},
		"an endless handshake": {func(c net.Conn) { endless(c, "", "\x16\x03\x03\x00\x04\x00\x00\x00\x00") }, pool, small, "tls"},
		"another protocol": {func(c net.Conn) { io.WriteString(c, ok+"Content-Length: 0\r\n\r\n"); time.Sleep(budget) },
			pool, small, "HTTP response to HTTPS client"},
		"hanging up":           {func(c net.Conn) {}, pool, small, ""}, // an end or a reset
		"an unknown authority": {over(good, hear), nobody, small, "certificate"},
		"an old version":       {over(&tls.Config{Certificates: good.Certificates, MaxVersion: tls.VersionTLS11}, hear), pool, small, "protocol version"},
		"renegotiation": {over(&tls.Config{Certificates: good.Certificates, MaxVersion: tls.VersionTLS12}, func(c *tls.Conn) {
			hear(c)
			c.NetConn().Write([]byte{22, 3, 3, 0, 4, 0, 0, 0, 0}) // asks for it without encryption
			time.Sleep(budget)
		}), pool, small, "tls"},
		"cut in the headers":            {over(good, says(ok+"X-A: ")), pool, small, "EOF"},
		"cut in an answer":              {over(good, says(ok+"Content-Length: 10\r\n\r\nabc")), pool, small, "EOF"},
		"cut in a stream":               {over(good, says(ok+"Content-Length: 10\r\n\r\nabc")), pool, streamed, "EOF"},
		"cut in a chunk":                {over(good, says(ok+"Transfer-Encoding: chunked\r\n\r\n9\r\nabc")), pool, streamed, "EOF"},
		"cut between chunks":            {over(good, says(ok+"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")), pool, streamed, "EOF"},
		"cut where only TLS had an end": {over(good, says(ok+"Connection: close\r\n\r\nabc")), pool, streamed, ErrNoLength.Error()},
		"silence after the handshake":   {over(good, func(c *tls.Conn) { hear(c); time.Sleep(3 * patience) }), pool, small, "timeout"},
		"silence in a stream": {over(good, func(c *tls.Conn) {
			hear(c)
			io.WriteString(c, ok+"Content-Length: 10\r\n\r\nabc")
			time.Sleep(3 * patience)
		}), pool, streamed, ErrSlow.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			transport := NewTransport(Sockets{Connect: patience, Header: patience, Idle: patience, Kept: 4, KeptFor: time.Minute, Roots: c.roots})
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: Bound(transport, Budget{Idle: patience, Answer: patience}), CheckRedirect: Stay}
			_, body, cost, err := get(t, client, behindTLS(t, c.speak), c.want)
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q, %v; want %q", body, err, c.err)
			}
			if cost > 4<<20 {
				t.Errorf("it allocates %d bytes", cost)
			}
		})
	}
}
