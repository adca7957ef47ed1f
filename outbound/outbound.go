// Package outbound is HTTP to untrusted servers: the backends, and both sides
// of an import or export. Such a server may lose data and lie, but it must not
// cost more than that. The limits of an answer's cost are here, below every
// client, so that no call can forget them:
//
//	headers   MaxHeader bytes, including informational answers; no cookie is kept
//	answers   read whole within a time budget: MaxAnswer bytes, or MaxPage
//	          where Page asked for a list; MaxValues elements, MaxDepth deep
//	streams   where Stream asked for one: as many bytes as were asked for, at
//	          MinPace or faster
//	success   an error document with a status of success is an error
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

// Bounds of an answer's cost.
const (
	// MaxHeader bounds the headers of an answer and of all informational
	// answers before it, in bytes.
	MaxHeader = 64 << 10
	// MaxAnswer bounds an answer that is neither a list nor a stream, in bytes.
	MaxAnswer = 64 << 10
	// MaxPage bounds a page of a list, in bytes: 1,000 keys of 1,024 bytes,
	// each escaped threefold, with their attributes.
	MaxPage = 8 << 20
	// MaxValues bounds the elements and attributes of an XML answer, and the
	// values of a JSON answer. A page has 1,000 entries of up to 30.
	MaxValues = 64 << 10
	// MaxDepth bounds their nesting.
	MaxDepth = 32
	// MinPace is the least speed of a stream in bytes per second, measured
	// while somebody waits for it.
	MinPace = 1 << 10
)

// Reasons to reject an answer.
var (
	// ErrExcessive: the answer is longer, larger or deeper than any correct
	// one.
	ErrExcessive = errors.New("the answer exceeds the bounds of a valid answer")
	// ErrSlow: the answer, or a stream's next bytes, did not arrive in time.
	ErrSlow = errors.New("the answer did not arrive in time")
	// ErrNoLength: the answer to a Stream does not announce its end, so that a
	// broken connection would look like the end.
	ErrNoLength = errors.New("the answer does not announce its end")
	// ErrStatus: a status that cannot answer any request.
	ErrStatus = errors.New("the answer has an impossible status")
)

// Sockets configure connections.
type Sockets struct {
	Connect time.Duration // bounds dialling, and the TLS handshake separately
	Header  time.Duration // bounds the wait for an answer's headers once a request is sent
	Idle    time.Duration // bounds each write
	// Kept is the number of idle connections that are kept, and KeptFor their
	// age.
	Kept    int
	KeptFor time.Duration
	Roots   *x509.CertPool // nil: the system's
	Buffer  int            // per direction of a connection, in bytes; 0: net/http's
}

// NewTransport makes connections of HTTP/1.1. Streams of megabytes on one
// connection of HTTP/2 would share its flow control, and a broken connection
// would end all of them. The caller wraps the transport by Bound, and closes
// its idle connections.
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
		DisableCompression:     true, // the bytes must arrive unchanged
		Protocols:              &protocols,
	}
}

// conn gives up a write that makes no progress. net/http bounds the wait for an
// answer, but not the sending of a body to a server that has stopped reading.
type conn struct {
	net.Conn
	idle time.Duration
}

// Write renews the deadline for each piece.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Stay is for http.Client.CheckRedirect. It returns a redirect as the answer,
// because following it would send a request that is signed for another place.
func Stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
