package encrypt

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// A wrap, one layout at every level of the key tree:
//
//	wrap = version(1) ‖ generation u32be ‖ salt[32] ‖ commit[32] ‖ nonce[12] ‖ ciphertext ‖ tag[16]
//
//	k[32] ‖ commit[32] = HKDF-SHA256(key, salt, bind("sanctum/1/wrap", purpose, generation, SHA-256(aad)), 64)
//	ciphertext ‖ tag   = AES-256-GCM(k, nonce, secret, AAD = the 69 bytes before the nonce)
//
// The salt gives each wrap a key of its own, so nothing has to be counted; the
// commitment makes a wrap open under one key only.
const (
	wrapVersion = 1
	wrapSalt    = 32
	wrapCommit  = 32
	wrapPrefix  = 1 + 4 + wrapSalt + wrapCommit

	// WrapOverhead is what a wrap adds to the secret, in bytes.
	WrapOverhead = wrapPrefix + gcmNonce + gcmTag
)

// Wrap seals a secret of any length under key. purpose and aad are bound to it and
// must be passed to Unwrap again; generation identifies the key and is readable
// without it.
func Wrap(key [32]byte, generation uint32, purpose string, aad, secret []byte) []byte {
	out := make([]byte, wrapPrefix, WrapOverhead+len(secret))
	out[0] = wrapVersion
	binary.BigEndian.PutUint32(out[1:], generation)
	salt := randomKey()
	copy(out[5:], salt[:])
	k, commit := wrapKeys(&key, generation, purpose, aad, salt[:])
	copy(out[5+wrapSalt:], commit)
	return randomNonceGCM(k).Seal(out, nil, secret, out[:wrapPrefix:wrapPrefix])
}

// Unwrap opens a wrap into new memory. ErrWrongKey: another key, purpose, aad or
// generation (or damage to the fields that commit to them). ErrCorrupt: anything
// else.
func Unwrap(key [32]byte, purpose string, aad, wrap []byte) ([]byte, error) {
	generation, err := WrapGeneration(wrap)
	if err != nil {
		return nil, err
	}
	salt, commit := wrap[5:5+wrapSalt], wrap[5+wrapSalt:wrapPrefix]
	k, want := wrapKeys(&key, generation, purpose, aad, salt)
	if subtle.ConstantTimeCompare(commit, want) != 1 {
		return nil, fmt.Errorf("%w: commitment of a %s wrap differs", ErrWrongKey, purpose)
	}
	secret, err := randomNonceGCM(k).Open(nil, nil, wrap[wrapPrefix:], wrap[:wrapPrefix:wrapPrefix])
	if err != nil {
		return nil, fmt.Errorf("%w: a %s wrap does not authenticate", ErrCorrupt, purpose)
	}
	return secret, nil
}

// WrapGeneration reads the generation of the key that made a wrap. The answer is
// authenticated only once Unwrap has succeeded.
func WrapGeneration(wrap []byte) (uint32, error) {
	if len(wrap) < WrapOverhead || wrap[0] != wrapVersion {
		return 0, fmt.Errorf("%w: not a wrap of version %d", ErrCorrupt, wrapVersion)
	}
	return binary.BigEndian.Uint32(wrap[1:]), nil
}

func wrapKeys(key *[32]byte, generation uint32, purpose string, aad, salt []byte) (k, commit []byte) {
	digest := sha256.Sum256(aad)
	info := bind("sanctum/1/wrap", []byte(purpose), u32(generation), digest[:])
	out := derive256(key, salt, info, 32+wrapCommit)
	return out[:32], out[32:]
}

// derive256 is HKDF-SHA256, extract and expand.
func derive256(key *[32]byte, salt, info []byte, length int) []byte {
	return deriveBytes(key[:], salt, info, length)
}

// deriveBytes is derive256 of a secret of any length.
func deriveBytes(secret, salt, info []byte, length int) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, string(info), length)
	if err != nil {
		panic(err) // only for a length or key size that no caller passes
	}
	return out
}
