package sigv4

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// dayKeyPlaces is how many signing keys are remembered.
const dayKeyPlaces = 1024

// maxRememberedRegion is the length in bytes of the longest region whose key is
// remembered. AnyRegion accepts a region as long as a header.
const maxRememberedRegion = 64

// DayKeys remembers signing keys, each of which holds for one day. A key is found by the secret that
// Lookup returned for this very request, so nothing has to be forgotten when a
// secret changes or an access key is taken away. The zero value is empty and
// ready. It is safe for concurrent use.
type DayKeys struct {
	places [dayKeyPlaces]atomic.Pointer[dayKey]
}

// dayKey is one remembered key and the arguments that it was derived from.
type dayKey struct {
	secret string
	scope  Scope
	key    [32]byte
}

// placeSeed is unknown outside of this process, so that nobody can choose access
// keys that displace each other.
var placeSeed = maphash.MakeSeed()

// place is where the key of a secret and a scope is, if it is remembered.
func (d *DayKeys) place(secret string, s Scope) *atomic.Pointer[dayKey] {
	h := maphash.Comparable(placeSeed, struct {
		secret string
		scope  Scope
	}{secret, s})
	return &d.places[h%dayKeyPlaces]
}

// derive returns deriveKey(secret, s), and says whether it was remembered. Without
// a memory, which is nil, it never was.
func (d *DayKeys) derive(secret string, s Scope) (key [32]byte, known bool) {
	if d == nil {
		return deriveKey(secret, s), false
	}
	if k := d.place(secret, s).Load(); k != nil && k.secret == secret && k.scope == s {
		return k.key, true
	}
	return deriveKey(secret, s), false
}

// remember keeps a key that a signature has proven. A wrong signature must not
// displace the key of another.
func (d *DayKeys) remember(secret string, s Scope, key [32]byte) {
	if d == nil || len(s.Region) > maxRememberedRegion {
		return
	}
	// The strings of a scope are parts of a header.
	s = Scope{Date: strings.Clone(s.Date), Region: strings.Clone(s.Region), Service: strings.Clone(s.Service)}
	d.place(secret, s).Store(&dayKey{secret: secret, scope: s, key: key})
}
