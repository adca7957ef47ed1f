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

// Version is one state of a key of a bucket: an object, or a delete marker. Size,
// Modified, Class and Lock are in the clear (quotas, listings, lifecycles, and
// what the store itself must refuse); all else that the client gave is sealed.
//
// A key's versions are ordered by when they were committed, never by a clock.
// The newest is the current one: the key holds an object if it is no marker.
type Version struct {
	Bucket     ID
	Key        string // bytes as the client sent them, 1..MaxKeyBytes
	ID         ID     // random for every write, of the null version too
	Null       bool   // clients name it "null": written while versioning was not on
	Marker     bool   // a delete marker: no size, keys, manifest, body or lock
	Owner      ID
	Size       int64 // plaintext bytes
	Modified   time.Time
	Generation uint32 // of the bucket key that wraps WrappedKey and seals ListRecord; of a marker without one, 0
	WrappedKey []byte // the object key, wrapped
	Manifest   []byte // sealed under the object key
	ListRecord []byte // sealed under the bucket's list key; it may vouch for the rest
	Body       Body
	Encryption Encryption
	// Class is the storage class as listings show it; empty: STANDARD.
	Class string
	Lock  Lock
	// Marks are what may be changed later without a new version (tags, ACL),
	// sealed under the bucket's list key; nil when there are none.
	Marks []byte
	// Revision counts the changes of Class, Lock and Marks.
	Revision int64

	// Latest and Displaced are the store's to say, and ignored in a Commit.
	Latest    bool      // the current version of its key
	Displaced time.Time // when it ceased to be current: its successor's Modified; zero for the current
}

// Ref is how this version is named.
func (v *Version) Ref() VersionRef {
	if v.Null {
		return VersionRef{Null: true}
	}
	return VersionRef{ID: v.ID}
}

// VersionRef names a version of a key: the one with the ID, the null version, or,
// as the zero value, whichever is current.
type VersionRef struct {
	ID   ID
	Null bool
}

// IsZero reports the name of the current version.
func (r VersionRef) IsZero() bool { return r == VersionRef{} }

// String is what clients call the version; empty for the current one.
func (r VersionRef) String() string {
	switch {
	case r.Null:
		return "null"
	case r.ID.IsZero():
		return ""
	}
	return r.ID.String()
}

// Encryption says who besides the gateway is needed to open a version.
type Encryption uint8

const (
	EncryptionManaged  Encryption = iota // SSE-S3: the gateway's keys alone
	EncryptionKMS                        // asked for as SSE-KMS; the key's name is in Marks
	EncryptionCustomer                   // SSE-C: the object key is also wrapped under the client's key
)

// Versioning is whether a bucket keeps what is overwritten and deleted.
type Versioning uint8

const (
	VersioningOff       Versioning = iota // and it never was on
	VersioningEnabled                     // every write is a version of its own
	VersioningSuspended                   // writes replace the null version; others stay
)

// LockMode is the kind of a retention.
type LockMode uint8

const (
	LockNone LockMode = iota
	LockGovernance
	LockCompliance
)

// Lock keeps a version from being removed.
type Lock struct {
	Mode  LockMode
	Until time.Time // of a Mode that is not LockNone
	Hold  bool      // a legal hold
}

// Forbids reports whether a version with the lock must stay at the time now.
// bypass overrides LockGovernance and nothing else.
func (l Lock) Forbids(now time.Time, bypass bool) bool {
	if l.Hold {
		return true
	}
	switch l.Mode {
	case LockNone:
		return false
	case LockGovernance:
		return !bypass && now.Before(l.Until)
	}
	return now.Before(l.Until) || l.Mode != LockCompliance // an unknown mode is never over
}

// ExpectKind says what a write demands of the key's present state.
type ExpectKind uint8

const (
	ExpectAny ExpectKind = iota
	ExpectAbsent
	ExpectVersion // exactly Expect.Version is current
	ExpectRow     // and nothing of it was changed since Expect.Revision
)

// Expect is the condition of a compare-and-swap on a key.
type Expect struct {
	Kind     ExpectKind
	Version  ID
	Revision int64 // the version's, of ExpectRow
}

// Commit makes a version current. Version.Null is false exactly when Versioning
// is VersioningEnabled.
type Commit struct {
	Version Version
	Expect  Expect
	// Versioning is the bucket's as the caller knows it: ErrVersioning when it is
	// another by now. It decides what becomes of the version that is displaced:
	// it is kept, except that a null version makes way for another.
	Versioning Versioning
	// Share: the body is live already and gets one more reference (copy).
	// Otherwise a BodyBlob must be reserved for Holder, and becomes live.
	Share  bool
	Holder ID
	// At, if set, is where a BodyBlob that is shared has to be, for the bucket
	// demands a place: ErrBodyGone when it has been moved.
	At BackendID
	// Vacant: the key held nothing when the caller looked, so that it may be
	// quicker to try whether it still does not. The outcome is the same either way.
	Vacant bool
}

// Removal deletes a key, or for good one version of it.
type Removal struct {
	Key    string
	Expect Expect // of the current version
	// Version names what is removed for good, marker or object. If it is current,
	// the newest of those that are left becomes so. As the zero value: the key is
	// deleted as the bucket's versioning has it, which is for good while that is
	// off, and else by making Marker current.
	Version VersionRef
	// Named is expected of the version that Version names, where it names one. A
	// marker is a version here: ExpectAbsent is for a name that nothing has.
	Named Expect
	// Marker is the delete marker to be: ID, Owner, Modified, Generation and
	// ListRecord are used. It is null unless versioning is enabled.
	Marker Version
	// Bypass overrides a governance retention.
	Bypass bool
}

// Removed is what became of a Removal.
type Removed struct {
	// Err is nil (what is absent already included, under ExpectAny), ErrConflict
	// or ErrLocked.
	Err error
	// Found is the version that was removed for good, without keys and sealed
	// parts; its ID is zero when nothing was.
	Found Version
	// Marked reports that the Removal's Marker was made current.
	Marked bool
}

// Amendment changes what may be changed of a version without making another.
type Amendment struct {
	Key     string
	Version ID // its ID, of the null version too
	// Revision is the version's as the caller read it: ErrConflict when it is
	// another by now.
	Revision   int64
	Marks      []byte
	Lock       Lock
	Class      string
	ListRecord []byte // of the version as it will be, its revision one higher
}

// Reseal gives a version another list record and leaves all else as it is.
type Reseal struct {
	Bucket     ID
	Key        string
	Version    ID    // its ID, of the null version too
	Revision   int64 // as the caller read it
	Generation uint32
	ListRecord []byte
}

// Rename gives what a key holds another key of the same bucket, whose versioning
// was never on. What To held is gone.
type Rename struct {
	Bucket   ID
	From, To string // not the same
	// Source and Revision are those of what From holds, as the caller read it:
	// ErrConflict when they are others by now.
	Source   ID
	Revision int64
	Expect   Expect // of To
	// Version is the new name's: ID, Generation, WrappedKey, Manifest, ListRecord and
	// Marks are used, for they are bound to the name. All else, the body and the
	// time included, stays what it is.
	Version Version
	Token   RenameToken
	Now     time.Time // when the body that To had is condemned
}

// RenameToken makes a rename known that is sent again.
type RenameToken struct {
	ID     [32]byte // zero: there is none
	Digest [32]byte // of all that was asked
}

// IsZero reports that a rename has no token.
func (t RenameToken) IsZero() bool { return t.ID == [32]byte{} }

// VersionQuery asks for versions and markers, keys in the order of their bytes
// and the newest version of a key first.
type VersionQuery struct {
	Bucket    ID
	Prefix    string
	Delimiter string // empty: none
	AfterKey  string // exclusive when AfterVersion is zero, else that key's rest comes first
	// AfterVersion is exclusive. If that version is gone, its key begins anew.
	AfterVersion VersionRef
	Limit        int // 1..MaxPage entries, common prefixes included
	// Brief asks for what listings show and nothing more: of the entries' versions
	// Body, Encryption, Lock, Marks and Revision stay unset.
	Brief bool
}

// VersionEntry is a version without WrappedKey and Manifest, or a common prefix.
type VersionEntry struct {
	CommonPrefix string // not empty: Version is unset
	Version      Version
}

// VersionPage is one page. When More is true, the Next fields continue it.
type VersionPage struct {
	Entries     []VersionEntry
	More        bool
	NextKey     string
	NextVersion VersionRef // zero after a common prefix
}

// Usage is what a bucket, or all buckets of a tenant, take up.
type Usage struct {
	Bytes    int64 // plaintext of versions
	Versions int64 // without delete markers
	Markers  int64 // delete markers
	// Uploads are those in progress, Parts what they have, and PartBytes the plaintext
	// of these. With Complete they become a version.
	Uploads, Parts, PartBytes int64
}

// Plus is the sum of two usages; one may be a change that takes away.
func (u Usage) Plus(more Usage) Usage {
	return Usage{
		Bytes: u.Bytes + more.Bytes, Versions: u.Versions + more.Versions, Markers: u.Markers + more.Markers,
		Uploads: u.Uploads + more.Uploads, Parts: u.Parts + more.Parts, PartBytes: u.PartBytes + more.PartBytes,
	}
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
	Null         bool
	Owner        ID
	Size         int64
	Modified     time.Time
	Class        string
	Generation   uint32
	ListRecord   []byte
}

// ListPage is one page. When More is true, Next is the After of the next page.
type ListPage struct {
	Entries []ListEntry
	More    bool
	Next    string
}

// ObjectPosition is a place in the order of (bucket, key, version), in which
// versions are scanned.
type ObjectPosition struct {
	Bucket  ID
	Key     string
	Version ID
}

// Objects keeps the versions of every key.
type Objects interface {
	// Object returns what the key holds, or ErrNotFound, also where the current
	// version is a marker.
	Object(ctx context.Context, bucket ID, key string) (Version, error)
	// Version returns the version named, which may be a marker; ErrNotFound.
	Version(ctx context.Context, bucket ID, key string, ref VersionRef) (Version, error)
	// Find reads a bucket by its name and what one of its keys holds, in one look:
	// ErrNoBucket. The version's ID is zero where the key holds nothing.
	Find(ctx context.Context, bucket, key string) (Bucket, Version, error)
	// Vacant reads a bucket by its name and whether one of its keys is without an
	// object, in one look: ErrNoBucket. See Commit.Vacant.
	Vacant(ctx context.Context, bucket, key string) (Bucket, bool, error)
	// CommitObject makes c.Version current. A null version that it displaces is
	// gone: its body is condemned when that loses its last reference. Errors:
	// ErrNoBucket, ErrVersioning, ErrConflict (the expectation failed),
	// ErrReservationLost, ErrBodyGone, ErrUnknown.
	CommitObject(ctx context.Context, c Commit) error
	// RemoveObjects carries out at most MaxBatch removals in one transaction, each
	// on its own condition, in their order; no two are of the same key and
	// version. A version whose lock forbids it at the time now stays. The bucket's
	// versioning is as in Commit: ErrVersioning. There is one answer per removal.
	RemoveObjects(ctx context.Context, bucket ID, v Versioning, rs []Removal, now time.Time) ([]Removed, error)
	// AmendVersion changes a version in place, but no marker; ErrNotFound, ErrConflict.
	AmendVersion(ctx context.Context, bucket ID, a Amendment) error
	// RenameObject is one intent for both keys: nobody sees the object under both, or
	// under neither. The key that is left holds nothing. The token is remembered with
	// the rename, and not without it. Errors: ErrNoBucket, ErrVersioning, ErrExists
	// (the token was used), ErrNotFound (From holds nothing), ErrConflict, ErrLocked,
	// ErrUnknown.
	RenameObject(ctx context.Context, r Rename) error
	// Renamed returns the digest that a rename's token came with; ErrNotFound.
	Renamed(ctx context.Context, token [32]byte) (digest [32]byte, err error)
	// ForgetRenames forgets at most limit tokens of renames made before a time, the
	// oldest first. It returns how many.
	ForgetRenames(ctx context.Context, before time.Time, limit int) (int, error)
	// ListObjects lists what keys hold, and costs what it returns: with a
	// delimiter, keys under a common prefix are skipped, not read.
	ListObjects(ctx context.Context, q ListQuery) (ListPage, error)
	// ListVersions lists all versions at the same price.
	ListVersions(ctx context.Context, q VersionQuery) (VersionPage, error)
	// ScanObjects returns at most limit versions above after, markers included and
	// without WrappedKey and Manifest, for consistency checks and ResealVersions.
	ScanObjects(ctx context.Context, after ObjectPosition, limit int) ([]Version, error)
	// ResealVersions carries out at most MaxBatch reseals and returns how many it did.
	// A version that is gone, or has another revision by now, is passed over.
	ResealVersions(ctx context.Context, rs []Reseal) (int, error)
	// BucketUsage is exact as of its reading. OwnerUsage is that of all buckets of
	// an owner, without such as are being deleted.
	BucketUsage(ctx context.Context, bucket ID) (Usage, error)
	OwnerUsage(ctx context.Context, owner ID) (Usage, error)
	// FoldUsage does a bounded piece of the bookkeeping that keeps reading usage
	// cheap: at most limit rows. It returns how many it did; 0: nothing is left.
	FoldUsage(ctx context.Context, limit int) (int, error)
}
