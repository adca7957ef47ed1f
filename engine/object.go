package engine

import (
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// The parts of a manifest that clients send and get back unchanged.
type (
	Pair       = encrypt.Pair
	Attributes = encrypt.Attributes
	Checksum   = encrypt.Checksum
)

// Object describes a version of an object.
type Object struct {
	Key      string
	ID       meta.ID         // random for every write
	Version  meta.VersionRef // how clients name it; zero while the bucket was never versioned
	Marker   bool            // a delete marker: only Key, ID, Version, Modified and Owner are set
	Latest   bool
	Size     int64  // plaintext bytes
	ETag     string // without quotes
	Modified time.Time
	Owner    meta.ID
	Attributes
	Marks      Marks
	Encryption meta.Encryption
	Checksum   *Checksum // nil when none was asked for
	Parts      int       // number of parts; 0 unless made by a multipart upload
	// CopiedFrom names the version that CopyObject copied; zero where its bucket was
	// never versioned.
	CopiedFrom meta.VersionRef
}

// ObjectEntry is one line of a listing: a common prefix, or an object with what
// a listing shows of it.
type ObjectEntry struct {
	CommonPrefix      string
	Key               string
	Size              int64
	ETag              string
	Modified          time.Time
	Owner             meta.ID
	StorageClass      string // empty: STANDARD
	ChecksumAlgorithm string // empty when the object has none
	ChecksumType      string
}

// ObjectPage is one page of a listing; Next continues it when More is true.
type ObjectPage struct {
	Entries []ObjectEntry
	More    bool
	Next    string
}

// VersionEntry is one line of a listing of versions: a common prefix, or a
// version or delete marker (then without size, ETag and checksum).
type VersionEntry struct {
	ObjectEntry
	Version   meta.VersionRef // the null version where the bucket was never versioned
	Marker    bool
	Latest    bool
	Displaced time.Time // when it ceased to be current; zero for the current one
}

// VersionPage is one page of versions; the Next fields continue it when More is
// true.
type VersionPage struct {
	Entries     []VersionEntry
	More        bool
	NextKey     string
	NextVersion meta.VersionRef
}

// Part describes one part of an upload or of a completed object.
type Part struct {
	Number   int
	Size     int64
	ETag     string
	Modified time.Time
	Checksum *Checksum
	// CopiedFrom is as in Object, of CopyPart.
	CopiedFrom meta.VersionRef
	// How the object to be is encrypted; unset for parts of an object.
	Encryption meta.Encryption
	KMSKey     string
	BucketKey  bool
}
