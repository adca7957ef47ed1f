// Package gcs keeps blobs as objects of a Google Cloud Storage bucket, through the
// JSON API (https://cloud.google.com/storage/docs/json_api/v1) over plain net/http.
//
// A blob is the object Prefix+id, uploaded in one request of any size with
// ifGenerationMatch=0, so that it never replaces another, and with CRC32C checked
// on both sides. The closing boundary of the request is withheld until the body's
// reader has returned io.EOF: an abandoned upload never becomes an object. Put, Get
// and Stat are one request each.
//
// The package never retries (see backends/guard), never looks inside a blob, never
// follows a redirect with its token, and never puts a token into an error. It
// cannot override settings of the bucket: object versioning, soft delete and
// retention keep the bytes of deleted blobs. Operators must turn them off where
// deletion must be final.
//
// GCS also has an XML API with HMAC keys, which speaks S3: the s3 adapter can use
// that.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/outbound/googleauth"
)

// scopeWrite and scopeRead are the smallest scopes for the calls.
// https://cloud.google.com/storage/docs/oauth-scopes
const (
	scopeWrite = "https://www.googleapis.com/auth/devstorage.read_write"
	scopeRead  = "https://www.googleapis.com/auth/devstorage.read_only"
)

// ErrNoBucket: the bucket does not exist, or is invisible to this credential.
var ErrNoBucket = errors.New("bucket does not exist")

// Backend is a backends.Backend in a bucket. Make one with Open.
type Backend struct {
	opts      Options
	transport *http.Transport
	client    *http.Client       // over transport, with the limits of responses
	tokens    *googleauth.Tokens // nil: anonymous
	gate      backends.Gate
}

var _ backends.Backend = (*Backend)(nil)

// Open checks the options, gets the credential and lists one object. So a missing
// bucket (ErrNoBucket), a refused credential (backends.ErrDenied) and an
// unreachable endpoint (backends.ErrUnavailable) show here; the error names the
// option that is likely wrong. ctx bounds Open only.
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
	b := &Backend{opts: o, gate: backends.Gate{ReadOnly: o.ReadOnly}, transport: transport, client: &http.Client{Transport: bounded, CheckRedirect: outbound.Stay}}
	if !o.Anonymous {
		scope := scopeWrite
		if o.ReadOnly {
			scope = scopeRead
		}
		if b.tokens, err = googleauth.New(googleauth.Options{CredentialsFile: o.CredentialsFile, Scope: scope, Transport: bounded}); err != nil {
			b.Close()
			return nil, fmt.Errorf("option CredentialsFile: %w", err)
		}
	}
	if _, err := b.page(ctx, url.Values{"maxResults": {"1"}}); err != nil {
		b.Close()
		return nil, fmt.Errorf("option %s: %w", o.suspect(err), err)
	}
	return b, nil
}

// Close ends idle connections and a token request in progress.
func (b *Backend) Close() error {
	b.gate.Close()
	if b.tokens != nil {
		b.tokens.Close()
	}
	b.transport.CloseIdleConnections()
	return nil
}

// objects returns the URL of the bucket's objects.
func (b *Backend) objects() string {
	return b.opts.Endpoint + "/storage/v1/b/" + url.PathEscape(b.opts.Bucket) + "/o"
}

// object returns the URL of one object with a query.
func (b *Backend) object(name string, query url.Values) string {
	return b.objects() + "/" + url.PathEscape(name) + "?" + query.Encode()
}

// name returns the name of a blob's object.
func (b *Backend) name(id backends.BlobID) string { return b.opts.Prefix + id.String() }
