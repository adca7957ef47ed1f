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

// Body refers to the bytes of a version. Several versions may share one body: the
// store counts references, and condemns a body that has none left.
type Body struct {
	Kind   BodyKind
	Blob   BlobID // BodyBlob
	Upload ID     // BodyUpload
}

// Version is one state of a key of a bucket: an object, or a delete marker. Size,
// Modified, Class and Lock are in the clear, because quotas, listings, lifecycles
// and the store's own checks of locks need them. All else from the client is
// sealed.
//
// A key's versions are ordered by commit, never by a clock. The newest is the
// current one. The key holds an object if its current version is no marker.
type Version struct {
	Bucket     ID
	Key        string // bytes as the client sent them, 1..MaxKeyBytes
	ID         ID     // random for every write, also for a null version
	Null       bool   // clients name it "null": written while versioning was not enabled
	Marker     bool   // a delete marker: no size, keys, manifest, body or lock
	Owner      ID
	Size       int64 // plaintext bytes
	Modified   time.Time
	Generation uint32 // of the bucket key that wraps WrappedKey and seals ListRecord; 0 for a marker without one
	WrappedKey []byte // the object key, wrapped
	Manifest   []byte // sealed under the object key
	ListRecord []byte // sealed under the bucket's list key; it may vouch for the rest
	Body       Body
	Encryption Encryption
	// Class is the storage class as listings show it; empty means STANDARD.
	Class string
	Lock  Lock
	// Marks are the attributes that may change without a new version (tags, ACL),
	// sealed under the bucket's list key; nil when there are none.
	Marks []byte
	// Revision counts the changes of Class, Lock and Marks.
	Revision int64

	// The store sets Latest and Displaced. It ignores them in a Commit.
	Latest    bool      // the current version of its key
	Displaced time.Time // when it stopped being current: its successor's Modified; zero for the current
}

// Ref returns the name of this version.
func (v *Version) Ref() VersionRef {
	if v.Null {
		return VersionRef{Null: true}
	}
	return VersionRef{ID: v.ID}
}

// VersionRef names a version of a key: the one with the ID, the null version, or,
// as the zero value, the current one.
type VersionRef struct {
	ID   ID
	Null bool
}

// IsZero reports whether r names the current version.
func (r VersionRef) IsZero() bool { return r == VersionRef{} }

// String returns the clients' name of the version; empty for the current one.
func (r VersionRef) String() string {
	switch {
	case r.Null:
		return "null"
	case r.ID.IsZero():
		return ""
	}
	return r.ID.String()
}

// Encryption says which keys, beside the gateway's, are needed to open a version.
type Encryption uint8

const (
	EncryptionManaged  Encryption = iota // SSE-S3: the gateway's keys alone
	EncryptionKMS                        // requested as SSE-KMS; the key's name is in Marks
	EncryptionCustomer                   // SSE-C: the object key is also wrapped under the client's key
)

// Versioning says whether a bucket keeps overwritten and deleted versions.
type Versioning uint8

const (
	VersioningOff       Versioning = iota // never enabled
	VersioningEnabled                     // every write adds a version
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
	Until time.Time // set unless Mode is LockNone
	Hold  bool      // a legal hold
}

// Forbids reports whether a version with the lock must stay at the time now. bypass
// overrides LockGovernance only.
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
	return now.Before(l.Until) || l.Mode != LockCompliance // an unknown mode never expires
}

// ExpectKind is the condition of a write on the key's present state.
type ExpectKind uint8

const (
	ExpectAny ExpectKind = iota
	ExpectAbsent
	ExpectVersion // exactly Expect.Version is current
	ExpectRow     // as ExpectVersion, and unchanged since Expect.Revision
)

// Expect is the condition of a compare-and-swap on a key.
type Expect struct {
	Kind     ExpectKind
	Version  ID
	Revision int64 // the version's, for ExpectRow
}

// Prove reports whether a version's row, without WrappedKey and Manifest, is what was
// sealed. The store asks before it goes by the row to give up bytes: an edited row may
// name those of another object. It is called within a transaction, perhaps more than
// once, so it neither calls the store nor waits. nil believes every row.
type Prove func(*Version) bool

// Proves reports whether a version's row is believed.
func (p Prove) Proves(v *Version) bool { return p == nil || p(v) }

// Commit makes a version current. Version.Null is false exactly when Versioning
// is VersioningEnabled.
type Commit struct {
	Version Version
	Expect  Expect
	// Versioning is the bucket's as the caller knows it: ErrVersioning when it has
	// changed. It decides whether the displaced version is kept: it is, except that
	// a null version is replaced by another null version.
	Versioning Versioning
	// Newest is the bucket's generation as the caller knows it: ErrVersioning when there
	// is a newer one. So no write goes by an older generation, and Prove knows all that
	// rows may refer to. 0: it is not compared.
	Newest uint32
	// Share: the body is already live and gets one more reference (copy). Otherwise
	// a BodyBlob must be reserved for Holder, and becomes live.
	Share  bool
	Holder ID
	// At, if set, is the required place of a shared BodyBlob, because the bucket
	// demands one: ErrBodyGone when the blob has been moved.
	At BackendID
	// Vacant: the key held nothing when the caller looked, so the store tries the
	// insert first, which is faster. The outcome is the same either way.
	Vacant bool
	// Prove judges the row of a version that is removed. The body of an unproven one
	// keeps its reference, and so its bytes.
	Prove Prove
}

// Removal deletes a key, or removes one of its versions for good.
type Removal struct {
	Key    string
	Expect Expect // of the current version
	// Version names the version to remove for good, marker or object. If it is
	// current, the newest remaining version becomes current. As the zero value, the
	// key is deleted as the bucket's versioning requires: for good while versioning
	// was never enabled, otherwise by making Marker current.
	Version VersionRef
	// Named is the condition on the version that Version names, if it names one. A
	// marker counts as a version here: ExpectAbsent means that no version has the
	// name.
	Named Expect
	// Marker is the delete marker to add: ID, Owner, Modified, Generation and
	// ListRecord are used. It is null unless versioning is enabled.
	Marker Version
	// Bypass overrides a governance retention.
	Bypass bool
	// Newest and Prove are as in Commit. All removals of one call have the same Newest.
	Newest uint32
	Prove  Prove
}

// Removed is the outcome of a Removal.
type Removed struct {
	// Err is nil, ErrConflict or ErrLocked. An absent version is no error under
	// ExpectAny.
	Err error
	// Found is the version that was removed for good, without keys and sealed
	// parts; its ID is zero when none was.
	Found Version
	// Marked reports that the Removal's Marker was made current.
	Marked bool
}

// Amendment changes the changeable attributes of a version without a new version.
type Amendment struct {
	Key     string
	Version ID // its ID, also for the null version
	// Revision is the version's as the caller read it: ErrConflict when it has
	// changed.
	Revision   int64
	Marks      []byte
	Lock       Lock
	Class      string
	ListRecord []byte // of the changed version, whose revision is one higher
}

// Reseal replaces the list record of a version and leaves all else as it is.
type Reseal struct {
	Bucket     ID
	Key        string
	Version    ID    // its ID, also for the null version
	Revision   int64 // as the caller read it
	Generation uint32
	ListRecord []byte
}

// Rename moves the object of a key to another key of the same bucket, whose
// versioning was never enabled. It replaces the object of To.
type Rename struct {
	Bucket   ID
	From, To string // they must differ
	// Source and Revision are those of the object of From, as the caller read it:
	// ErrConflict when they have changed.
	Source   ID
	Revision int64
	Expect   Expect // of To
	// Version belongs to the new name. Only ID, Generation, WrappedKey, Manifest,
	// ListRecord and Marks are used, because they are bound to the name. All else,
	// the body and the time included, stays as it is.
	Version Version
	Token   RenameToken
	Now     time.Time // when the former body of To is condemned
	Newest  uint32    // as in Commit
	Prove   Prove     // as in Commit, of the former object of To
}

// RenameToken identifies a rename, so that a repeated request is recognised.
type RenameToken struct {
	ID     [32]byte // zero: no token
	Digest [32]byte // of the whole request
}

// IsZero reports whether there is no token.
func (t RenameToken) IsZero() bool { return t.ID == [32]byte{} }

// VersionQuery asks for versions and markers, keys in the order of their bytes
// and the newest version of a key first.
type VersionQuery struct {
	Bucket    ID
	Prefix    string
	Delimiter string // empty: none
	AfterKey  string // exclusive when AfterVersion is zero, else that key's rest comes first
	// AfterVersion is exclusive. If that version is gone, the page begins with the
	// key's first version.
	AfterVersion VersionRef
	Limit        int // 1..MaxPage entries, common prefixes included
	// Brief leaves out all that listings do not show: Body, Encryption, Lock, Marks
	// and Revision of the versions stay unset.
	Brief bool
}

// VersionEntry is a version without WrappedKey and Manifest, or a common prefix.
type VersionEntry struct {
	CommonPrefix string // if not empty, Version is unset
	Version      Version
}

// VersionPage is one page. When More is true, the Next fields continue it.
type VersionPage struct {
	Entries     []VersionEntry
	More        bool
	NextKey     string
	NextVersion VersionRef // zero after a common prefix
}

// Usage is the use of storage by a bucket, or by all buckets of a tenant.
type Usage struct {
	Bytes    int64 // plaintext of all versions
	Versions int64 // excluding delete markers
	Markers  int64 // delete markers
	// Uploads counts those in progress, Parts their parts, and PartBytes the
	// plaintext of these. Complete turns them into a version.
	Uploads, Parts, PartBytes int64
}

// Plus returns the sum of two usages; one may be a change with negative numbers.
func (u Usage) Plus(more Usage) Usage {
	return Usage{
		Bytes: u.Bytes + more.Bytes, Versions: u.Versions + more.Versions, Markers: u.Markers + more.Markers,
		Uploads: u.Uploads + more.Uploads, Parts: u.Parts + more.Parts, PartBytes: u.PartBytes + more.PartBytes,
	}
}

// Minus undoes Plus.
func (u Usage) Minus(less Usage) Usage {
	return u.Plus(Usage{
		Bytes: -less.Bytes, Versions: -less.Versions, Markers: -less.Markers,
		Uploads: -less.Uploads, Parts: -less.Parts, PartBytes: -less.PartBytes,
	})
}

// ListQuery asks for current versions in the order of the keys' bytes.
type ListQuery struct {
	Bucket    ID
	Prefix    string
	Delimiter string // empty: none
	After     string // exclusive; applies to keys and common prefixes alike
	Limit     int    // 1..MaxPage entries, common prefixes included
}

// ListEntry is a version without its manifest, or a common prefix.
type ListEntry struct {
	CommonPrefix string // if not empty, the other fields are unset
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

// ObjectPosition is a place in the order of scans: (bucket, key, version).
type ObjectPosition struct {
	Bucket  ID
	Key     string
	Version ID
}

// ScannedVersion is a row that a scan met. At is its place, from which the scan goes on:
// the version's bucket, key and id, unless an edit has changed one of them.
type ScannedVersion struct {
	Version
	At ObjectPosition
	// Err says why the row cannot be read, which only an edit causes. The columns that can be
	// read are set, and nothing may be decided by them.
	Err error
}

// Objects keeps the versions of every key.
type Objects interface {
	// Object returns the current version of the key; ErrNotFound if there is none,
	// or if it is a marker.
	Object(ctx context.Context, bucket ID, key string) (Version, error)
	// Version returns the version named, which may be a marker; ErrNotFound.
	Version(ctx context.Context, bucket ID, key string, ref VersionRef) (Version, error)
	// Find reads a bucket by its name and the object of one of its keys in one
	// query: ErrNoBucket. The version's ID is zero when the key holds nothing.
	Find(ctx context.Context, bucket, key string) (Bucket, Version, error)
	// Vacant reads a bucket by its name, and whether one of its keys has no object,
	// in one query: ErrNoBucket. See Commit.Vacant.
	Vacant(ctx context.Context, bucket, key string) (Bucket, bool, error)
	// CommitObject makes c.Version current. It removes a null version that it
	// displaces, and condemns its body if that has no reference left. Errors:
	// ErrNoBucket, ErrVersioning, ErrConflict (the expectation failed),
	// ErrReservationLost, ErrBodyGone, ErrUnknown.
	CommitObject(ctx context.Context, c Commit) error
	// RemoveObjects carries out at most MaxBatch removals in one transaction and in
	// their order, each on its own condition; no two may name the same key and
	// version. A version whose lock forbids removal at the time now stays. The
	// bucket's versioning and Newest are as in Commit: ErrVersioning. There is one answer per
	// removal.
	RemoveObjects(ctx context.Context, bucket ID, v Versioning, rs []Removal, now time.Time) ([]Removed, error)
	// AmendVersion changes a version in place; markers cannot be changed.
	// ErrNotFound, ErrConflict.
	AmendVersion(ctx context.Context, bucket ID, a Amendment) error
	// RenameObject is one intent for both keys: no reader sees the object under
	// both, or under neither. From holds nothing afterwards. The token is stored
	// exactly if the rename happens. Errors: ErrNoBucket, ErrVersioning, ErrExists
	// (the token was used), ErrNotFound (From holds nothing), ErrConflict,
	// ErrLocked, ErrUnknown.
	RenameObject(ctx context.Context, r Rename) error
	// Renamed returns the digest of the rename that used a token; ErrNotFound.
	Renamed(ctx context.Context, token [32]byte) (digest [32]byte, err error)
	// ForgetRenames removes at most limit tokens of renames made before a time, the
	// oldest first. It returns how many.
	ForgetRenames(ctx context.Context, before time.Time, limit int) (int, error)
	// ListObjects lists the objects of a bucket. Its cost is proportional to the
	// page: with a delimiter, keys under a common prefix are skipped, not read.
	ListObjects(ctx context.Context, q ListQuery) (ListPage, error)
	// ListVersions lists all versions at the same cost.
	ListVersions(ctx context.Context, q VersionQuery) (VersionPage, error)
	// ScanObjects returns at most limit versions above after, markers included and
	// without WrappedKey and Manifest, for consistency checks and ResealVersions. A row
	// that cannot be read is among them. Rows whose bucket has no possible id are not.
	ScanObjects(ctx context.Context, after ObjectPosition, limit int) ([]ScannedVersion, error)
	// ResealVersions carries out at most MaxBatch reseals and returns how many it
	// did. It skips versions that are gone or have another revision.
	ResealVersions(ctx context.Context, rs []Reseal) (int, error)
	// BucketUsage is exact at the time of reading. OwnerUsage sums all buckets of
	// an owner, except those that are being deleted.
	BucketUsage(ctx context.Context, bucket ID) (Usage, error)
	OwnerUsage(ctx context.Context, owner ID) (Usage, error)
	// FoldUsage does a bounded piece of the bookkeeping that keeps reading usage
	// cheap: at most limit rows. It returns how many it did; 0 means that none is
	// left.
	FoldUsage(ctx context.Context, limit int) (int, error)
}
