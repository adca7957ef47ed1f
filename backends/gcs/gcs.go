// Package gcs keeps blobs as objects of a Google Cloud Storage bucket, through
// the JSON API (https://cloud.google.com/storage/docs/json_api/v1) over plain
// net/http.
//
// A blob is the object Prefix+id, uploaded in one request of any size with
// ifGenerationMatch=0, so that it never replaces another, and with CRC32C
// checked on both sides. The request's closing boundary is withheld until the
// body's reader has said io.EOF: an upload that is given up never becomes an
// object. Put, Get and Stat are one request each.
//
// The package never retries (see backends/guard), never looks inside a blob,
// never follows a redirect with its token, and never puts a token in an error.
// It cannot undo what a bucket is set to: object versioning, soft delete and
// retention keep the bytes of deleted blobs, and are for the operator to turn
// off where deletion must be final.
//
// The other way to GCS is its XML API with HMAC keys, which speaks S3: that is
// the s3 adapter's.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
)

// ErrNoBucket: the bucket does not exist, or not for this credential.
var ErrNoBucket = errors.New("bucket does not exist")

// Backend is a backends.Backend in a bucket. Make one with Open.
type Backend struct {
	opts      Options
	transport *http.Transport
	client    *http.Client // over transport, within the limits of answers
	tokens    *tokens      // nil: anonymous
	closed    atomic.Bool
}

var _ backends.Backend = (*Backend)(nil)

// Open checks the options, takes the credential and lists one object: a bucket
// that is not there (ErrNoBucket), a credential that is refused
// (backends.ErrDenied) and an endpoint out of reach (backends.ErrUnavailable)
// show here, by the name of the option that is likely wrong. ctx bounds Open
// only.
func Open(ctx context.Context, o Options) (*Backend, error) {
	b, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open GCS backend: %w", err)
	}
	return b, nil
}

func open(ctx context.Context, o Options) (*Backend, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	transport, err := o.sockets()
	if err != nil {
		return nil, err
	}
	bounded := outbound.Bound(transport, outbound.Budget{Idle: o.IdleTimeout, Answer: o.AnswerTimeout})
	b := &Backend{opts: o, transport: transport, client: &http.Client{Transport: bounded, CheckRedirect: outbound.Stay}}
	if !o.Anonymous {
		if b.tokens, err = newTokens(o, bounded); err != nil {
			b.Close()
			return nil, err
		}
	}
	if _, err := b.page(ctx, url.Values{"maxResults": {"1"}}); err != nil {
		b.Close()
		return nil, fmt.Errorf("option %s: %w", o.suspect(err), err)
	}
	return b, nil
}

// Close ends idle connections and a token request under way.
func (b *Backend) Close() error {
	b.closed.Store(true)
	if b.tokens != nil {
		b.tokens.close()
	}
	b.transport.CloseIdleConnections()
	return nil
}

// usable reports why a call may not begin.
func (b *Backend) usable(ctx context.Context) error {
	if b.closed.Load() {
		return backends.ErrClosed
	}
	return ended(ctx)
}

// writable reports why a write may not begin.
func (b *Backend) writable(ctx context.Context) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	if b.opts.ReadOnly {
		return backends.ErrReadOnly
	}
	return nil
}

// objects is the URL of the bucket's objects.
func (b *Backend) objects() string {
	return b.opts.Endpoint + "/storage/v1/b/" + url.PathEscape(b.opts.Bucket) + "/o"
}

// object is the URL of one object with a query.
func (b *Backend) object(name string, query url.Values) string {
	return b.objects() + "/" + url.PathEscape(name) + "?" + query.Encode()
}

// name is the object of a blob.
func (b *Backend) name(id backends.BlobID) string { return b.opts.Prefix + id.String() }

// ended is the reason why ctx has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
