package encrypt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A version's row is in a store that may be edited, and much of it is in the clear,
// for listings, lifecycles and locks. Its whole list record vouches for all of
// that: by its associated data for the columns that listings read, and by a digest
// inside it for the rest. So an edited column, or a record from another row, does
// not open, and no column needs a separate comparison.
//
// sealed = generation u32be ‖ 2 ‖ n1[12] ‖ n2[12] ‖ ciphertext ‖ tag[16], under the list key, with
// AAD    = bind("sanctum/2/list", deployment, bucket, key, version, generation,
//
//	flags(1), owner, u64be(size), i64be(modified), class)
//
// The byte after the generation distinguishes it from the list record of
// SealListRecord, where it is 1. Neither opens as the other.
const wholeRecord = 2

// RowShown has the columns of a version's row that listings read.
type RowShown struct {
	Null     bool // flag 1
	Marker   bool // flag 2
	Owner    [16]byte
	Size     int64
	Modified int64 // microseconds since 1970 UTC
	Class    string
}

// RowRest has the other clear columns of a version's row, and its sealed marks.
type RowRest struct {
	Encryption uint8
	LockMode   uint8
	LockHold   bool
	LockUntil  *int64 // microseconds since 1970 UTC; nil: none
	BodyKind   uint8
	Body       []byte // the id of a blob or upload; empty for a body within the manifest
	Revision   int64
	Marks      []byte // as stored; empty: none
}

// Digest returns SHA-256(bind("sanctum/2/row", encryption(1) ‖ lock mode(1) ‖ lock
// hold(1), i64be(lock until) or nothing, body kind(1) ‖ body, u64be(revision),
// marks)).
func (r *RowRest) Digest() [sha256.Size]byte {
	var until []byte
	if r.LockUntil != nil {
		until = u64(*r.LockUntil)
	}
	return sha256.Sum256(bind("sanctum/2/row",
		[]byte{r.Encryption, r.LockMode, flag(r.LockHold, 1)}, until, append([]byte{r.BodyKind}, r.Body...), u64(r.Revision), r.Marks))
}

// WholeRecord is the content of a whole list record. A delete marker has only Rest.
type WholeRecord struct {
	ETag              string // without quotes
	ChecksumAlgorithm string
	ChecksumType      string
	Rest              [sha256.Size]byte // RowRest.Digest
}

// IsWholeRecord reports whether a list record claims to come from SealWholeRecord.
func IsWholeRecord(sealed []byte) bool { return len(sealed) > 4 && sealed[4] == wholeRecord }

// SealWholeRecord seals the record, bound to its row. The deployment and bucket in
// n must be the keys' own.
func (b *BucketKeys) SealWholeRecord(n Name, shown *RowShown, r *WholeRecord) []byte {
	record := b.list.sealAs(wholeRecord, appendWholeRecord(nil, r), b.wholeAAD(&n, shown))
	return append(u32(b.generation), record...)
}

// OpenWholeRecord opens a record of SealWholeRecord. ErrWrongKey for a record of
// another generation; ErrCorrupt for one that is damaged, of another row or form,
// or whose row has other shown columns. The caller compares Rest.
func (b *BucketKeys) OpenWholeRecord(n Name, shown *RowShown, sealed []byte) (WholeRecord, error) {
	generation, err := ListRecordGeneration(sealed)
	if err != nil {
		return WholeRecord{}, err
	}
	if generation != b.generation {
		return WholeRecord{}, fmt.Errorf("%w: list record of generation %d, keys of %d", ErrWrongKey, generation, b.generation)
	}
	plain, err := b.list.openAs(wholeRecord, sealed[4:], b.wholeAAD(&n, shown))
	if err != nil {
		return WholeRecord{}, err
	}
	return decodeWholeRecord(plain)
}

func (b *BucketKeys) wholeAAD(n *Name, s *RowShown) []byte {
	var fixed [4 + 1 + 8 + 8]byte
	binary.BigEndian.PutUint32(fixed[:], b.generation)
	fixed[4] = flag(s.Null, 1) | flag(s.Marker, 2)
	binary.BigEndian.PutUint64(fixed[5:], uint64(s.Size))
	binary.BigEndian.PutUint64(fixed[13:], uint64(s.Modified))
	return bind("sanctum/2/list", n.Deployment[:], n.Bucket[:], n.Key, n.Version[:],
		fixed[:4], fixed[4:5], s.Owner[:], fixed[5:13], fixed[13:], []byte(s.Class))
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func u64(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func appendWholeRecord(b []byte, r *WholeRecord) []byte {
	b = appendText(b, 1, r.ETag)
	b = appendText(b, 3, r.ChecksumAlgorithm)
	b = appendText(b, 4, r.ChecksumType)
	return appendText(b, 5, r.Rest[:])
}

func decodeWholeRecord(b []byte) (r WholeRecord, err error) {
	f := fields{what: "whole list record", rest: b}
	bound := false
	for f.next() {
		switch f.num {
		case 1:
			r.ETag = f.text()
		case 3:
			r.ChecksumAlgorithm = f.text()
		case 4:
			r.ChecksumType = f.text()
		case 5:
			f.fixed(r.Rest[:])
			bound = true
		default:
			f.unknown()
		}
	}
	if f.err == nil && !bound {
		f.refuse("no digest of the row")
	}
	if f.err != nil {
		return WholeRecord{}, f.err
	}
	return r, nil
}
