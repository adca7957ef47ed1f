package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
)

const (
	// idleConns is how many connections are kept open for the next request:
	// with fewer, many small concurrent requests would open new ones all the time.
	idleConns = 256
	// idleConnTime is below the 20 s or more after which servers and load
	// balancers drop a silent connection; a request that meets the drop fails.
	idleConnTime = 15 * time.Second
	// connBuffer is the buffer of net/http per direction and connection.
	connBuffer = 64 << 10
)

// emptySHA256 is the payload hash of an empty body.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// newHTTP makes the connections of one backend.
func newHTTP(o *Options) (*http.Transport, error) {
	roots, err := authorities(o.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{c, o.IdleTimeout}, nil
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:   o.ConnectTimeout,
		ResponseHeaderTimeout: o.HeaderTimeout,
		MaxIdleConns:          idleConns,
		MaxIdleConnsPerHost:   idleConns,
		IdleConnTimeout:       idleConnTime,
		ReadBufferSize:        connBuffer,
		WriteBufferSize:       connBuffer,
		DisableCompression:    true, // blobs are what they are
	}, nil
}

// authorities are the system's and those of a file; nil stands for the
// system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, invalid("ca file", "%v", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, invalid("ca file", "%s holds no certificate", file)
	}
	return pool, nil
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

// exchange is what is worth knowing of a request's answer beside what minio-go
// hands out. It belongs to one call, and holds its last answer.
type exchange struct {
	status int
	header http.Header
}

type exchangeKey struct{}

// observed returns a context whose requests note their answers.
func observed(ctx context.Context) (context.Context, *exchange) {
	x := &exchange{}
	return context.WithValue(ctx, exchangeKey{}, x), x
}

// guarded is the last step before the wire: over plain HTTP nothing leaves that
// is not signed with its payload, and nothing leaves unsigned at all.
type guarded struct {
	next   http.RoundTripper
	creds  *credentials.Credentials
	region string
	idle   time.Duration
}

var errUnsigned = errors.New("refused to send an unsigned request")

// RoundTrip implements http.RoundTripper.
func (g *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") == "" {
		return nil, errUnsigned
	}
	if req.URL.Scheme == "http" && strings.Contains(req.Header.Get("X-Amz-Content-Sha256"), "UNSIGNED") {
		var err error
		if req, err = g.signEmpty(req); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	resp, err := g.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Body = &watched{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, idle: g.idle}
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.status, x.header = resp.StatusCode, resp.Header
	}
	return resp, nil
}

// watched gives up an answer whose body stands still. That goes for all
// answers, for minio-go reads errors and what it cannot use to their ends.
type watched struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	idle   time.Duration
	timer  *time.Timer // runs while a Read does; nil before the first
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	if w.timer == nil {
		w.timer = time.AfterFunc(w.idle, func() { w.cancel(errIdle) })
	} else {
		w.timer.Reset(w.idle)
	}
	n, err := w.ReadCloser.Read(p)
	w.timer.Stop()
	if err != nil && err != io.EOF && w.ctx.Err() != nil {
		err = context.Cause(w.ctx)
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	err := w.ReadCloser.Close()
	w.cancel(nil)
	return err
}

// signEmpty signs again what minio-go leaves unsigned over plain HTTP: the
// requests that begin and abort an upload, which have no body.
func (g *guarded) signEmpty(req *http.Request) (*http.Request, error) {
	if req.Body != nil && req.Body != http.NoBody {
		return nil, errUnsigned
	}
	value, err := g.creds.GetWithContext(&credentials.CredContext{Context: req.Context()})
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("X-Amz-Content-Sha256", emptySHA256)
	return signer.SignV4(*req, value.AccessKeyID, value.SecretAccessKey, value.SessionToken, g.region), nil
}
