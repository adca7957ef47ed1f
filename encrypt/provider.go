package encrypt

import (
	"context"
	"errors"
)

// ErrUnavailable says that a provider did not answer: it is down, slow, closed or
// throttled, or its key is disabled. A later retry may succeed.
var ErrUnavailable = errors.New("encrypt: key provider unavailable")

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
//   - Unwrap succeeds only with a Context equal in every field to Wrap's.
//   - The result of Wrap names the key used. Unwrap uses that key or fails; it
//     never tries another, not even the current one.
//   - A result with a changed, missing or added byte is refused.
//   - All methods are safe for concurrent use and return when ctx ends.
//   - No error contains the secret.
//
// Errors: ErrWrongKey for another context or key, or for foreign bytes that a
// service cannot tell from these; ErrCorrupt for damage that it can recognise;
// ErrUnavailable if there was no answer.
type Provider interface {
	// Name is a short constant for messages and metrics, such as "keyring".
	Name() string
	// Wrap seals a secret of 1..MaxSecret bytes under the current key.
	Wrap(ctx context.Context, c Context, secret []byte) ([]byte, error)
	// Unwrap returns the secret in memory owned by the caller.
	Unwrap(ctx context.Context, c Context, wrapped []byte) ([]byte, error)
	// Close erases keys and closes connections; later calls fail with
	// ErrUnavailable.
	Close() error
}
