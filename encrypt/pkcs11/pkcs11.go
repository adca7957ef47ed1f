//go:build pkcs11

// Package pkcs11 is a key provider over the token of a hardware security module: AES keys
// that never leave the token wrap the seeds with AES-GCM. It needs cgo, so it is in builds
// with the tag pkcs11 only.
//
// The keys of a provider share a label. Their ids are versions: the key with the highest
// one wraps, and each opens what it wrapped. The context is the additional data of a wrap.
//
// The library copies a secret into memory of C, which it frees and nothing clears.
package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/sanctum-storage/gateway/encrypt"
)

// providerName is Provider.Name.
const providerName = "pkcs11"

// Provider is an encrypt.Provider over the keys of one label on one token. Make one with
// Open.
type Provider struct {
	opts     Options
	sessions *sessions
}

var _ encrypt.Provider = (*Provider)(nil)

// Open loads the library. It does not log in to the token: Check does. Errors begin with
// the name of a setting. The caller closes the provider.
func Open(o Options) (*Provider, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	lib, err := load(o.Module)
	if err != nil {
		return nil, fmt.Errorf("module: %w", err)
	}
	if o.between != nil {
		lib = o.between(lib)
	}
	return &Provider{o, newSessions(lib, o)}, nil
}

// Name implements encrypt.Provider.
func (p *Provider) Name() string { return providerName }

// Wrap implements encrypt.Provider.
func (p *Provider) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	if len(secret) < encrypt.MinSecret || len(secret) > encrypt.MaxSecret {
		return nil, fmt.Errorf("%s: cannot wrap %d bytes", providerName, len(secret))
	}
	secret = bytes.Clone(secret) // a call that is given up may go on
	wrapped, err := p.sessions.do(ctx, secret, func(s session) ([]byte, error) {
		id, key, err := s.current(p.opts.Key)
		if err != nil {
			return nil, err
		}
		nonce, sealed, err := s.encrypt(key, c.Bytes(), secret)
		if err != nil {
			return nil, err
		}
		return wrap{id, nonce, sealed}.bytes(), nil
	})
	return wrapped, prefixed(err)
}

// Unwrap implements encrypt.Provider.
func (p *Provider) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	w, err := parse(bytes.Clone(wrapped))
	if err != nil {
		return nil, prefixed(err)
	}
	secret, err := p.sessions.do(ctx, nil, func(s session) ([]byte, error) {
		key, err := s.find(p.opts.Key, w.id)
		if err != nil {
			return nil, err
		}
		return s.decrypt(key, c.Bytes(), w)
	})
	return secret, prefixed(err)
}

// KeyID implements encrypt.Provider: the id of the key in hex.
func (p *Provider) KeyID(wrapped []byte) (string, error) {
	w, err := parse(wrapped)
	if err != nil {
		return "", prefixed(err)
	}
	return fmt.Sprintf("%x", w.id), nil
}

// Rewrap implements encrypt.Provider. The secret passes through memory here.
func (p *Provider) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	secret, err := p.Unwrap(ctx, c, wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return p.Wrap(ctx, c, secret)
}

// Check implements encrypt.Provider. It also refuses a current key that can leave the token.
func (p *Provider) Check(ctx context.Context) error {
	_, err := p.sessions.do(ctx, nil, func(s session) ([]byte, error) {
		id, key, err := s.current(p.opts.Key)
		if err != nil {
			return nil, err
		}
		return nil, s.secure(key, fmt.Sprintf("%s with id %x", p.opts.Key, id))
	})
	if err == nil {
		err = encrypt.CheckRoundTrip(ctx, p)
	}
	return named(err)
}

// Close implements encrypt.Provider. Calls in progress fail. The library stays loaded, since
// those of some vendors do not survive to be loaded twice.
func (p *Provider) Close() error {
	p.sessions.close()
	return nil
}

// prefixed says whose error it is.
func prefixed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", providerName, err)
}

// encrypt seals a secret under a key.
func (s session) encrypt(key p11.ObjectHandle, aad, secret []byte) (nonce, sealed []byte, err error) {
	nonce = make([]byte, nonceSize)
	rand.Read(nonce)
	params := p11.NewGCMParams(nonce, aad, tagBits)
	defer params.Free()
	err = s.lib.EncryptInit(s.handle, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, key)
	if err == nil {
		sealed, err = s.lib.Encrypt(s.handle, secret)
	}
	if err != nil {
		return nil, nil, failure("encrypt", err)
	}
	// Some modules take a nonce of their own, and write it where ours was.
	if own := params.IV(); len(own) == nonceSize {
		nonce = own
	}
	if len(sealed) != len(secret)+tagBits/8 || bytes.Contains(sealed, secret) {
		return nil, nil, fmt.Errorf("%w: the token encrypted %d bytes to %d", encrypt.ErrUnavailable, len(secret), len(sealed))
	}
	return nonce, sealed, nil
}

// decrypt opens a wrap.
func (s session) decrypt(key p11.ObjectHandle, aad []byte, w wrap) ([]byte, error) {
	secret, err := s.open(key, aad, w)
	switch {
	case err == nil && len(secret) == w.size():
		return secret, nil
	case err == nil:
		clear(secret)
		return nil, fmt.Errorf("%w: the token decrypted %d bytes to %d", encrypt.ErrUnavailable, len(w.sealed), len(secret))
	case !vague(err):
		return nil, failure("decrypt", err)
	}
	// Modules answer a wrong key or context with errors that they have for failures too.
	if s.works(key) {
		return nil, fmt.Errorf("%w (%v)", encrypt.ErrWrongKey, err)
	}
	return nil, fmt.Errorf("%w: decrypt: %v", encrypt.ErrUnavailable, err)
}

func (s session) open(key p11.ObjectHandle, aad []byte, w wrap) ([]byte, error) {
	params := p11.NewGCMParams(w.nonce, aad, tagBits)
	defer params.Free()
	if err := s.lib.DecryptInit(s.handle, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, err
	}
	return s.lib.Decrypt(s.handle, w.sealed)
}

// works reports whether the key opens what it seals.
func (s session) works(key p11.ObjectHandle) bool {
	probe := encrypt.NewSeed()
	nonce, sealed, err := s.encrypt(key, nil, probe[:])
	if err != nil {
		return false
	}
	got, err := s.open(key, nil, wrap{nil, nonce, sealed})
	return err == nil && subtle.ConstantTimeCompare(got, probe[:]) == 1
}
