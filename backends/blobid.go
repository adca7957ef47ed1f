package backends

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"fmt"
)

// BlobID names a blob: 160 random bits. Ids that are made together share their
// first ten bits. A deployment uses an id once. The zero id is invalid.
type BlobID [20]byte

// BlobIDTextLen is the length of BlobID.String in bytes.
const BlobIDTextLen = 32

// blobIDText is the extended hex alphabet of RFC 4648 section 7 in lower case. It
// survives file systems and object stores that fold case. Its texts sort as the raw
// bytes do, so that a backend that lists names agrees with a store that orders
// bytes.
var blobIDText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NewBlobID returns a fresh id from crypto/rand. It is never zero.
func NewBlobID() BlobID {
	var id BlobID
	for id.IsZero() {
		rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	}
	return id
}

// NewBlobIDs returns n new ids; n is at least 1. They share their first ten bits,
// so that a backend that groups blobs by the beginning of their names keeps blobs
// that are written together in one place.
func NewBlobIDs(n int) []BlobID {
	ids := make([]BlobID, n)
	for i := range ids {
		ids[i] = NewBlobID()
		ids[i][0] = ids[0][0]
		ids[i][1] = ids[0][1]&0xc0 | ids[i][1]&0x3f
	}
	return ids
}

// ParseBlobID reads the form that String writes, and no other: 32 characters of 0-9
// and a-v.
func ParseBlobID(s string) (BlobID, error) {
	var id BlobID
	if len(s) != BlobIDTextLen {
		return id, fmt.Errorf("blob id has %d characters, want %d", len(s), BlobIDTextLen)
	}
	// The decoder skips line breaks, so that a short result may come with a nil
	// error.
	if n, err := blobIDText.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		return BlobID{}, fmt.Errorf("blob id %q is not lower-case base32hex", s)
	}
	return id, nil
}

// String is the id as 32 characters of lower-case base32hex without padding.
func (id BlobID) String() string { return blobIDText.EncodeToString(id[:]) }

// IsZero reports whether id names no blob.
func (id BlobID) IsZero() bool { return id == BlobID{} }

// Compare orders ids as List does: by their bytes, which is also the order of their
// texts. It returns -1, 0 or +1.
func (id BlobID) Compare(other BlobID) int { return bytes.Compare(id[:], other[:]) }
