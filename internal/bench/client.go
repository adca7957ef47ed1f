//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	requestTimeout = 2 * time.Minute
	maxClients     = 64
	// maxDocument bounds an XML answer: a page of 1000 keys is a fraction of it.
	maxDocument = 8 << 20
	readBuffer  = 256 << 10
)

// client speaks S3 to one server with little work of its own, because it shares
// the machine with what it measures: it signs, counts bytes and looks at the
// status.
type client struct {
	base, access, secret string
	named                string // service that requests are signed for; empty: s3
	http                 *http.Client
}

// newClient talks to the server at base. config is for https and may be nil.
func newClient(base, access, secret string, config *tls.Config) *client {
	return &client{base: base, access: access, secret: secret, http: &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			MaxIdleConns: maxClients, MaxIdleConnsPerHost: maxClients,
			DisableCompression: true, TLSClientConfig: config, ExpectContinueTimeout: requestTimeout,
		},
	}}
}

func (c *client) service() string { return cmp.Or(c.named, "s3") }

// unsigned is the payload hash of a body that the signature does not cover.
var unsigned = sigv4.Unsigned.String()

// send sends a signed request and returns an answer with a good status, whose
// body the caller closes. header are names and values in turn.
func (c *client) send(ctx context.Context, method, target string, body io.Reader, size int64, hash string, header ...string) (*http.Response, error) {
	res, err := c.answer(ctx, method, target, body, size, hash, header...)
	if err == nil && res.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		res.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, target, res.Status, text)
	}
	return res, err
}

// answer is send for any status.
func (c *client) answer(ctx context.Context, method, target string, body io.Reader, size int64, hash string, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+target, body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = size
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if err := sigv4.Sign(r, c.access, c.secret, region, c.service(), hash, time.Now()); err != nil {
		return nil, err
	}
	return c.http.Do(r)
}

// exchange sends a request whose answer has no body worth reading.
func (c *client) exchange(ctx context.Context, method, target string) error {
	res, err := c.send(ctx, method, target, nil, 0, unsigned)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (c *client) createBucket(ctx context.Context, name string) error {
	return c.exchange(ctx, http.MethodPut, "/"+name)
}

func (c *client) remove(ctx context.Context, path string) error {
	return c.exchange(ctx, http.MethodDelete, path)
}

// put stores a payload. hash is unsigned or the payload's own.
func (c *client) put(ctx context.Context, path string, p *payload, hash string) error {
	body, err := p.open()
	if err != nil {
		return err
	}
	res, err := c.send(ctx, http.MethodPut, path, body, p.size, hash)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// head asks for an object and checks its length.
func (c *client) head(ctx context.Context, path string, size int64) error {
	res, err := c.send(ctx, http.MethodHead, path, nil, 0, unsigned)
	if err != nil {
		return err
	}
	if res.ContentLength != size {
		return fmt.Errorf("HEAD %s: %d bytes instead of %d", path, res.ContentLength, size)
	}
	return res.Body.Close()
}

var readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// get reads n bytes of an object from off and counts them.
func (c *client) get(ctx context.Context, path string, off, n int64, whole bool) error {
	buf := readBuffers.Get().(*[readBuffer]byte)
	defer readBuffers.Put(buf)
	body, err := c.openObject(ctx, path, off, n, whole)
	if err != nil {
		return err
	}
	defer body.Close()
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buf[:])
	if err == nil && got != n {
		err = fmt.Errorf("GET %s: %d bytes instead of %d", path, got, n)
	}
	return err
}

func (c *client) openObject(ctx context.Context, path string, off, n int64, whole bool) (io.ReadCloser, error) {
	var header []string
	if !whole {
		header = []string{"Range", "bytes=" + strconv.FormatInt(off, 10) + "-" + strconv.FormatInt(off+n-1, 10)}
	}
	res, err := c.send(ctx, http.MethodGet, path, nil, 0, unsigned, header...)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// verify reads an object and compares every byte.
func (c *client) verify(ctx context.Context, path string, p *payload) error {
	body, err := c.openObject(ctx, path, 0, p.size, true)
	if err != nil {
		return err
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err == nil && !bytes.Equal(got, p.data) {
		err = fmt.Errorf("GET %s: the bytes are not those that were put", path)
	}
	return err
}

// list returns the document of a listing.
func (c *client) list(ctx context.Context, target string) ([]byte, error) {
	res, err := c.send(ctx, http.MethodGet, target, nil, 0, unsigned)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(res.Body, maxDocument))
	if err == nil && len(doc) == maxDocument {
		err = fmt.Errorf("GET %s: the answer is too long", target)
	}
	return doc, err
}
