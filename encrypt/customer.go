package encrypt

import "fmt"

// CustomerKey is a key that a client sends with each request (SSE-C). It is never
// stored.
type CustomerKey [32]byte

// Format hides the key from every fmt verb.
func (CustomerKey) Format(f fmt.State, _ rune) { redact(f, "CustomerKey") }

// customerSuffix separates the outer wrap of an SSE-C object key from an ordinary
// wrap.
const customerSuffix = "/customer"

// WrapCustomerKey wraps an object key under the customer's key and the result under
// the bucket's. Opening it takes both: neither the gateway alone nor the customer
// and the provider together can.
//
// inner = wrap under the customer's key, generation 0, purpose ‖ "/customer", the same aad
// outer = wrap of inner under the bucket's wrapping key, purpose ‖ "/customer"
func (b *BucketKeys) WrapCustomerKey(k ObjectKey, customer CustomerKey, version [16]byte, purpose string) []byte {
	purpose += customerSuffix
	aad := b.keyAAD(version)
	return Wrap(b.wrapping.bytes(), b.generation, purpose, aad, Wrap(customer, 0, purpose, aad, k[:]))
}

// ErrWrongCustomerKey: the wrap is intact, but was made with another customer key.
var ErrWrongCustomerKey = fmt.Errorf("encrypt: another customer key")

// UnwrapCustomerKey opens a wrap of WrapCustomerKey. ErrWrongCustomerKey if only
// the customer's key is wrong; other errors as UnwrapKey.
func (b *BucketKeys) UnwrapCustomerKey(wrap []byte, customer CustomerKey, version [16]byte, purpose string) (k ObjectKey, err error) {
	generation, err := WrapGeneration(wrap)
	if err != nil {
		return k, err
	}
	if generation != b.generation {
		return k, fmt.Errorf("%w: wrap of generation %d, keys of %d", ErrWrongKey, generation, b.generation)
	}
	purpose += customerSuffix
	aad := b.keyAAD(version)
	inner, err := Unwrap(b.wrapping.bytes(), purpose, aad, wrap)
	if err != nil {
		return k, err
	}
	secret, err := Unwrap(customer, purpose, aad, inner)
	if err != nil {
		return k, ErrWrongCustomerKey
	}
	if len(secret) != len(k) {
		return k, fmt.Errorf("%w: object key of %d bytes", ErrCorrupt, len(secret))
	}
	return ObjectKey(secret), nil
}
