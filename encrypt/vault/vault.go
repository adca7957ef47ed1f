// Package vault is the Transit secrets engine of OpenBao and HashiCorp Vault as an
// encrypt.Provider, by plain HTTP. The key-encryption keys never leave the service.
//
// Each secret is wrapped under a key that Transit derives from the named key and the
// context, so that another context is another key. The named key must therefore be a
// derived one. Associated data would bind the context too, but Transit drops it when it
// rewraps.
//
// The requests and answers are those of
// https://openbao.org/api-docs/secret/transit/ and
// https://developer.hashicorp.com/vault/api-docs/secret/transit.
package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/outbound"
)

// Provider wraps secrets with one Transit key. Its methods are safe for concurrent use.
type Provider struct {
	opts   Options
	api    *api
	tokens *tokens
	end    context.CancelFunc
	idle   func() // closes idle connections
}

var _ encrypt.Provider = (*Provider)(nil)

// Open returns a provider. It reads the files that the options name and calls no service;
// Check does. Errors begin with the name of an option. The caller closes the provider.
func Open(o Options) (*Provider, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	transport, idle, err := o.sockets()
	if err != nil {
		return nil, err
	}
	ended, end := context.WithCancel(context.Background())
	a := &api{
		client: &http.Client{Transport: outbound.Bound(transport, outbound.Budget{Answer: o.Timeout}), CheckRedirect: outbound.Stay},
		base:   o.Address + "/v1/", namespace: o.Namespace, timeout: o.Timeout, ended: ended,
	}
	login := func(ctx context.Context) (lease, error) {
		if o.Login.Method == LoginCertificate {
			idle() // a kept connection has the certificate of before
		}
		return o.Login.run(ctx, a)
	}
	return &Provider{opts: o, api: a, tokens: newTokens(a, login, o.Observe), end: end, idle: idle}, nil
}

// Name implements encrypt.Provider.
func (p *Provider) Name() string { return "vault" }

// Wrap implements encrypt.Provider.
func (p *Provider) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	if len(secret) < encrypt.MinSecret || len(secret) > encrypt.MaxSecret {
		return nil, fmt.Errorf("vault: cannot wrap %d bytes, want %d to %d", len(secret), encrypt.MinSecret, encrypt.MaxSecret)
	}
	plain := base64.StdEncoding.AppendEncode(nil, secret)
	defer clear(plain)
	q := p.use("encrypt", c)
	q.hide("plaintext", plain)
	wrapped, err := p.ciphertext(ctx, q, len(secret))
	if errors.Is(err, encrypt.ErrDenied) {
		// To encrypt under a key that does not exist is to create it, which the credential
		// may not: the service answers as if a permission were missing.
		if _, gone := p.describe(ctx); errors.Is(gone, encrypt.ErrKeyNotFound) {
			return nil, gone
		}
	}
	return wrapped, err
}

// Unwrap implements encrypt.Provider.
func (p *Provider) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	w, err := p.own(wrapped)
	if err != nil {
		return nil, err
	}
	q := p.use("decrypt", c)
	q.add("ciphertext", w.text())
	var answer struct {
		Data struct {
			Plaintext secretText `json:"plaintext"`
		} `json:"data"`
	}
	if err := p.send(ctx, q, &answer); err != nil {
		return nil, err
	}
	defer clear(answer.Data.Plaintext)
	secret, err := base64.StdEncoding.Strict().AppendDecode(nil, answer.Data.Plaintext)
	if err != nil || len(secret) != w.size() {
		clear(secret)
		return nil, fmt.Errorf("vault: %w: the answer to %s has no secret of %d bytes", encrypt.ErrUnavailable, q.path, w.size())
	}
	return secret, nil
}

// Rewrap implements encrypt.Provider. Only the service sees the secret.
func (p *Provider) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	w, err := p.own(wrapped)
	if err != nil {
		return nil, err
	}
	q := p.use("rewrap", c)
	q.add("ciphertext", w.text())
	return p.ciphertext(ctx, q, w.size())
}

// KeyID implements encrypt.Provider: the key's name and its version.
func (p *Provider) KeyID(wrapped []byte) (string, error) {
	w, err := parseWrapped(wrapped)
	if err != nil {
		return "", err
	}
	return w.id(), nil
}

// Close implements encrypt.Provider. Calls in progress fail.
func (p *Provider) Close() error {
	p.end()
	p.tokens.close()
	p.idle()
	return nil
}

// own parses wrapped, and refuses a key other than the configured one: a row of the store
// must not choose the path of a request.
func (p *Provider) own(wrapped []byte) (wrappedSecret, error) {
	w, err := parseWrapped(wrapped)
	if err == nil && w.key != p.opts.Key {
		err = fmt.Errorf("vault: %w: it is under key %q, and this provider has key %q", encrypt.ErrKeyNotFound, w.key, p.opts.Key)
	}
	return w, err
}

// use is a request that uses the key under the context.
func (p *Provider) use(verb string, c encrypt.Context) *call {
	path := p.opts.keyPath(verb)
	q := &call{method: http.MethodPost, path: path, permission: "update on " + path}
	q.add("context", base64.StdEncoding.AppendEncode(nil, c.Bytes()))
	return q
}

// ciphertext sends a request that is answered by a ciphertext of a secret of size bytes.
func (p *Provider) ciphertext(ctx context.Context, q *call, size int) ([]byte, error) {
	var answer struct {
		Data struct {
			Ciphertext string `json:"ciphertext"`
		} `json:"data"`
	}
	if err := p.send(ctx, q, &answer); err != nil {
		return nil, err
	}
	w, err := parseText(p.opts.Key, answer.Data.Ciphertext)
	if err != nil || w.size() != size {
		return nil, fmt.Errorf("vault: %w: the answer to %s has no ciphertext of %d bytes", encrypt.ErrUnavailable, q.path, size)
	}
	return w.bytes(), nil
}
