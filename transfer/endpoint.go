package transfer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Limits of requests and answers.
const (
	connectTimeout  = 20 * time.Second
	idleTimeout     = 90 * time.Second
	continueTimeout = 2 * time.Second
	// headerTimeout bounds the wait for an answer after a request is sent, and
	// answerTimeout the whole of an answer without an object. Some servers send
	// blanks until a large upload is completed.
	headerTimeout = 2 * time.Minute
	answerTimeout = 5 * time.Minute
	// continueFrom is the size of a body from which the server is asked for
	// permission first, so that a refusal does not cost the transfer.
	continueFrom = 1 << 20
)

// Credential signs requests. SessionToken is empty for lasting credentials.
type Credential struct{ AccessKey, SecretKey, SessionToken string }

// Endpoint is an S3 server and the way to talk to it.
type Endpoint struct {
	URL         string // http or https, host and port, no path
	Region      string
	VirtualHost bool // the bucket is part of the host name instead of the path
	// Credentials is called for each request, from several goroutines. It
	// caches and renews the credential.
	Credentials func(context.Context) (Credential, error)
	// Transport must not decompress bodies; NewTransport returns one. Its
	// answers are bounded by package outbound. The caller closes its idle
	// connections.
	Transport http.RoundTripper
	// Checksums tells that the server accepts x-amz-checksum-*, also as
	// trailers.
	Checksums bool
	// OpaqueETags tells that the server's entity tags are no MD5, even if they
	// look like one.
	OpaqueETags bool
	Now         func() time.Time // time for signatures; nil: time.Now
}

// NewTransport returns a transport for an Endpoint with that many requests at
// once. A nil config trusts the system's authorities.
func NewTransport(requests int, config *tls.Config) *http.Transport {
	t := outbound.NewTransport(outbound.Sockets{
		Connect: connectTimeout, Header: headerTimeout, Idle: stallTimeout,
		Kept: requests, KeptFor: idleTimeout,
	})
	t.ExpectContinueTimeout = continueTimeout
	if config != nil {
		t.TLSClientConfig = config
	}
	return t
}

// client sends requests to one endpoint. It is safe for concurrent use.
type client struct {
	Endpoint
	role  string // "source" or "target", for messages
	base  *url.URL
	http  *http.Client
	pause time.Duration // the first pause between two attempts
}

// newClient checks the endpoint. role is the name of the side in messages.
func newClient(role string, e Endpoint) (*client, error) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", role, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		return nil, fmt.Errorf("%s: %q is not the URL of a server: want http or https and a host", role, e.URL)
	case e.Credentials == nil || e.Transport == nil || e.Region == "":
		return nil, fmt.Errorf("%s: credentials, transport and region are required", role)
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	return &client{Endpoint: e, role: role, base: u, pause: firstPause, http: &http.Client{
		Transport:     outbound.Bound(e.Transport, outbound.Budget{Idle: stallTimeout, Answer: answerTimeout}),
		CheckRedirect: outbound.Stay,
	}}, nil
}

// call is one request. At most one of document and body is set.
type call struct {
	method, bucket, key string
	query               url.Values
	header              http.Header
	document            []byte
	body                io.Reader
	size                int64 // of body; if 0, body is not read
	// algorithm is that of the checksum in the trailer; empty: none. sum is
	// called for its value at the end of body.
	algorithm string
	sum       func() string
}

// do sends a call. Every status other than 2xx is an *answerError. The caller
// closes the body of the answer.
func (c *client) do(ctx context.Context, in call) (*http.Response, error) {
	if in.body != nil {
		g := &gate{r: in.body}
		in.body = g
		defer g.shut()
	}
	r, err := c.request(ctx, in)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		// The text of a *url.Error repeats the URL with the key in it.
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		err = fmt.Errorf("%s: %s: %w", c.role, in.method, err)
		// A server that answers too much would do so again.
		if errors.Is(err, outbound.ErrExcessive) || errors.Is(err, outbound.ErrStatus) {
			err = final{err}
		}
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body) // it is in memory already
		return nil, c.refusal(resp, text)
	}
	return resp, nil
}

// document is do for an answer that is read into memory.
func (c *client) document(ctx context.Context, in call) ([]byte, http.Header, error) {
	resp, err := c.do(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return text, resp.Header, err
}

// request builds and signs a request.
func (c *client) request(ctx context.Context, in call) (*http.Request, error) {
	who, err := c.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: credentials: %w", c.role, err)
	}
	var body io.Reader
	if in.document != nil {
		body = bytes.NewReader(in.document)
	}
	r, err := http.NewRequestWithContext(ctx, in.method, c.base.String(), body)
	if err != nil {
		return nil, err
	}
	r.URL = c.target(in)
	r.Host = r.URL.Host
	for name, values := range in.header {
		r.Header[name] = values
	}
	if who.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", who.SessionToken)
	}
	switch {
	case in.body == nil:
		err = sigv4.Sign(r, who.AccessKey, who.SecretKey, c.Region, "s3", sigv4.PayloadHash(in.document), c.Now())
	case in.size == 0:
		// Some servers fail on a chunked encoding without a chunk.
		if in.algorithm != "" {
			r.Header.Set(checksumHeader(in.algorithm), in.sum())
		}
		err = sigv4.Sign(r, who.AccessKey, who.SecretKey, c.Region, "s3", sigv4.PayloadHash(nil), c.Now())
	default:
		err = c.signBody(r, who, in)
	}
	return r, err
}

// signBody signs a request whose body is not known yet. Over TLS the body needs
// no signature. Over plain HTTP each chunk has its own.
func (c *client) signBody(r *http.Request, who Credential, in call) error {
	if in.size >= continueFrom {
		r.Header.Set("Expect", "100-continue")
	}
	secure := c.base.Scheme == "https"
	if secure && in.algorithm == "" {
		r.Body, r.ContentLength = io.NopCloser(in.body), in.size
		return sigv4.Sign(r, who.AccessKey, who.SecretKey, c.Region, "s3", sigv4.Unsigned.String(), c.Now())
	}
	chunked := sigv4.Chunked{Mode: sigv4.StreamingSigned, Body: in.body, Length: in.size,
		ChunkSize: int(max(sigv4.MinChunkSize, min(in.size, sigv4.DefaultChunkSize)))}
	if in.algorithm != "" {
		chunked.Mode = sigv4.StreamingSignedTrailer
		if secure {
			chunked.Mode = sigv4.StreamingUnsignedTrailer
		}
		name := http.CanonicalHeaderKey(checksumHeader(in.algorithm))
		// SignChunked reads the value at the end of the body, and its length now.
		trailer := http.Header{name: {encodedZero(in.algorithm)}}
		chunked.Trailer = trailer
		chunked.Body = &atEnd{r: in.body, left: in.size, do: func() { trailer[name][0] = in.sum() }}
	}
	return sigv4.SignChunked(r, who.AccessKey, who.SecretKey, c.Region, "s3", chunked, c.Now())
}

// target is the URL of a call. It escapes the key byte for byte, so that no
// segment of it is taken for . or .. and no slash gets lost.
func (c *client) target(in call) *url.URL {
	u := *c.base
	u.Path, u.RawPath = "/", "/"
	if in.bucket != "" && c.VirtualHost {
		u.Host = in.bucket + "." + u.Host
	} else if in.bucket != "" {
		u.Path, u.RawPath = "/"+in.bucket, "/"+escapeKey(in.bucket)
		if in.key != "" {
			u.Path, u.RawPath = u.Path+"/", u.RawPath+"/"
		}
	}
	u.Path, u.RawPath = u.Path+in.key, u.RawPath+escapeKey(in.key)
	// Signatures use %20 for a blank, not +.
	u.RawQuery = strings.ReplaceAll(in.query.Encode(), "+", "%20")
	return &u
}

// escapeKey escapes all bytes but slashes and those that SigV4 does not escape.
func escapeKey(key string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// atEnd calls do after the last of left bytes was read.
type atEnd struct {
	r    io.Reader
	left int64
	do   func()
}

// Read implements io.Reader.
func (a *atEnd) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if a.left > 0 && int64(n) >= a.left {
		a.do()
	}
	a.left -= int64(n)
	return n, err
}

// gate is a body that can be closed to its reader. After an early or missing
// answer the transport may still read it, while the next attempt uses the
// source already.
type gate struct {
	mu   sync.Mutex
	r    io.Reader
	gone bool
}

// Read implements io.Reader. After shut it fails.
func (g *gate) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return 0, io.ErrClosedPipe
	}
	return g.r.Read(p)
}

// shut ends all reads. It waits for one in progress.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
}
