// Package gcpkms wraps seeds with a key of Google Cloud KMS, through its REST API
// (https://cloud.google.com/kms/docs/reference/rest) over plain net/http.
//
// The context of a seed is the additional authenticated data of the service's encryption,
// as encrypt.Context.Bytes. Requests and answers carry CRC32C sums, which the service and
// this package check. The service decrypts with the version of the key that a ciphertext
// names, so new versions of the key need no change here.
//
// The package asks for the configured key only. A wrap that names another one is refused
// without a request: an editor of the store must not choose whose key opens a seed.
package gcpkms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/outbound/googleauth"
)

// scope is the smallest OAuth scope for the calls.
// https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt
const scope = "https://www.googleapis.com/auth/cloudkms"

// providerName is Provider.Name.
const providerName = "gcpkms"

// Provider is an encrypt.Provider. Make one with Open.
type Provider struct {
	opts    Options
	key     keyName      // without a version
	version string       // that wraps; empty: the primary one
	client  *http.Client // with the limits of answers
	idle    func()       // closes idle connections
	tokens  *googleauth.Tokens
	closed  atomic.Bool
	ended   context.Context // ends with Close
	end     context.CancelFunc
}

var _ encrypt.Provider = (*Provider)(nil)

// Open checks the options and reads the credentials. It sends no request: Check does. Its
// errors name the setting.
func Open(o Options) (*Provider, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	p := &Provider{opts: o}
	p.key, p.version = o.split()
	transport, idle, err := o.sockets()
	if err != nil {
		return nil, err
	}
	p.idle = idle
	bounded := outbound.Bound(transport, outbound.Budget{Idle: o.Timeout, Answer: o.Timeout})
	p.client = &http.Client{Transport: bounded, CheckRedirect: outbound.Stay}
	p.tokens, err = googleauth.New(googleauth.Options{CredentialsFile: o.CredentialsFile, Scope: scope, Transport: bounded, Observe: o.Observe})
	if err != nil {
		p.idle()
		return nil, fmt.Errorf("credentials_file: %w", err)
	}
	p.ended, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Name implements encrypt.Provider.
func (p *Provider) Name() string { return providerName }

// Wrap implements encrypt.Provider. It is one request, which needs the permission
// cloudkms.cryptoKeyVersions.useToEncrypt.
func (p *Provider) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	if len(secret) < encrypt.MinSecret || len(secret) > encrypt.MaxSecret {
		return nil, fmt.Errorf("%s: cannot wrap %d bytes", providerName, len(secret))
	}
	version, ciphertext, err := p.encrypt(ctx, c.Bytes(), secret)
	if err != nil {
		return nil, fmt.Errorf("%s: wrap: %w", providerName, err)
	}
	return seal(c, secret, version, ciphertext), nil
}

// Unwrap implements encrypt.Provider. It is one request, which needs the permission
// cloudkms.cryptoKeyVersions.useToDecrypt.
func (p *Provider) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	secret, err := p.unwrap(ctx, c, wrapped)
	if err != nil {
		return nil, fmt.Errorf("%s: unwrap: %w", providerName, err)
	}
	return secret, nil
}

func (p *Provider) unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	w, err := parse(wrapped)
	if err != nil {
		return nil, err
	}
	if !w.key.same(p.key) {
		return nil, fmt.Errorf("%w: it was wrapped with %s, and this provider has %s", encrypt.ErrWrongKey, w.key, p.key)
	}
	secret, err := p.decrypt(ctx, c.Bytes(), w.ciphertext)
	if err != nil {
		return nil, err
	}
	if !w.proves(c, secret) {
		clear(secret)
		return nil, fmt.Errorf("%w: the service opened it to something else than was wrapped", encrypt.ErrCorrupt)
	}
	return secret, nil
}

// KeyID implements encrypt.Provider: it is the resource name of the key's version.
func (p *Provider) KeyID(wrapped []byte) (string, error) {
	w, err := parse(wrapped)
	if err != nil {
		return "", fmt.Errorf("%s: %w", providerName, err)
	}
	return versionName(w.key, w.version), nil
}

// Rewrap implements encrypt.Provider. The service has no call that rewraps, so the secret
// passes through memory here, in two requests.
func (p *Provider) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	secret, err := p.Unwrap(ctx, c, wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return p.Wrap(ctx, c, secret)
}

// Check implements encrypt.Provider.
func (p *Provider) Check(ctx context.Context) error {
	err := encrypt.CheckRoundTrip(ctx, p)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, googleauth.ErrNoToken), errors.Is(err, errRefusedToken):
		return fmt.Errorf("credentials_file: %w", err)
	case errors.Is(err, encrypt.ErrUnavailable) && !errors.Is(err, encrypt.ErrDenied):
		return fmt.Errorf("endpoint: %w", err)
	}
	return fmt.Errorf("key: %w", err)
}

// Close implements encrypt.Provider. It ends requests in progress.
func (p *Provider) Close() error {
	p.closed.Store(true)
	p.end()
	p.tokens.Close()
	p.idle()
	return nil
}
