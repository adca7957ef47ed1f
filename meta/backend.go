package meta

import (
	"context"
	"time"
)

// BackendID numbers a backend within a deployment, from 1. A number is never
// reused. Zero is none.
type BackendID int32

// FirstBackend is the backend that a deployment begins with.
const FirstBackend BackendID = 1

// BackendState is the life of a backend: active ⇄ draining → retired.
type BackendState uint8

const (
	BackendActive   BackendState = iota + 1 // takes new blobs
	BackendDraining                         // takes no new blobs; its blobs move to Target
	BackendRetired                          // holds nothing; its name is free again
)

// Backend is the store's row of a backend. Its address and credentials are
// configuration and not kept here.
type Backend struct {
	ID      BackendID
	Name    string // unique among backends that are not retired
	State   BackendState
	Created time.Time
	// Epoch grows with the store's history, from 1. The backend holds a marker of
	// the newest epoch. It shows when the store was restored from an older copy,
	// before that store deletes blobs that only the lost rows knew; and when the
	// storage is another backend's.
	Epoch int64
	// Drain is the progress of the current draining.
	Drain Drain
}

// Drain is the progress of draining a backend. Its counts restart at zero with each
// DrainBackend.
type Drain struct {
	Target BackendID // zero unless draining
	Round  int64     // counts the calls of DrainBackend
	After  BlobID    // blobs up to this id were visited in the current pass
	Left   bool      // the current pass found a blob that is still there
	Blobs  int64     // moved
	Bytes  int64     // moved, sealed
}

// Move is the last step of moving a blob, after its bytes were copied to To.
type Move struct {
	ID       BlobID
	From, To BackendID
	Holder   ID // of the place of the copy
	// Only, if set, is the only version that refers to the blob. The demands of
	// other buckets then do not matter.
	Only *Referrer
	// Demands is the result of Demands before all buckets were found to permit the
	// move. It is ignored when Only is set.
	Demands int64
	Now     time.Time
}

// Referrer is a version, by the id of its write.
type Referrer struct {
	Bucket  ID
	Key     string
	Version ID
}

// Backends keeps the list of backends and the place of each blob.
//
// A blob has one place, in its row of the ledger. A moved blob also has, for a
// while, a dead copy at its former place. Copies for mirroring can become further
// rows; nothing outside the store and the engine's reader assumes one place.
type Backends interface {
	// ListBackends returns every backend by id, retired ones included.
	ListBackends(ctx context.Context) ([]Backend, error)
	// AddBackend adds an active backend. Only ID, Name, Created and Epoch of b are
	// used. ErrExists when the id or the name is taken; ErrLimit beyond
	// MaxBackends.
	AddBackend(ctx context.Context, b Backend) error
	// AdvanceEpoch changes the backend's Epoch from from to the greater to;
	// ErrConflict when it is not from.
	AdvanceEpoch(ctx context.Context, id BackendID, from, to int64) error
	// DrainBackend begins draining an active backend, or changes the target of a
	// draining one. ErrConflict unless target is another active backend and id is
	// not itself the target of a draining. ErrNotFound.
	DrainBackend(ctx context.Context, id, target BackendID) error
	// CancelDrain makes a draining backend active again; blobs that were moved stay
	// where they are. ErrNotFound, ErrConflict when it is not draining.
	CancelDrain(ctx context.Context, id BackendID) error
	// NoteDrain records progress. ErrConflict unless the backend is draining to
	// d.Target in the round d.Round and the lease is still l's. So a mover that was
	// paused, or whose draining was cancelled and begun again, writes nothing.
	NoteDrain(ctx context.Context, l Lease, id BackendID, d Drain) error
	// RetireBackend retires a draining backend that the caller found empty in a
	// whole pass of the round. ErrConflict unless it is draining in this round and
	// the lease is still l's; ErrNotEmpty while a bucket is placed on it or it has
	// a reservation or the place of a copy.
	RetireBackend(ctx context.Context, l Lease, id BackendID, round int64) error
	// MoveBuckets moves the placement of at most limit buckets from one backend to
	// another, which must be active (ErrConflict), and returns how many.
	MoveBuckets(ctx context.Context, from, to BackendID, limit int) (int, error)
	// Demands counts all buckets with a residency that were ever created. A caller
	// may move a blob if it reads this before it reads all buckets, and none of
	// them forbids the move.
	Demands(ctx context.Context) (int64, error)
	// MoveBlob records that a live blob is now at another backend, and condemns its
	// copy at the first. The other backend must be active and have a place for the
	// copy, reserved for the holder. ErrConflict when the blob is not live at from
	// or to is not active; ErrReservationLost when the place is not the holder's;
	// ErrDemands when a bucket may demand another place.
	MoveBlob(ctx context.Context, m Move) error
	// BlobBackends returns the place of each reserved or live blob: one entry for
	// each of at most MaxBatch ids, zero for a blob that is neither. Places of
	// copies do not count.
	BlobBackends(ctx context.Context, ids []BlobID) ([]BackendID, error)
}
