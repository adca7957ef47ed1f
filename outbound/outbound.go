// Package outbound is HTTP to servers that are not trusted: the backends, and
// both sides of an import or export. Such a server may lose what it was given
// and say what is not so. It may not cost more than that, and the limits of what
// an answer may cost are here, below every client, so that no call can forget
// them:
//
//	headers   MaxHeader bytes, informational answers included; no cookie is kept
//	answers   read whole within a budget of time: MaxAnswer bytes, or MaxPage
//	          where Page asked for a list; MaxMarks elements, MaxDepth deep
//	streams   where Stream asked for one: as many bytes as were asked for, at
//	          MinPace or faster
//	success   an error document under a status of success is an error
//
// The package follows no redirect, decompresses nothing and repeats nothing. It
// imports nothing of ours.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// What an answer may cost.
const (
	// MaxHeader bounds the headers of an answer and of all informational answers
	// before it, in bytes.
	MaxHeader = 64 << 10
	// MaxAnswer bounds an answer that is neither a list nor a stream, in bytes.
	MaxAnswer = 64 << 10
	// MaxPage bounds a page of a list, in bytes: 1,000 keys of 1,024 bytes, each
	// escaped threefold, with what is said of each.
	MaxPage = 8 << 20
	// MaxMarks bounds the elements and attributes of an XML answer, and the
	// values of a JSON answer: a page has 1,000 entries of up to 30.
	MaxMarks = 64 << 10
	// MaxDepth bounds how deep they are nested.
	MaxDepth = 32
	// MinPace is the least that a stream yields in bytes a second, measured while
	// somebody waits for it.
	MinPace = 1 << 10
)

// Reasons why an answer was not taken.
var (
	// ErrExcessive: the answer is longer, larger or deeper than any true one.
	ErrExcessive = errors.New("the answer is beyond all bounds")
	// ErrSlow: the answer, or a stream's next bytes, did not come in time.
	ErrSlow = errors.New("the answer did not come in time")
	// ErrNoLength: the answer to a Stream does not say where it ends, so that a
	// broken connection would pass for the end.
	ErrNoLength = errors.New("the answer does not say where it ends")
	// ErrStatus: a status that is no answer to any request of ours.
	ErrStatus = errors.New("the answer has an impossible status")
)

// Sockets says how connections are made.
type Sockets struct {
	Connect time.Duration // bounds dialling, and the TLS handshake once more
	Header  time.Duration // bounds the wait for an answer's headers once a request is sent
	Idle    time.Duration // bounds each write
	// Kept is how many idle connections are kept, and KeptFor how long.
	Kept    int
	KeptFor time.Duration
	Roots   *x509.CertPool // nil: the system's
	Buffer  int            // of each direction of a connection, in bytes; 0: net/http's
}

// NewTransport makes connections of HTTP/1.1: streams of megabytes that share one
// connection of HTTP/2 share its flow control as well, and one that breaks would
// take all with it. The caller wraps it by Bound, and closes its idle
// connections.
func NewTransport(s Sockets) *http.Transport {
	dialer := &net.Dialer{Timeout: s.Connect}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, // never for loopback
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{c, s.Idle}, nil
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.Roots},
		TLSHandshakeTimeout:    s.Connect,
		ResponseHeaderTimeout:  s.Header,
		MaxResponseHeaderBytes: MaxHeader,
		MaxIdleConns:           s.Kept,
		MaxIdleConnsPerHost:    s.Kept,
		IdleConnTimeout:        s.KeptFor,
		ReadBufferSize:         s.Buffer,
		WriteBufferSize:        s.Buffer,
		DisableCompression:     true, // bytes are what they are
		Protocols:              &protocols,
	}
}

// conn gives up a write that stands still: net/http bounds the wait for an
// answer, not the sending of a body to a server that has stopped reading.
type conn struct {
	net.Conn
	idle time.Duration
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Stay is for http.Client.CheckRedirect: it hands out a redirect as the answer
// it is. A redirect would carry a request that is signed for another place.
func Stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
