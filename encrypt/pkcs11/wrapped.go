//go:build pkcs11

package pkcs11

import (
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
)

// A result of Wrap (docs/format.md, 4.7):
//
//	wrapped = version(1) ‖ len(id) u8 ‖ id ‖ nonce[12] ‖ AES-GCM's ciphertext and tag[16]
const (
	wrapVersion = 1
	nonceSize   = 12
	tagBits     = 128
	// maxID is the longest id of a key in bytes.
	maxID = 64
)

// wrap is a parsed result of Wrap.
type wrap struct {
	id     []byte // CKA_ID of the key
	nonce  []byte
	sealed []byte
}

// parse parses a result of Wrap. Nothing in it is proven yet.
func parse(b []byte) (wrap, error) {
	if len(b) < 2 || b[0] != wrapVersion || b[1] == 0 || b[1] > maxID || len(b) < 2+int(b[1])+nonceSize {
		return wrap{}, fmt.Errorf("%w: it is no wrap of this provider", encrypt.ErrCorrupt)
	}
	n := 2 + int(b[1])
	w := wrap{b[2:n], b[n : n+nonceSize], b[n+nonceSize:]}
	if w.size() < encrypt.MinSecret || w.size() > encrypt.MaxSecret {
		return wrap{}, fmt.Errorf("%w: it is no wrap of this provider", encrypt.ErrCorrupt)
	}
	return w, nil
}

// size is the length of the secret.
func (w wrap) size() int { return len(w.sealed) - tagBits/8 }

func (w wrap) bytes() []byte {
	b := append([]byte{wrapVersion, byte(len(w.id))}, w.id...)
	return append(append(b, w.nonce...), w.sealed...)
}
