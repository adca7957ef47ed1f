// Package awskms is a key provider over AWS KMS: a symmetric encryption key that never
// leaves KMS wraps the seeds, under an encryption context of ids.
//
// Each call is one request. The package logs nothing, keeps no seed, and puts no text of
// the service into an error. The SDK copies seeds into the bodies of requests, which Go's
// collector frees and nothing can clear.
package awskms

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sanctum-storage/gateway/encrypt"
)

// Provider is an encrypt.Provider over one key, or over the keys that an alias names one
// after another.
//
//	wrapped = version(1) ‖ length of the key's name u16 ‖ name ‖ KMS's ciphertext ‖ checksum[8]
//
// It opens what keys of the same account and region wrapped, as far as its permissions go,
// and asks no other key: a wrap that names the key of a stranger, who knows the secret, is
// refused here, however wide the permissions are.
type Provider struct {
	key         string // as configured, in the region that is asked
	region      string
	timeout     time.Duration // of a call with its attempts
	client      *kms.Client
	credentials *logins
	idle        func()              // closes idle connections
	home        atomic.Pointer[key] // a key of the account; nil until it is known
	closed      atomic.Bool
}

var _ encrypt.Provider = (*Provider)(nil)

// Open makes a provider. It sends nothing: Check does.
func Open(ctx context.Context, o Options) (*Provider, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	client, creds, idle, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &Provider{key: o.Key, region: client.Options().Region, timeout: o.whole(), client: client, credentials: creds, idle: idle}
	if k, ok := keyOf(o.Key); ok {
		p.home.Store(&k)
	}
	return p, nil
}

// Name returns "awskms".
func (p *Provider) Name() string { return "awskms" }

// Wrap implements encrypt.Provider with Encrypt.
func (p *Provider) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	wrapped, err := p.wrap(ctx, c, secret)
	return wrapped, prefixed(err)
}

// Unwrap implements encrypt.Provider with Decrypt.
func (p *Provider) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	secret, err := p.unwrap(ctx, c, wrapped)
	return secret, prefixed(err)
}

// Rewrap implements encrypt.Provider with ReEncrypt, which does not show the secret to the
// gateway. Both keys must be in the region.
func (p *Provider) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	again, err := p.rewrap(ctx, c, wrapped)
	return again, prefixed(err)
}

// KeyID implements encrypt.Provider. The id is the key's ARN, for a multi-Region key
// without the region. Key material that KMS rotates below the ARN does not change it.
func (p *Provider) KeyID(wrapped []byte) (string, error) {
	k, _, err := unseal(wrapped)
	if err != nil {
		return "", prefixed(err)
	}
	return k.name(), nil
}

// Check implements encrypt.Provider with Encrypt and Decrypt.
func (p *Provider) Check(ctx context.Context) error {
	secret := encrypt.NewSeed()
	wrapped, err := p.wrap(ctx, checkContext, secret[:])
	if err != nil {
		return err
	}
	got, err := p.unwrap(ctx, checkContext, wrapped)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, secret[:]) != 1 {
		return fmt.Errorf("%w: KMS in %s returned another secret than it was given", encrypt.ErrWrongKey, p.region)
	}
	return nil
}

// checkContext is that of secrets under which nothing is stored.
var checkContext = encrypt.Context{Purpose: "check"}

// Close closes the connections. It may be called more than once.
func (p *Provider) Close() error {
	p.closed.Store(true)
	p.idle()
	return nil
}

func prefixed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("aws kms: %w", err)
}

// encryptionContext is the context as KMS takes it. It shows in CloudTrail, and policies can
// refer to it. docs/format.md has it.
func encryptionContext(c encrypt.Context) map[string]string {
	return map[string]string{
		"sanctum:deployment": hex.EncodeToString(c.Deployment[:]),
		"sanctum:purpose":    c.Purpose,
		"sanctum:id":         hex.EncodeToString(c.ID[:]),
		"sanctum:generation": strconv.FormatUint(uint64(c.Generation), 10),
	}
}

func (p *Provider) wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	if len(secret) < encrypt.MinSecret || len(secret) > encrypt.MaxSecret {
		return nil, fmt.Errorf("cannot wrap a secret of %d bytes", len(secret))
	}
	r := request{"kms:Encrypt", p.key, p.region}
	var out *kms.EncryptOutput
	err := p.do(ctx, r, func(ctx context.Context) (err error) {
		out, err = p.client.Encrypt(ctx, &kms.EncryptInput{KeyId: aws.String(p.key), EncryptionContext: encryptionContext(c), Plaintext: secret})
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.sealed(r, out.KeyId, out.CiphertextBlob)
}

// sealed makes a wrap of an answer to Encrypt or ReEncrypt, and remembers the account. The
// answer must name the configured key, where that is known.
func (p *Provider) sealed(r request, arn *string, ciphertext []byte) ([]byte, error) {
	k, ok := keyOf(aws.ToString(arn))
	want, known := keyOf(p.key)
	switch {
	case !ok || k.arn(p.region) != aws.ToString(arn):
		return nil, r.malformed("no key of this region")
	case known && k != want:
		return nil, r.malformed("another key than it was asked for")
	case len(ciphertext) == 0 || len(ciphertext) > maxCiphertext:
		return nil, r.malformed(fmt.Sprintf("a ciphertext of %d bytes", len(ciphertext)))
	}
	p.home.CompareAndSwap(nil, &k)
	return seal(k, ciphertext), nil
}

func (p *Provider) unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	k, ciphertext, err := p.mine(ctx, wrapped)
	if err != nil {
		return nil, err
	}
	arn := k.arn(p.region)
	r := request{"kms:Decrypt", arn, p.region}
	var out *kms.DecryptOutput
	err = p.do(ctx, r, func(ctx context.Context) (err error) {
		out, err = p.client.Decrypt(ctx, &kms.DecryptInput{KeyId: aws.String(arn), EncryptionContext: encryptionContext(c), CiphertextBlob: ciphertext})
		return err
	})
	if err != nil {
		return nil, err
	}
	if aws.ToString(out.KeyId) != arn || len(out.Plaintext) < encrypt.MinSecret || len(out.Plaintext) > encrypt.MaxSecret {
		clear(out.Plaintext)
		return nil, r.malformed("another key than it was asked for, or no secret")
	}
	return out.Plaintext, nil
}

func (p *Provider) rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	k, ciphertext, err := p.mine(ctx, wrapped)
	if err != nil {
		return nil, err
	}
	arn, with := k.arn(p.region), encryptionContext(c)
	r := request{"kms:ReEncryptFrom or kms:ReEncryptTo", arn + " or " + p.key, p.region}
	var out *kms.ReEncryptOutput
	err = p.do(ctx, r, func(ctx context.Context) (err error) {
		out, err = p.client.ReEncrypt(ctx, &kms.ReEncryptInput{
			CiphertextBlob: ciphertext, SourceKeyId: aws.String(arn), SourceEncryptionContext: with,
			DestinationKeyId: aws.String(p.key), DestinationEncryptionContext: with,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if aws.ToString(out.SourceKeyId) != arn || bytes.Equal(out.CiphertextBlob, ciphertext) {
		return nil, r.malformed("another key than it was asked for, or what it was given")
	}
	return p.sealed(r, out.KeyId, out.CiphertextBlob)
}

// mine reads a wrap, and refuses those of keys that are not asked: of another region, and of
// another account than the configured key's.
func (p *Provider) mine(ctx context.Context, wrapped []byte) (k key, ciphertext []byte, err error) {
	if k, ciphertext, err = unseal(wrapped); err != nil {
		return k, nil, err
	}
	if p.home.Load() == nil { // configured by id or alias, and nothing was wrapped since the start
		secret := encrypt.NewSeed()
		if _, err := p.wrap(ctx, checkContext, secret[:]); err != nil {
			return k, nil, err
		}
	}
	home := p.home.Load()
	switch {
	case k.partition != home.partition || k.account != home.account:
		return k, nil, fmt.Errorf("key: %s is of another account than %s: %w", k.name(), p.key, encrypt.ErrKeyNotFound)
	case k.region != "" && k.region != p.region:
		return k, nil, fmt.Errorf("region: %s is in another region than %s: %w", k.name(), p.region, encrypt.ErrKeyNotFound)
	}
	return k, ciphertext, nil
}
