// Package meta holds the domain of the gateway's store: buckets, objects, uploads,
// the ledger of blobs, and principals, with the contract that every store keeps. It
// holds no keys in the clear, no SQL and no S3 wording. All that it stores of an
// object beyond name, size and time was sealed by the caller.
//
// # The contract
//
// Every method is one atomic intent over a bounded number of rows. When it returns
// nil, the whole change is durable and visible to every later call on any gateway.
// When it returns one of this package's errors, nothing changed. The exception is
// ErrUnknown: the change may have happened, and the caller reads to find out. No
// transaction is handed out. All methods may be called concurrently. Methods do not
// keep byte slices of the caller; byte slices that they return belong to the
// caller. A cancelled context makes an intent fail before it is applied, never
// after.
//
// The conformance suite in metatest is the contract in full.
package meta

import (
	"context"
	"errors"
	"fmt"
)

// The errors of the contract. Adapters wrap them; callers use errors.Is.
var (
	// ErrNotFound: the row that the intent names does not exist.
	ErrNotFound = errors.New("meta: not found")
	// ErrExists: the name or id is taken.
	ErrExists = errors.New("meta: already exists")
	// ErrNoBucket: the bucket is gone, or never was.
	ErrNoBucket = errors.New("meta: no such bucket")
	// ErrNotEmpty: the row to delete still holds something.
	ErrNotEmpty = errors.New("meta: not empty")
	// ErrConflict: the row is not in the state that the caller expected;
	// nothing changed, and the caller may read again and retry.
	ErrConflict = errors.New("meta: changed meanwhile")
	// ErrVersioning: the bucket's versioning, or the newest generation of its keys,
	// differs from the caller's; nothing changed, and the caller reads the bucket again.
	ErrVersioning = errors.New("meta: versioning changed meanwhile")
	// ErrLocked: a lock forbids the removal.
	ErrLocked = errors.New("meta: locked")
	// ErrReservationLost: the blob is no longer reserved for the holder, because
	// the collector condemned it. Its bytes must not become an object.
	ErrReservationLost = errors.New("meta: reservation lost")
	// ErrBodyGone: a body to be shared is no longer live, or not where it was.
	ErrBodyGone = errors.New("meta: body gone")
	// ErrDemands: since the move was judged, buckets that demand a place may have
	// begun to refer to the blob; nothing changed, and the caller judges again.
	ErrDemands = errors.New("meta: demands of place changed meanwhile")
	// ErrUnreadable: an edit made the row that the intent names unreadable.
	ErrUnreadable = errors.New("meta: the row cannot be read")
	// ErrUnavailable: the store cannot be reached or has no room; retry later.
	ErrUnavailable = errors.New("meta: store unavailable")
	// ErrFull: the store has no room. It wraps ErrUnavailable; deletions may still
	// succeed.
	ErrFull = fmt.Errorf("%w: it has no room", ErrUnavailable)
	// ErrUnknown: the outcome of the commit could not be determined.
	ErrUnknown = errors.New("meta: outcome unknown")
	// ErrTooMany: the owner has as many of them as the caller allows it.
	ErrTooMany = errors.New("meta: too many")
	// ErrLimit: the intent asks for more than the contract's limits allow.
	ErrLimit = errors.New("meta: limit exceeded")
	// ErrUnfinished: the store is an incomplete copy of another.
	ErrUnfinished = errors.New("meta: the store is an unfinished copy of another")
	// ErrMoved: the store was copied, and the copy has replaced it.
	ErrMoved = errors.New("meta: the store was copied to another, which has taken its place")
)

// Limits of one intent. A caller with more splits its work.
const (
	MaxPage         = 1000      // rows returned by one listing
	MaxBatch        = 100       // rows changed by one batch intent
	MaxPartBlobs    = 64        // blobs that one part refers to
	MaxKeyBytes     = 1024      // an object's name
	MaxReservation  = 256       // blobs reserved by one call
	MaxBackends     = 64        // backends of a deployment, retired ones included
	MaxResidency    = 4         // entries of a bucket's residency
	MaxSettingName  = 128       // bytes of a setting's name
	MaxSetting      = 1 << 20   // bytes of a setting's document
	MaxSettings     = 1100      // settings of a bucket; S3 has up to 1000 of one kind
	MaxMarks        = 64 << 10  // bytes of a version's marks
	MaxClass        = 64        // bytes of a storage class
	MaxIdentity     = 256 << 10 // bytes of an identity's document
	MaxIdentityName = 128       // bytes of an identity's name
	MaxLimits       = 4 << 10   // bytes of a tenant's limits
	MaxRecord       = 64 << 10  // bytes of the sealed record of a bucket, a tenant or an access key
	MaxResealed     = 4 << 10   // bytes that record how far rows are resealed
	MaxPlaceName    = 64        // bytes of a backend's name or an entry of a residency
)

// Store is everything the gateway remembers.
type Store interface {
	Deployments
	Sealings
	Backends
	Leases
	Seeds
	Renewals
	Jobs
	Buckets
	Objects
	Uploads
	Ledger
	Principals
	Identities
	// Check reports whether the store answers and can be written to.
	Check(ctx context.Context) error
	Close() error
}
