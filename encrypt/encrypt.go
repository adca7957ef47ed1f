// Package encrypt is everything the gateway does with keys: it seals object
// bodies so that any range can be opened and verified on its own, wraps keys,
// and seals the small records (manifests, parts, list rows) that describe
// objects. docs/format.md draws every layout and is enough to write a decryptor.
//
// It never stores, fetches, caches or logs anything, never chooses an algorithm
// from bytes it was given, and imports nothing of ours. Authenticated encryption
// is AES-256-GCM from the standard library with nonces that the library draws.
//
// The key tree, from the outside in:
//
//	Provider (keyring file, KMS)  wraps  Seed                one a bucket and generation
//	Seed          → HKDF →               BucketKeys          a wrapping key and a list key
//	BucketKeys    wraps                  ObjectKey           one a version or open upload
//	ObjectKey     seals                  Manifest            which holds, for each blob,
//	DataKey       seals                  the blob's bytes    one blob, one key, once
//
// Every function is safe for concurrent use unless it says otherwise.
package encrypt

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// Format is the version of the sealed format that this release writes, which is also the
// newest folder in testdata/sealed. A release opens all earlier versions.
const Format = "1.4"

// ErrCorrupt says that bytes failed authentication, or have no format that this
// release reads. No part of them was or may be used.
var ErrCorrupt = errors.New("encrypt: sealed data is damaged or not of a known format")

// ErrWrongKey says that a key, or the context of a secret, is not the one used for
// sealing. A damaged key commitment looks the same.
var ErrWrongKey = errors.New("encrypt: wrong key or context")

// Deployment is the random id of one gateway deployment. It is made at the first
// start and never changes. Everything sealed is bound to it.
type Deployment [16]byte

// Seed is the secret of one bucket generation (or of the system). Its plaintext
// exists only in memory; the stored form is wrapped by a Provider.
type Seed [32]byte

// ObjectKey seals one version's manifest, or one upload's settings and parts.
type ObjectKey [32]byte

// DataKey seals exactly one blob.
type DataKey [32]byte

// NewSeed draws a random seed.
func NewSeed() Seed { return Seed(randomKey()) }

// NewObjectKey draws a random object key.
func NewObjectKey() ObjectKey { return ObjectKey(randomKey()) }

// NewDataKey draws a random data key.
func NewDataKey() DataKey { return DataKey(randomKey()) }

// Format hides the seed from every fmt verb.
func (Seed) Format(f fmt.State, _ rune) { redact(f, "Seed") }

// Format hides the key from every fmt verb.
func (ObjectKey) Format(f fmt.State, _ rune) { redact(f, "ObjectKey") }

// Format hides the key from every fmt verb.
func (DataKey) Format(f fmt.State, _ rune) { redact(f, "DataKey") }

func redact(f fmt.State, what string) { fmt.Fprintf(f, "encrypt.%s(hidden)", what) }

func randomKey() (k [32]byte) {
	rand.Read(k[:]) // never fails: the runtime ends the process instead
	return k
}

// bind encodes a label and fields so that two different lists never have the same
// encoding: each item is preceded by its length as u32be. It makes every AAD and
// every HKDF info outside FLOE.
//
// u32be(len(label)) ‖ label ‖ u32be(len(f1)) ‖ f1 ‖ …
func bind(label string, fields ...[]byte) []byte {
	n := 4 + len(label)
	for _, f := range fields {
		n += 4 + len(f)
	}
	b := make([]byte, 0, n)
	b = binary.BigEndian.AppendUint32(b, uint32(len(label)))
	b = append(b, label...)
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
