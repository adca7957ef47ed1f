package meta

import (
	"context"
	"time"
)

// BackendID numbers a backend within a deployment: 1 for the first, never used
// again for another. Zero is none.
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

// Backend is the store's row of a backend. Where it is and how it is reached is
// configuration and not kept here.
type Backend struct {
	ID      BackendID
	Name    string // unique among those that are not retired
	State   BackendState
	Created time.Time
	// Epoch grows with the store's history, from 1. The backend holds a marker of the
	// newest, so that a store restored from an older copy is noticed before it deletes
	// what only the lost rows knew, and another backend's storage is never taken for
	// this one.
	Epoch int64
	// Drain is how far the present draining has come.
	Drain Drain
}

// Drain is the progress of draining a backend. Its counts begin at zero each
// time draining is asked for.
type Drain struct {
	Target BackendID // zero unless draining
	Round  int64     // counts how often draining was asked for
	After  BlobID    // blobs up to this id were seen in the present pass
	Left   bool      // the present pass has met something that is still there
	Blobs  int64     // moved
	Bytes  int64     // moved, sealed
}

// Move is the end of a blob's move, once its bytes are at To.
type Move struct {
	ID       BlobID
	From, To BackendID
	Holder   ID // of the copy's place
	// Only, if set, is a version that is the only one to refer to the blob: no
	// other bucket's demands have to be asked.
	Only *Referrer
	// Demands is what Demands returned before all buckets were found to permit the
	// move. It is not looked at where Only is set.
	Demands int64
	Now     time.Time
}

// Referrer is a version, by the id that it was written with.
type Referrer struct {
	Bucket  ID
	Key     string
	Version ID
}

// Backends keeps which backends there are and which of them holds a blob.
//
// A blob has one place, in the ledger's row, and a moved one for a while a dead
// copy at the place it was moved from. Copies for mirroring can be rows of their
// own beside it; nothing outside the store and the engine's reader assumes one.
type Backends interface {
	// ListBackends returns every backend by id, the retired ones too.
	ListBackends(ctx context.Context) ([]Backend, error)
	// AddBackend adds an active backend: of b, ID, Name, Created and Epoch are
	// used. ErrExists when the id or the name is taken; ErrLimit beyond
	// MaxBackends.
	AddBackend(ctx context.Context, b Backend) error
	// AdvanceEpoch sets the backend's Epoch to another, which must be greater, if it
	// is from, else ErrConflict.
	AdvanceEpoch(ctx context.Context, id BackendID, from, to int64) error
	// DrainBackend begins draining an active backend, or changes the target of
	// a draining one. Target must be another active backend and id not itself a
	// draining's target: ErrConflict. ErrNotFound.
	DrainBackend(ctx context.Context, id, target BackendID) error
	// CancelDrain makes a draining backend active again; what has moved stays
	// moved. ErrNotFound, ErrConflict when it is not draining.
	CancelDrain(ctx context.Context, id BackendID) error
	// NoteDrain records progress. ErrConflict unless the backend is draining to
	// d.Target in the round d.Round and the lease is still l's: a mover that was
	// paused writes nothing, nor one whose draining was cancelled and asked for
	// again.
	NoteDrain(ctx context.Context, l Lease, id BackendID, d Drain) error
	// RetireBackend ends a draining backend, which the caller has found empty in
	// a whole pass of the round. ErrConflict unless it is draining in this round
	// and the lease is still l's; ErrNotEmpty while a bucket is placed on it or a
	// reservation or the place of a copy is left.
	RetireBackend(ctx context.Context, l Lease, id BackendID, round int64) error
	// MoveBuckets places at most limit buckets that are on one backend on
	// another, which must be active (ErrConflict), and returns how many.
	MoveBuckets(ctx context.Context, from, to BackendID, limit int) (int, error)
	// Demands counts the buckets with a residency that were ever made. Who reads it
	// before all buckets, and finds none that speaks against a move, may move.
	Demands(ctx context.Context) (int64, error)
	// MoveBlob says that a live blob is now at another backend, which must be
	// active, where a place for the copy is reserved for the holder; and condemns
	// its copy at the first. ErrConflict when the blob is not live at from or to is
	// not active; ErrReservationLost when the place is not the holder's;
	// ErrDemands when it is not sure that no bucket demands another place.
	MoveBlob(ctx context.Context, m Move) error
	// BlobBackends returns where each blob, reserved or live, is: one entry for
	// each of at most MaxBatch ids, zero for a blob that is neither. Places of
	// copies do not count.
	BlobBackends(ctx context.Context, ids []BlobID) ([]BackendID, error)
}
