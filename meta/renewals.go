package meta

import "context"

// Renewal is what a version's row has under the newest generation of its bucket's keys,
// in place of what it had under an older one. Its Revision is one higher afterwards, so
// that nothing which was made of the row as it was is taken for it.
type Renewal struct {
	Bucket   ID
	Key      string
	Version  ID    // its ID, also for the null version
	Revision int64 // as the caller read it
	// Old says that the row was no object that is its key's current version.
	Old        bool
	Generation uint32
	WrappedKey []byte
	ListRecord []byte // of the row with the next revision
	Marks      []byte
}

// UploadRenewal is Renewal for the keys of an upload, which are still wrapped as Was.
type UploadRenewal struct {
	Upload     ID
	Was        []byte
	Generation uint32
	WrappedKey []byte
}

// Renewals brings what rows have under older generations of a bucket's keys under the
// newest.
type Renewals interface {
	// ScanKeys is ScanObjects with WrappedKey of the versions.
	ScanKeys(ctx context.Context, after ObjectPosition, limit int) ([]ScannedVersion, error)
	// RenewVersions carries out at most MaxBatch renewals and returns how many it did. It
	// passes over versions that are gone, have another revision or have moved between
	// current and not. ErrConflict unless the lease is still l's.
	RenewVersions(ctx context.Context, l Lease, rs []Renewal) (done int, err error)
	// ScanUploadKeys returns at most limit uploads in any state with ids above after, of
	// which ID, Bucket, Key, Generation and WrappedKey are set.
	ScanUploadKeys(ctx context.Context, after ID, limit int) ([]Upload, error)
	// RenewUploads is RenewVersions for uploads.
	RenewUploads(ctx context.Context, l Lease, rs []UploadRenewal) (done int, err error)
	// RenewSettings replaces the documents of at most MaxBatch settings of a bucket that
	// there are. The bucket's revision must still be c's: ErrConflict, also when the lease
	// is not l's any more; ErrNoBucket, ErrLimit; ErrNotFound when a setting is gone.
	RenewSettings(ctx context.Context, l Lease, id ID, c Change, settings []Setting) error
}
