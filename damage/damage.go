// Package damage is what is said of stored data that is not what was written: whether an
// error means that, what the client is told, and the count and the log line that an
// operator finds it by. It mends nothing, and no text of it has an object's key.
package damage

import (
	"errors"
	"strings"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/meta"
)

// Kinds of damage.
const (
	// Bytes: a backend has, or sends, other bytes than were written, or fewer.
	Bytes = blobs.DamageBytes
	// Missing: a backend does not have a blob that the ledger says is there.
	Missing = blobs.DamageMissing
	// Copy: a copy of a blob is not what it was made of.
	Copy = blobs.DamageCopy
	// Row: a row of the store is not what was sealed of it.
	Row = "row"
)

// Damage is what was met of stored data that is not what was written. It is in the chain
// of the error that a request or step ends with, which is an InternalError: to try again
// does not help. Its text has no key, which no log may have.
type Damage struct {
	Kind     string
	Bucket   string      // name, as far as it is known; empty: of no bucket
	BucketID meta.ID     // zero: of no bucket
	Key      string      // empty: the object is not known, or it is none
	Version  meta.ID     // zero: as Key
	Blob     meta.BlobID // zero: it is a row
	Backend  string      // name; empty: the store
	cause    error
}

// Error describes the damage for a log.
func (d *Damage) Error() string {
	words := []string{"damage (" + d.Kind + ")"}
	if blob := d.BlobName(); blob != "" {
		words = append(words, "blob "+blob)
	}
	if d.Backend != "" {
		words = append(words, "at backend "+d.Backend)
	}
	if !d.BucketID.IsZero() {
		words = append(words, "of bucket "+d.BucketID.String())
	}
	if !d.Version.IsZero() {
		words = append(words, "version "+d.Version.String())
	}
	return strings.Join(words, " ") + ": " + d.cause.Error()
}

// BlobName is the name of the blob at the backend; empty: it is a row.
func (d *Damage) BlobName() string {
	if d.Blob == (meta.BlobID{}) {
		return ""
	}
	return backends.BlobID(d.Blob).String()
}

// Unwrap is what was seen.
func (d *Damage) Unwrap() error { return d.cause }

// ErrUnlike: a row and what was sealed of it disagree.
var ErrUnlike = errors.New("a row is not what was sealed of it")
