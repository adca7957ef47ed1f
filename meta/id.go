package meta

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// ID names a bucket, version, upload, attempt, tenant, identity or holder: 128
// bits, never reused, so that something new under an old name inherits nothing.
type ID [16]byte

// BlobID names sealed bytes in a backend: 160 random bits.
type BlobID [20]byte

// NewID returns a random id.
func NewID() (id ID) {
	rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	return id
}

// NewOrderedID returns an id whose first 48 bits are t in milliseconds, so that
// ids made one after another sort nearly by age. The order is a convenience for
// listings; nothing depends on it.
func NewOrderedID(t time.Time) (id ID) {
	rand.Read(id[:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

// String is 32 lowercase hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the id was never set.
func (id ID) IsZero() bool { return id == ID{} }

// ParseID reads the form that String writes, and no other.
func ParseID(s string) (id ID, err error) {
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("id %q: want %d hexadecimal digits", s, 2*len(id))
	}
	b, err := hex.DecodeString(s)
	if err != nil || hex.EncodeToString(b) != s {
		return id, fmt.Errorf("id %q: want lowercase hexadecimal digits", s)
	}
	copy(id[:], b)
	return id, nil
}

// Canonical is the 64-digit owner id that S3 listings and ACLs show for a tenant.
// It is a hash of the id and does not reveal it.
func (id ID) Canonical() string {
	h := sha256.New()
	h.Write([]byte("sanctum canonical user id\x00"))
	h.Write(id[:])
	return hex.EncodeToString(h.Sum(nil))
}
