package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/sanctum-storage/gateway/outbound"
)

const (
	// idleConns is the number of idle connections that are kept: with fewer, many
	// small concurrent requests would open new ones all the time.
	idleConns = 256
	// idleConnTime is below the 20 s or more after which servers and load balancers
	// drop an idle connection; a request on a dropped connection fails.
	idleConnTime = 15 * time.Second
	// connBuffer is the buffer of net/http per direction and connection.
	connBuffer = 64 << 10
)

// emptySHA256 is the payload hash of an empty body.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// newHTTP creates the transport of one backend.
func newHTTP(o *Options) (*http.Transport, error) {
	roots, err := outbound.Authorities(o.CAFile)
	if err != nil {
		return nil, invalid("ca file", "%v", err)
	}
	return outbound.NewTransport(outbound.Sockets{
		Connect: o.ConnectTimeout, Header: o.HeaderTimeout, Idle: o.IdleTimeout,
		Kept: idleConns, KeptFor: idleConnTime, Roots: roots, Buffer: connBuffer,
	}), nil
}

// bounded returns the round tripper of all requests.
func (b *Backend) bounded() http.RoundTripper {
	var next http.RoundTripper = b.transport
	if b.wrap != nil {
		next = b.wrap(next)
	}
	return outbound.Bound(next, outbound.Budget{Idle: b.opts.IdleTimeout, Answer: b.opts.AnswerTimeout})
}

// exchange holds the parts of a response that minio-go does not return. It belongs
// to one call, and holds its last response.
type exchange struct {
	status int
	header http.Header
	// absent: a 404 has S3's error document for a missing object.
	absent bool
}

type exchangeKey struct{}

// observed returns a context whose requests record their responses.
func observed(ctx context.Context) (context.Context, *exchange) {
	x := &exchange{}
	return context.WithValue(ctx, exchangeKey{}, x), x
}

// guarded is the last check before the limits of responses and the network: nothing
// is sent unsigned, and over plain HTTP nothing is sent without a signature of its
// payload.
type guarded struct {
	next   http.RoundTripper
	creds  *credentials.Credentials
	region string
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
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if x, ok := req.Context().Value(exchangeKey{}).(*exchange); ok {
		x.status, x.header = resp.StatusCode, resp.Header
		if x.absent = false; resp.StatusCode == http.StatusNotFound {
			if x.absent, err = saysAbsent(resp); err != nil {
				return nil, err
			}
		}
	}
	return resp, nil
}

// saysAbsent reports whether a response, which outbound has read completely, has an
// error document for a missing object. A page of a proxy, or of a server that is
// not S3, is no proof.
func saysAbsent(resp *http.Response) (bool, error) {
	document, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(document))
	var said struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
	}
	return xml.Unmarshal(document, &said) == nil && slices.Contains(absentCodes, said.Code), nil
}

// signEmpty signs requests that minio-go leaves unsigned over plain HTTP: those
// that begin and abort an upload, which have no body.
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
