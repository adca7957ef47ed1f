package meta

import (
	"context"
	"errors"
	"time"
)

// UploadState is the life of a multipart upload.
type UploadState uint8

const (
	UploadOpen      UploadState = iota + 1 // accepts parts
	UploadCompleted                        // it is the body of one or more versions
	UploadDying                            // aborted, expired or without references: Sweep removes it
)

// Upload is a multipart upload in progress and, once completed, the shared body
// of the versions made from it.
type Upload struct {
	ID         ID
	Bucket     ID
	Key        string
	Owner      ID // the initiator
	Created    time.Time
	Generation uint32
	WrappedKey []byte // the parts key, wrapped under the bucket key
	Settings   []byte // sealed: headers, metadata and checksum of the future object
	State      UploadState
	// Revision grows with every stored or replaced part. Complete compares it, so
	// that exactly the checked parts are completed.
	Revision int64
	Version  ID // the version that Complete made; zero while open
	// Chosen are the parts that Complete named, as the ledger has them: nil while
	// open, and where edits of the ledger made them unreadable.
	Chosen []PartRun
}

// Part is one piece of an upload. Storing the same number again replaces the piece.
type Part struct {
	Upload   ID
	Number   int // 1..10000
	Attempt  ID  // random for every attempt
	Size     int64
	Modified time.Time
	Record   []byte // sealed under the parts key
	Blobs    []BlobID
}

// ProvePart is Prove for a part's row.
type ProvePart func(*Part) bool

// Proves reports whether a part's row is believed.
func (p ProvePart) Proves(part *Part) bool { return p == nil || p(part) }

// JudgeParts returns what proves the parts of an upload that is swept, under the rules
// of Prove. With ErrUnjudged the sweep ends before the upload; with another error the
// upload is dated now, and so waits while others are swept. Of a row that cannot be read,
// only the ID is set. nil believes every part.
type JudgeParts func(*Upload) (ProvePart, error)

// ErrUnjudged: an upload cannot be judged before its judge has read more.
var ErrUnjudged = errors.New("meta: the parts of an upload cannot be judged yet")

// PutPart stores a part. With Share its blobs are live and each gets one more
// reference (a copy of whole extents); otherwise they are reserved for Holder.
type PutPart struct {
	Part   Part
	Share  bool
	Holder ID
	// At, if set, is the required place of each shared blob, as in Commit.At.
	At []BackendID
	// Prove judges the row of the attempt that is replaced. The blobs of an unproven
	// one keep their references, and so their bytes.
	Prove ProvePart
}

// MaxClockSkew is the largest difference assumed between the clocks of gateways.
const MaxClockSkew = time.Hour

// PartRun is a run of consecutive part numbers.
type PartRun struct{ First, Count int }

// Complete turns an open upload into a version.
type Complete struct {
	Upload   ID
	Revision int64     // of the upload when its parts were checked
	Chosen   []PartRun // ascending; TrimUploads removes all others
	Settings []byte    // replace those of the upload
	Version  Version   // Body is {BodyUpload, Upload}
	Expect   Expect
	// Versioning, Newest and Prove are as in Commit.
	Versioning Versioning
	Newest     uint32
	Prove      Prove
}

// TrimPosition is a place in the order of Untrimmed. Since is when the upload was
// created, as far as its row was not edited.
type TrimPosition struct {
	Since time.Time
	ID    ID
}

// Untrimmed is a completed upload with surplus parts.
type Untrimmed struct {
	Upload
	At TrimPosition
}

// Trim removes the surplus parts of a completed upload.
type Trim struct {
	Upload ID
	// Chosen are the parts that stay, ascending; nil: all of them. A part that is not
	// proven stays too.
	Chosen []PartRun
	Prove  ProvePart
}

// UploadQuery asks for open uploads in the order of (key, upload id).
type UploadQuery struct {
	Bucket      ID
	Prefix      string
	Delimiter   string
	AfterKey    string // exclusive when AfterUpload is zero
	AfterUpload ID     // exclusive position within AfterKey
	Limit       int
}

// UploadEntry is an upload, WrappedKey and Settings included, or a common prefix.
type UploadEntry struct {
	CommonPrefix string
	Upload       Upload
}

// UploadPage is one page. When More is true, the Next fields continue it.
type UploadPage struct {
	Entries    []UploadEntry
	More       bool
	NextKey    string
	NextUpload ID // zero after a common prefix
}

// Uploads keeps multipart uploads and their parts.
type Uploads interface {
	// CreateUpload adds an open upload; ErrNoBucket; ErrVersioning unless its Generation,
	// if it has one, is the bucket's.
	CreateUpload(ctx context.Context, u Upload) error
	// Upload returns an upload in any state except UploadDying; ErrNotFound,
	// ErrUnreadable.
	Upload(ctx context.Context, id ID) (Upload, error)
	// PutPart stores or replaces a part of an open upload, and condemns the blobs
	// of the replaced attempt. ErrNotFound when the upload is not open;
	// ErrReservationLost, ErrBodyGone, ErrUnknown.
	PutPart(ctx context.Context, p PutPart) error
	// Parts returns at most limit parts with numbers above after, ascending,
	// of an upload that is open or was completed, until Sweep removes them.
	// Parts that Complete did not choose may be among them until TrimUploads.
	Parts(ctx context.Context, upload ID, after, limit int) ([]Part, error)
	// CompleteUpload commits the version. ErrNotFound when the upload is not open,
	// ErrConflict when its revision or the expectation does not match, ErrNoBucket,
	// ErrVersioning, ErrUnknown.
	CompleteUpload(ctx context.Context, c Complete) error
	// ResealUpload replaces an upload's sealed settings if they are still equal to
	// old; ErrConflict otherwise.
	ResealUpload(ctx context.Context, id ID, old, settings []byte) error
	// AbortUpload ends an open upload; ErrNotFound.
	AbortUpload(ctx context.Context, id ID) error
	// ListUploads returns open uploads only.
	ListUploads(ctx context.Context, q UploadQuery) (UploadPage, error)
	// ExpireUploads aborts at most limit open uploads created before t and
	// returns how many.
	ExpireUploads(ctx context.Context, t time.Time, limit int) (int, error)
	// ScanUploads returns at most limit uploads in any state with ids above after,
	// for consistency checks, each with the number of versions that refer to it. Columns that
	// an edit made unreadable are unset. Rows with no possible id are left out.
	ScanUploads(ctx context.Context, after ID, limit int) ([]UploadRef, error)
	// ScanParts returns the parts of an upload in any state. Columns that an edit made
	// unreadable are unset, so that the part does not open.
	ScanParts(ctx context.Context, upload ID, after, limit int) ([]Part, error)
	// Untrimmed returns at most limit completed uploads with parts that Complete
	// did not choose, above after in the order of positions. For an edited row that
	// cannot be read, only the ID, the state and the position are set.
	Untrimmed(ctx context.Context, after TrimPosition, limit int) ([]Untrimmed, error)
	// TrimUploads removes the parts of completed uploads that the caller has found
	// not to be chosen, at most limit rows in all; the blobs of a removed part are
	// dead since now. Untrimmed no longer returns an upload after the last of its
	// surplus parts. Uploads that Untrimmed would not return are skipped. At most
	// MaxBatch uploads. It counts as Sweep does; a limit below 1+MaxPartBlobs may
	// be exceeded by the first part.
	TrimUploads(ctx context.Context, uploads []Trim, limit int, now time.Time) (int, error)
	// Sweep removes a bounded piece of the remains of ended uploads and deleted
	// buckets: at most limit rows. It leaves alone uploads that ended (were
	// aborted, expired, or lost their last reference) at or after ended, so that
	// readers that began earlier still find the part rows; the blobs it condemns
	// are dead since now. A row that ended or was condemned more than MaxClockSkew
	// after now, by its own date, is dated now: a clock was wrong. The rows of parts
	// that are not proven go, and their blobs keep their references. It ends at an
	// upload that cannot be judged yet: see JudgeParts. It returns how many rows it removed or dated; 0
	// means that none is left, apart from that upload and those after it.
	Sweep(ctx context.Context, limit int, ended, now time.Time, judge JudgeParts) (int, error)
}

// UploadRef is the part of an upload that consistency checks need.
type UploadRef struct {
	ID     ID
	Bucket ID
	Key    string
	State  UploadState
	Refs   int64
}
