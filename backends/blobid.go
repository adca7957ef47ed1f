package backends

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"fmt"
)

// BlobID names a blob: 160 random bits, used once in the life of a deployment.
// The zero id names none.
type BlobID [20]byte

// BlobIDTextLen is the length of BlobID.String in bytes.
const BlobIDTextLen = 32

// blobIDText is the alphabet of RFC 4648 section 6 in lower case: it survives
// file systems and object stores that fold case.
var blobIDText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewBlobID returns a fresh id from crypto/rand. It is never zero.
func NewBlobID() BlobID {
	var id BlobID
	for id.IsZero() {
		rand.Read(id[:]) // never fails: it ends the process instead
	}
	return id
}

// ParseBlobID reads what String wrote and nothing else: 32 characters of a-z
// and 2-7.
func ParseBlobID(s string) (BlobID, error) {
	var id BlobID
	if len(s) != BlobIDTextLen {
		return id, fmt.Errorf("blob id has %d characters, want %d", len(s), BlobIDTextLen)
	}
	// The decoder skips line breaks, so a short result hides behind a nil error.
	if n, err := blobIDText.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		return BlobID{}, fmt.Errorf("blob id %q is not lower-case base32", s)
	}
	return id, nil
}

// String is the id as 32 characters of lower-case base32 without padding.
func (id BlobID) String() string { return blobIDText.EncodeToString(id[:]) }

// IsZero reports whether id names no blob.
func (id BlobID) IsZero() bool { return id == BlobID{} }

// Compare orders ids as List does: by their text, byte by byte, which is how
// object stores list names. It is NOT the order of the raw bytes, because in
// ASCII the digits 2-7 come before the letters. It returns -1, 0 or +1.
func (id BlobID) Compare(other BlobID) int {
	const group = 5 // bytes that become 8 characters on their own
	for i := range id {
		if id[i] == other[i] {
			continue
		}
		var a, b [8]byte
		i -= i % group
		blobIDText.Encode(a[:], id[i:i+group])
		blobIDText.Encode(b[:], other[i:i+group])
		return bytes.Compare(a[:], b[:])
	}
	return 0
}
