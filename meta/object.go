package meta

import (
	"context"
	"time"
)

// BodyKind says where the bytes of a version are.
type BodyKind uint8

const (
	BodyInline BodyKind = iota // in the manifest itself, or empty
	BodyBlob                   // one blob
	BodyUpload                 // the parts of a completed upload
)

// Body refers to the bytes of a version. Several versions may share one body:
// the store counts, and a body that nobody refers to is condemned.
type Body struct {
	Kind   BodyKind
	Blob   BlobID // BodyBlob
	Upload ID     // BodyUpload
}

// Version is what one key of a bucket holds. Size and Modified are in the clear
// (quotas, listings); all else that the client gave is sealed.
type Version struct {
	Bucket     ID
	Key        string // bytes as the client sent them, 1..MaxKeyBytes
	ID         ID     // random for every write
	Owner      ID
	Size       int64 // plaintext bytes
	Modified   time.Time
	Generation uint32 // of the bucket key that wraps WrappedKey and seals ListRecord
	WrappedKey []byte // the object key, wrapped
	Manifest   []byte // sealed under the object key
	ListRecord []byte // sealed under the bucket's list key
	Body       Body
}

// ExpectKind says what a write demands of the key's present state.
type ExpectKind uint8

const (
	ExpectAny ExpectKind = iota
	ExpectAbsent
	ExpectVersion // exactly Expect.Version is current
)

// Expect is the condition of a compare-and-swap on a key.
type Expect struct {
	Kind    ExpectKind
	Version ID
}

// Commit makes a version current.
type Commit struct {
	Version Version
	Expect  Expect
	// Share: the body is live already and gets one more reference (copy).
	// Otherwise a BodyBlob must be reserved for Holder, and becomes live.
	Share  bool
	Holder ID
}

// Removal deletes a key.
type Removal struct {
	Key    string
	Expect Expect // ExpectAny or ExpectVersion
}

// ListQuery asks for current versions in the order of the keys' bytes.
type ListQuery struct {
	Bucket    ID
	Prefix    string
	Delimiter string // empty: none
	After     string // exclusive; compared with keys and common prefixes alike
	Limit     int    // 1..MaxPage entries, common prefixes included
}

// ListEntry is a version without its manifest, or a common prefix.
type ListEntry struct {
	CommonPrefix string // not empty: the other fields are unset
	Key          string
	Version      ID
	Owner        ID
	Size         int64
	Modified     time.Time
	Generation   uint32
	ListRecord   []byte
}

// ListPage is one page. When More is true, Next is the After of the next page.
type ListPage struct {
	Entries []ListEntry
	More    bool
	Next    string
}

// ObjectRef is what a consistency check needs of a version.
type ObjectRef struct {
	Bucket  ID
	Key     string
	Version ID
	Size    int64
	Body    Body
}

// Objects keeps the current version of every key.
type Objects interface {
	// Object returns the version, or ErrNotFound.
	Object(ctx context.Context, bucket ID, key string) (Version, error)
	// Find reads a bucket by its name and what one of its keys holds, in one look:
	// ErrNoBucket. The version's ID is zero where the key holds nothing.
	Find(ctx context.Context, bucket, key string) (Bucket, Version, error)
	// CommitObject makes c.Version current and condemns the body it displaces
	// when that loses its last reference. Errors: ErrNoBucket, ErrConflict (the
	// expectation failed), ErrReservationLost, ErrBodyGone, ErrUnknown.
	CommitObject(ctx context.Context, c Commit) error
	// RemoveObjects deletes at most MaxBatch distinct keys, each on its own
	// condition, in one transaction. The slice has one error per removal: nil
	// (an absent key included, under ExpectAny) or ErrConflict.
	RemoveObjects(ctx context.Context, bucket ID, rs []Removal, now time.Time) ([]error, error)
	// ListObjects costs what it returns: with a delimiter, keys under a common
	// prefix are skipped, not read.
	ListObjects(ctx context.Context, q ListQuery) (ListPage, error)
	// ScanObjects returns at most limit versions after (bucket, key) in the
	// order of (bucket, key), for consistency checks.
	ScanObjects(ctx context.Context, afterBucket ID, afterKey string, limit int) ([]ObjectRef, error)
}
