package encrypt

import (
	"context"
	"errors"
)

// ErrUnavailable says that a provider could not be asked: it is down, slow,
// closed, throttled, or its key is disabled. Trying again later may succeed.
var ErrUnavailable = errors.New("encrypt: key provider unavailable")

// MaxSecret is the largest secret a Provider must be able to wrap, in bytes; the
// smallest limit among the KMS services is 4096.
const MaxSecret = 1024

// Context is what a wrapped secret is bound to. It holds immutable ids only,
// because key services write it to their logs.
type Context struct {
	Deployment Deployment
	Purpose    string // "bucket" or "system": what the seed is for
	ID         [16]byte
	Generation uint32
}

// Bytes encodes the context for providers that take additional data as bytes;
// two contexts encode alike only if they are equal.
func (c Context) Bytes() []byte {
	return bind("sanctum/1/provider", c.Deployment[:], []byte(c.Purpose), c.ID[:], u32(c.Generation))
}

// Provider holds key-encryption keys and wraps seeds with them. Implementations
// promise:
//
//   - Unwrap succeeds only with a Context equal in every field to Wrap's.
//   - What Wrap returns names the key used. Unwrap uses that key or fails; it
//     never tries another, not even the current one.
//   - Every changed, cut or extended byte of it is refused.
//   - All methods are safe for concurrent use and return when ctx ends.
//   - No error holds the secret.
//
// Errors: ErrWrongKey for another context, key or foreign bytes that a service
// cannot tell from them; ErrCorrupt for damage it can tell; ErrUnavailable when
// the answer is not known.
type Provider interface {
	// Name is a short constant for messages and metrics, such as "keyring".
	Name() string
	// Wrap seals a secret of 1..MaxSecret bytes under the current key.
	Wrap(ctx context.Context, c Context, secret []byte) ([]byte, error)
	// Unwrap returns the secret in memory that the caller owns.
	Unwrap(ctx context.Context, c Context, wrapped []byte) ([]byte, error)
	// Close forgets keys and connections; later calls fail with ErrUnavailable.
	Close() error
}
