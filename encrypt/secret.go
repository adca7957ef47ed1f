package encrypt

import "runtime"

// secret is a key whose bytes are overwritten once nobody refers to it any more. A cache that
// drops it cannot do so at once: a request that still uses it would seal under a key of zeros.
// Copies that a call makes on its stack, and what the standard library derives of a key, are
// out of reach.
type secret struct{ key *[32]byte }

func newSecret(key [32]byte) *secret {
	s := &secret{&key}
	runtime.AddCleanup(s, func(k *[32]byte) { clear(k[:]) }, s.key)
	return s
}

// bytes returns a copy of the key.
func (s *secret) bytes() [32]byte {
	k := *s.key
	// Otherwise s might be gone, and the key overwritten, before it is copied.
	runtime.KeepAlive(s)
	return k
}
