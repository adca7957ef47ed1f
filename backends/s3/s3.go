// Package s3 keeps blobs as objects in a bucket of an S3-compatible service:
//
// BUCKET/PREFIX<id>            a blob
// BUCKET/PREFIX.check-<random> an object that Check writes, reads and deletes
// BUCKET/PREFIX.probe-<random> an object with which Open tests the provider's abilities
//
// Bodies are streamed with constant memory. Over TLS they are unsigned, with a
// CRC32C behind them. Over plain HTTP each chunk is signed; no unsigned body is
// ever sent over plain HTTP. A Dialect describes the differences between providers.
//
// The package never retries: its caller knows whether that is safe. It never
// creates a bucket, never looks inside a blob, never removes a blob unless told to,
// and writes no key, signature or foreign text into errors.
package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
)

// defaultRegion is the region that servers without regions expect.
const defaultRegion = "us-east-1"

// Backend is a backends.Backend in a bucket. Make one with Open.
type Backend struct {
	opts        Options
	endpoint    *url.URL
	secure      bool // over TLS
	region      string
	dialect     Dialect
	singleLimit int64

	core      *minio.Core
	bucket    *url.URL // the URL of requests about the bucket
	transport *http.Transport
	limited   http.RoundTripper                         // over transport; all requests pass it
	wrap      func(http.RoundTripper) http.RoundTripper // nil: none; tests use it to observe requests
	creds     *credentials.Credentials
	freeCreds func()
	gate      backends.Gate
}

var (
	_ backends.Backend = (*Backend)(nil)
	_ backends.Sweeper = (*Backend)(nil)
)

// Open connects to the bucket. It finds out region and dialect if they are not
// given, and fails if bucket, key, permissions or clock are wrong. Errors name the
// option to check.
func Open(ctx context.Context, o Options) (*Backend, error) { return open(ctx, o, nil) }

func open(ctx context.Context, o Options, wrap func(http.RoundTripper) http.RoundTripper) (*Backend, error) {
	b := &Backend{opts: o, wrap: wrap, gate: backends.Gate{ReadOnly: o.ReadOnly}}
	err := b.open(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("s3 backend: %w", err), b.Close())
	}
	return b, nil
}

func (b *Backend) open(ctx context.Context) (err error) {
	if err := b.opts.complete(); err != nil {
		return err
	}
	if b.endpoint, err = b.opts.endpoint(); err != nil {
		return err
	}
	b.secure = b.endpoint.Scheme == "https"
	if b.opts.Dialect == DialectAuto {
		b.dialect = dialectAt(b.endpoint.Hostname())
	} else {
		b.dialect = dialectNamed(b.opts.Dialect)
	}
	if b.transport, err = newHTTP(&b.opts); err != nil {
		return err
	}
	b.limited = b.bounded()
	b.creds, b.freeCreds = newCredentials(&b.opts)
	if err := haveKey(ctx, b.creds, b.opts.Credentials); err != nil {
		return err
	}
	if err := b.reach(ctx); err != nil {
		return fmt.Errorf("endpoint %s, bucket %q: %w", b.endpoint, b.opts.Bucket, err)
	}
	if b.opts.Dialect == DialectAuto && b.dialect.Probe && !b.opts.ReadOnly {
		if err := b.probe(ctx); err != nil {
			return fmt.Errorf("test the abilities of %s: %w", b.endpoint, err)
		}
	}
	if !b.secure && !b.dialect.Streaming && !b.opts.ReadOnly {
		return invalid("endpoint", "%q: the provider takes large bodies over https only", b.endpoint)
	}
	b.dialect.Trailers = b.dialect.Trailers && b.secure // without TLS, each chunk is signed instead
	b.singleLimit = b.dialect.SingleLimit
	if b.opts.SingleLimit > 0 {
		b.singleLimit = min(b.singleLimit, b.opts.SingleLimit)
	}
	return nil
}

// reach finds the region and proves that the bucket responds.
func (b *Backend) reach(ctx context.Context) error {
	region := b.opts.Region
	for _, found := range []func() string{
		func() string { return b.dialect.Region },
		func() string { return s3utils.GetRegionFromURL(*b.endpoint) },
		func() string { return b.announcedRegion(ctx) },
		func() string { return defaultRegion },
	} {
		if region == "" {
			region = found()
		}
	}
	right, err := b.try(ctx, region)
	if err != nil && right != "" && right != region {
		if b.opts.Region != "" {
			return fmt.Errorf("region %q: the bucket is in %q: %w", region, right, err)
		}
		_, err = b.try(ctx, right)
	}
	return err
}

// try lists with a client for the region. With an error it may return the region
// that the server demands.
func (b *Backend) try(ctx context.Context, region string) (right string, err error) {
	if err := b.connect(ctx, region); err != nil {
		return "", err
	}
	_, err = b.page(ctx, "", "", 1)
	var answer minio.ErrorResponse
	errors.As(err, &answer)
	return plainRegion(answer.Region), err
}

// connect creates the client.
func (b *Backend) connect(ctx context.Context, region string) (err error) {
	lookup := minio.BucketLookupPath
	if b.opts.Addressing == AddressingVirtual || (b.opts.Addressing == AddressingAuto && b.dialect.Virtual) {
		lookup = minio.BucketLookupDNS
	}
	b.region = region
	b.core, err = minio.NewCore(b.endpoint.Host, &minio.Options{
		Creds:        b.creds,
		Secure:       b.secure,
		Transport:    &guarded{b.limited, b.creds, region},
		Region:       region,
		BucketLookup: lookup,
		MaxRetries:   1, // no retries
	})
	if err != nil {
		return err
	}
	// minio-go knows AWS's hosts by region, and reveals them only this way.
	b.bucket, err = b.core.Presign(ctx, http.MethodGet, b.opts.Bucket, "", time.Minute, nil)
	return err
}

// announcedRegion returns the region that AWS and some others announce for any
// bucket to anonymous callers:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
func (b *Backend) announcedRegion(ctx context.Context) string {
	u := *b.endpoint
	u.Path = "/" + b.opts.Bucket
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, u.String(), nil)
	if err != nil {
		return ""
	}
	resp, err := b.limited.RoundTrip(req)
	if err != nil {
		return "" // the signed request that follows has the better error
	}
	resp.Body.Close()
	return plainRegion(resp.Header.Get("X-Amz-Bucket-Region"))
}

// regionName is the form of regions. A region from a server goes into signatures
// and messages.
var regionName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// plainRegion returns a region from a server, or "" if it is invalid.
func plainRegion(text string) string {
	if !regionName.MatchString(text) {
		return ""
	}
	return text
}

// Dialect returns the dialect that Open has chosen. With "auto" it may know more
// than the table.
func (b *Backend) Dialect() Dialect { return b.dialect }

// Region returns the signing region.
func (b *Backend) Region() string { return b.region }

// probeText is the text that Check writes and reads.
var probeText = []byte("sanctum gateway: can this bucket be written and read?\n")

// Check implements backends.Backend with three requests, or one listing if the
// backend is read-only.
func (b *Backend) Check(ctx context.Context) error {
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("check bucket %q at %s: %w", b.opts.Bucket, b.endpoint, err)
	}
	return nil
}

func (b *Backend) check(ctx context.Context) error {
	if err := b.gate.Usable(ctx); err != nil {
		return err
	}
	if b.opts.ReadOnly {
		_, err := b.page(ctx, "", "", 1)
		return err
	}
	key := b.opts.Prefix + ".check-" + rand.Text()
	if err := b.putBytes(ctx, key, probeText); err != nil {
		return err
	}
	got, err := b.readAll(ctx, key)
	if err := errors.Join(err, b.remove(ctx, key)); err != nil {
		return err
	}
	if !bytes.Equal(got, probeText) {
		return fmt.Errorf("%w: the probe did not read back as written", backends.ErrCorrupt)
	}
	return nil
}

// readAll reads a small object.
func (b *Backend) readAll(ctx context.Context, key string) ([]byte, error) {
	rctx, x := observed(outbound.Stream(ctx, smallBody))
	rc, _, _, err := b.core.GetObject(rctx, b.opts.Bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, b.failed(ctx, x, err)
	}
	data, err := io.ReadAll(rc)
	return data, b.failed(ctx, x, errors.Join(err, rc.Close()))
}

// remove deletes a small object of ours even if ctx has ended meanwhile.
func (b *Backend) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	return b.deleteOne(ctx, key)
}

// Close closes the connections.
func (b *Backend) Close() error {
	if !b.gate.Close() {
		return nil
	}
	if b.transport != nil {
		b.transport.CloseIdleConnections()
	}
	if b.freeCreds != nil {
		b.freeCreds()
	}
	return nil
}
