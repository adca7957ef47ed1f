package encrypt

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
)

// Errors of a provider, beside ErrWrongKey and ErrCorrupt. A provider wraps exactly one
// of the five, so that callers need no order among them.
var (
	// ErrUnavailable says that a provider did not answer: it is down, slow, closed or
	// throttled. A later retry may succeed.
	ErrUnavailable = errors.New("encrypt: key provider unavailable")
	// ErrDenied says that the provider refuses this gateway's credential, or that the
	// credential lacks a permission, which the text names. It is a kind of ErrUnavailable,
	// because clients are told the same; at a start it is an error of the configuration.
	ErrDenied = fmt.Errorf("%w: it denies access", ErrUnavailable)
	// ErrKeyDisabled says that the key exists, and that its owner has disabled it. S3
	// clients are told KMS.DisabledException.
	ErrKeyDisabled = errors.New("encrypt: the key is disabled")
	// ErrKeyNotFound says that the provider has no such key: it never had it, has deleted
	// it, or has scheduled its deletion. S3 clients are told KMS.NotFoundException.
	ErrKeyNotFound = errors.New("encrypt: the key does not exist")
)

// MinSecret is the smallest secret in bytes: keys are derived from it, for which
// FIPS 140-3 wants 112 bits at least. Seeds have 32 bytes.
const MinSecret = 16

// MaxSecret is the largest secret in bytes that a Provider must be able to wrap;
// the smallest limit among the KMS services is 4096.
const MaxSecret = 1024

// Context is the binding of a wrapped secret. It has immutable ids only, because
// key services write it to their logs.
type Context struct {
	Deployment Deployment
	Purpose    string // "bucket" or "system": the use of the seed
	ID         [16]byte
	Generation uint32
}

// Bytes encodes the context for providers that take additional data as bytes.
// Different contexts have different encodings.
func (c Context) Bytes() []byte {
	return bind("sanctum/1/provider", c.Deployment[:], []byte(c.Purpose), c.ID[:], u32(c.Generation))
}

// Provider holds key-encryption keys and wraps seeds with them. Implementations
// promise:
//
//   - Unwrap and Rewrap succeed only with a Context equal in every field to Wrap's.
//   - The result of Wrap names the key used. Unwrap uses that key or fails; it
//     never tries another, not even the current one.
//   - A result with a changed, missing or added byte is refused.
//   - All methods are safe for concurrent use and return when ctx ends.
//   - No error contains the secret.
//
// Errors: ErrWrongKey for another context or key, or for foreign bytes that a
// service cannot tell from these; ErrCorrupt for damage that it can recognise;
// ErrKeyDisabled and ErrKeyNotFound for the key that the call is about;
// ErrUnavailable if there was no answer. After ctx has ended, its error.
type Provider interface {
	// Name is a short constant for messages and metrics, such as "keyring".
	Name() string
	// Wrap seals a secret of MinSecret..MaxSecret bytes under the current key.
	Wrap(ctx context.Context, c Context, secret []byte) ([]byte, error)
	// Unwrap returns the secret in memory owned by the caller.
	Unwrap(ctx context.Context, c Context, wrapped []byte) ([]byte, error)
	// KeyID names the key, and its version where keys have versions, that a result of
	// Wrap is under: printable ASCII without spaces, at most MaxKeyID bytes. It calls
	// no service and proves nothing. Two results under one key have equal ids, so a
	// seed is under the current key exactly if its id is that of a new wrap. ErrCorrupt
	// for bytes that are no result of Wrap.
	KeyID(wrapped []byte) (string, error)
	// Rewrap returns the secret of wrapped under the current key, without changing
	// wrapped. A service that can do so without showing the secret does. The result may
	// be under the same key as before.
	Rewrap(ctx context.Context, c Context, wrapped []byte) ([]byte, error)
	// Check makes the calls that Wrap and Unwrap need, once each, as a gateway does at
	// its start. Its error names the setting that is wrong, without a prefix (such as
	// "key: there is no transit key named x"), and the permission that is missing.
	// Providers without settings of that kind may return CheckRoundTrip's.
	Check(ctx context.Context) error
	// Close erases keys and closes connections; later calls fail with
	// ErrUnavailable. It may be called more than once.
	Close() error
}

// MaxKeyID is the longest id of a key in bytes, which the ARNs and resource names of the
// KMS services fit into.
const MaxKeyID = 512

// purposeCheck is the purpose of CheckRoundTrip's context, under which nothing is stored.
const purposeCheck = "check"

// CheckRoundTrip wraps a random secret, unwraps it and compares. It is what a provider's
// Check is at least.
func CheckRoundTrip(ctx context.Context, p Provider) error {
	c, secret := Context{Purpose: purposeCheck}, NewSeed()
	wrapped, err := p.Wrap(ctx, c, secret[:])
	if err != nil {
		return fmt.Errorf("wrap a secret to check: %w", err)
	}
	got, err := p.Unwrap(ctx, c, wrapped)
	if err != nil {
		return fmt.Errorf("unwrap the secret to check: %w", err)
	}
	if subtle.ConstantTimeCompare(got, secret[:]) != 1 {
		return fmt.Errorf("%w: the provider returned another secret than it was given", ErrWrongKey)
	}
	return nil
}

// CurrentKeyID returns the id of the key that p wraps with now. It costs one call of Wrap.
func CurrentKeyID(ctx context.Context, p Provider) (string, error) {
	secret := NewSeed()
	wrapped, err := p.Wrap(ctx, Context{Purpose: purposeCheck}, secret[:])
	if err != nil {
		return "", fmt.Errorf("ask for the current key: %w", err)
	}
	return p.KeyID(wrapped)
}
