package engine

import (
	"io"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Body is the plaintext of an object or a part on its way in.
type Body struct {
	// Reader yields exactly Size bytes and then io.EOF, or fails. An error at
	// the end in place of io.EOF means that the bytes were refused, and then
	// nothing of them becomes visible.
	Reader io.Reader
	Size   int64
	// Open says that Size is only the most that Reader yields: the body is what it
	// yields up to io.EOF. The blob is filled up to Size all the same, so that
	// Size must be close.
	Open bool
	MD5  []byte // Content-MD5: 16 bytes, or nil
	// ChecksumAlgorithm is that of the checksum that is computed; empty: none
	// is. The checksum is held against ChecksumValue, the client's claim, or
	// against a claim that comes in a trailer: then ClaimedLate is called after
	// Reader returned io.EOF. Without both nothing is claimed.
	ChecksumAlgorithm string
	ChecksumValue     []byte
	ClaimedLate       func() ([]byte, error)
	// Arrived is called once when the whole body is there and was found good. An
	// error ends the write, and nothing of it becomes visible. nil: nobody asks.
	Arrived func() error
}

// arrived calls Arrived.
func (b *Body) arrived() error {
	if b.Arrived == nil {
		return nil
	}
	return b.Arrived()
}

// Conditions are the If-* headers of a request. Empty fields do not apply.
type Conditions struct {
	IfMatch           string // a list of entity tags as sent, or *
	IfNoneMatch       string
	IfModifiedSince   time.Time
	IfUnmodifiedSince time.Time
	// Replaces is the tenant whose objects alone a write may take the place of;
	// the zero id: of none, so that the key must be vacant; nil: of anybody's.
	Replaces *meta.ID
	// Judged is what the right to write rests on, of what the key holds; nil: it does not
	// rest on that.
	Judged *Judged
}

// Range asks for a part of an object. Exactly one form is used.
type Range struct {
	First, Last int64 // inclusive; Last -1: to the end
	Suffix      int64 // > 0: the last Suffix bytes
}

// PutObject is the input of Engine.PutObject.
type PutObject struct {
	Bucket meta.Bucket
	Key    string
	Owner  meta.ID
	Attributes
	Marks      Marks
	Encryption meta.Encryption
	Customer   *CustomerKey // of EncryptionCustomer
	Body       Body
	Conditions Conditions // IfMatch and IfNoneMatch
	Vacant     bool       // what Engine.Vacant saw of the key; it decides nothing
}

// GetObject is the input of Engine.GetObject and Engine.HeadObject. At most one
// of Range and PartNumber is set.
type GetObject struct {
	Bucket     meta.Bucket
	Key        string
	Version    meta.VersionRef // zero: the current one
	Customer   *CustomerKey    // nil: none was sent
	Conditions Conditions
	Range      *Range
	PartNumber int    // 0: none
	Found      *Found // of the version, by Find or Look; nil: it is looked up
}

// DeleteObject names one object to be deleted.
type DeleteObject struct {
	Key string
	// Version is removed for good; zero: the key is deleted as the bucket's
	// versioning has it.
	Version meta.VersionRef
	Owner   meta.ID // of the delete marker that this may make
	Bypass  bool    // a governance retention is overridden
	IfMatch string  // an entity tag or *; empty: unconditional
	// IfSize and IfModified further restrict the deletion when set.
	IfSize     *int64
	IfModified time.Time
	// Replaces is as in Conditions, for a deletion that names no version.
	Replaces *meta.ID
	// Judged is what the right to delete rests on, of the version that is named or else
	// the current one; nil: it rests on neither.
	Judged *Judged
}

// Deleted is what became of a DeleteObject.
type Deleted struct {
	Err error // nil, PreconditionFailed, AccessDenied (a lock), or why it could not be decided
	// Marker reports that what was made, or was removed for good, is a delete
	// marker.
	Marker bool
	// Version names the marker that was made, or the version that was removed for
	// good; zero in a bucket whose versioning was never on.
	Version meta.VersionRef
	Size    int64 // of what was removed for good, plaintext bytes
}

// CopyObject is the input of Engine.CopyObject.
type CopyObject struct {
	SourceBucket     meta.Bucket
	SourceKey        string
	SourceVersion    meta.VersionRef // zero: the current one
	SourceFound      *Found          // see Subject, as SourcePermit
	SourcePermit     Permit
	SourceCustomer   *CustomerKey
	SourceConditions Conditions
	Bucket           meta.Bucket
	Key              string
	Owner            meta.ID
	// Attributes replace those of the source when Replace is set.
	Replace bool
	Attributes
	// Marks are those of the copy, except that with KeepTags its tags are the
	// source's, of the version that is copied. Neither ACL nor lock is ever copied.
	Marks             Marks
	KeepTags          bool
	Encryption        meta.Encryption
	Customer          *CustomerKey
	ChecksumAlgorithm string     // empty: that of the source
	Conditions        Conditions // on the destination
}

// RenameObject is the input of Engine.RenameObject.
type RenameObject struct {
	Bucket           meta.Bucket
	Source, Key      string
	Customer         *CustomerKey // of the object; nil: none was sent
	SourceConditions Conditions
	Conditions       Conditions // on what Key holds
	// Permit, if set, decides on what is to be renamed, and may be asked more than once.
	Permit Permit
	// Token makes the request one that is carried out once, however often the Asker
	// sends it; the same token of another is another. Empty: none. Asked is the source
	// as the client named it.
	Token, Asked string
	Asker        meta.ID // a user, a role, or a tenant for its root
}

// CreateUpload is the input of Engine.CreateUpload.
type CreateUpload struct {
	Bucket meta.Bucket
	Key    string
	Owner  meta.ID
	By     Initiator
	Attributes
	Marks             Marks // of the object to be
	Encryption        meta.Encryption
	Customer          *CustomerKey
	ChecksumAlgorithm string // empty: parts choose
	ChecksumType      string // empty: the algorithm's default
}

// UploadPart is the input of Engine.UploadPart.
type UploadPart struct {
	Bucket meta.Bucket
	Key    string
	Upload meta.ID
	Number int
	// Customer is the key that the upload was created with.
	Customer *CustomerKey
	Body     Body
}

// ListParts is the input of Engine.ListParts.
type ListParts struct {
	Bucket meta.Bucket
	Key    string
	Upload meta.ID
	// Customer is the key that the upload was created with. Without it the parts'
	// checksums, which are sealed under it, are not shown.
	Customer *CustomerKey
	After    int // the number of the part before the page
	Limit    int // parts in the page at most
}

// CopyPart is the input of Engine.CopyPart.
type CopyPart struct {
	SourceBucket     meta.Bucket
	SourceKey        string
	SourceVersion    meta.VersionRef // zero: the current one
	SourceFound      *Found          // see Subject, as SourcePermit
	SourcePermit     Permit
	SourceCustomer   *CustomerKey
	Customer         *CustomerKey // that of the upload
	SourceConditions Conditions
	SourceRange      *Range // First and Last only; nil: the whole object
	Bucket           meta.Bucket
	Key              string
	Upload           meta.ID
	Number           int
}

// CompletedPart is one line of a CompleteMultipartUpload request.
type CompletedPart struct {
	Number   int
	ETag     string    // without quotes
	Checksum *Checksum // nil: not given; Algorithm and Value only
}

// CompleteUpload is the input of Engine.CompleteUpload.
type CompleteUpload struct {
	Bucket     meta.Bucket
	Key        string
	Upload     meta.ID
	Parts      []CompletedPart
	Checksum   *Checksum // of the whole object as the client claims, or nil
	Type       string    // x-amz-checksum-type as sent
	Size       int64     // x-amz-mp-object-size; -1: not given
	Customer   *CustomerKey
	Conditions Conditions
}

// Upload describes a multipart upload in progress.
type Upload struct {
	ID                meta.ID
	Key               string
	Owner             meta.ID   // of the object to be
	By                Initiator // zero: begun by a release that did not say
	Created           time.Time
	ChecksumAlgorithm string
	ChecksumType      string
	StorageClass      string
	WebsiteRedirect   string
	Encryption        meta.Encryption
	Marks             Marks // of the object to be
}

// Initiator is who began an upload: a tenant's root, a user of it, or a session of a role.
type Initiator struct {
	Tenant    meta.ID
	Principal meta.ID // the user's or role's; the tenant's for its root
	Session   string  // its name
	ARN       string  // of a user or session, as it was called then
}

// UploadEntry is one line of ListUploads: a common prefix or an upload.
type UploadEntry struct {
	CommonPrefix string
	Upload
}

// UploadPage is one page of open uploads.
type UploadPage struct {
	Entries    []UploadEntry
	More       bool
	NextKey    string
	NextUpload meta.ID
}

// PartPage is one page of parts; Next is the number after which it continues.
type PartPage struct {
	Upload Upload
	Parts  []Part
	More   bool
	Next   int
	Total  int // parts in all, where known (completed objects)
}
