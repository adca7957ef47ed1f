package meta

import (
	"context"
	"time"
)

// BlobState is the life of a blob: reserved → live → dead → forgotten, or
// reserved → dead. There is no way back.
type BlobState uint8

const (
	BlobReserved BlobState = iota + 1 // may be written by its holder; nothing refers to it
	BlobLive                          // at least one version or part refers to it
	BlobDead                          // condemned: its bytes may be deleted
	// BlobCopy is a place for a copy of a blob that is live elsewhere. Its holder
	// writes it. It becomes live by MoveBlob, or dead.
	BlobCopy
)

// Blob is the ledger's row of one blob at one backend. A blob that is being moved
// has a second row for its new copy. A blob that was moved has a second, dead row
// for its old copy.
type Blob struct {
	ID      BlobID
	Backend BackendID
	State   BlobState
	Refs    int64
	Holder  ID        // of a reservation, or of a copy
	Changed time.Time // when it was reserved or condemned; paces collection only
}

// Holder is a gateway process that holds reservations. Beat grows while it lives. A
// process that sees it unchanged for long enough may reclaim its reservations.
// Clocks of processes are not compared.
type Holder struct {
	ID   ID
	Beat int64
	// Sealing is the one that the process writes by, with no earlier write still in
	// progress; 0 for the previous release, which has none, or before the first
	// beat.
	Sealing Sealing
}

// BlobPosition is a place in the order of scans of the ledger: (id, backend).
type BlobPosition struct {
	ID      BlobID
	Backend BackendID
}

// Ledger keeps every blob from before its first byte is written until after its
// bytes are deleted.
type Ledger interface {
	// Reserve adds at most MaxReservation blobs at a backend for the holder, and
	// registers the holder if it is unknown. ErrExists if an id is taken;
	// ErrConflict when the backend is not active.
	Reserve(ctx context.Context, holder ID, at BackendID, ids []BlobID, now time.Time) error
	// Release condemns reservations of the holder that will not be used. Blobs
	// in any other state are left alone.
	Release(ctx context.Context, holder ID, ids []BlobID, now time.Time) error
	// ReserveCopy adds a place for a copy of a blob that is live at another
	// backend, before its first byte is written there, and registers the holder if
	// it is unknown. It takes the place over from another holder: the bytes may
	// already be there, and the other's MoveBlob fails. ErrConflict when the blob
	// is not live at from, when to is not active, or when a dead copy at to has not
	// been deleted yet.
	ReserveCopy(ctx context.Context, holder ID, id BlobID, from, to BackendID, now time.Time) error
	// ReleaseCopy condemns the holder's copy of a blob at a backend, if there is
	// one.
	ReleaseCopy(ctx context.Context, holder ID, id BlobID, at BackendID, now time.Time) error
	// Beat raises the holder's beat by one, registers the holder if it is unknown,
	// and stores the sealing by which it writes. A Deployment read after it is at
	// least as recent as any SetSealing that did not see the holder.
	Beat(ctx context.Context, holder ID, writes Sealing) error
	// Holders returns all known holders.
	Holders(ctx context.Context) ([]Holder, error)
	// Held returns at most limit reservations and copies of a holder, above after in
	// the order of (id, backend).
	Held(ctx context.Context, holder ID, after BlobPosition, limit int) ([]Blob, error)
	// Reclaim divides the rows of a holder whose beat is still h.Beat; ErrConflict
	// otherwise. It condemns the reservations and copies in dead, assigns those in
	// kept to the keeper, and removes the holder when it has none left. Both have at
	// most MaxPage rows together. Only ID, Backend and State of a row count; a row
	// that the holder no longer has is left alone. The keeper need not be registered
	// and is not registered by this: an unregistered holder is never taken for
	// dead. It returns how many rows it condemned.
	Reclaim(ctx context.Context, h Holder, dead, kept []Blob, keeper ID, now time.Time) (int, error)
	// DeadBlobs returns at most limit blobs at the backend that were condemned
	// before t, oldest first.
	DeadBlobs(ctx context.Context, at BackendID, t time.Time, limit int) ([]BlobID, error)
	// Defer dates dead blobs at the backend as condemned now, which puts them
	// behind all that were condemned before. It is for blobs that could not be
	// deleted. At most MaxPage. Blobs that are not dead there are left alone.
	Defer(ctx context.Context, at BackendID, ids []BlobID, now time.Time) error
	// Forget removes dead blobs at the backend from the ledger, after their bytes
	// were deleted. Blobs that are not dead there are left alone.
	Forget(ctx context.Context, at BackendID, ids []BlobID) error
	// Blob returns a blob's reserved or live row, else one of its dead rows, or
	// ErrNotFound. It never returns the row of a copy.
	Blob(ctx context.Context, id BlobID) (Blob, error)
	// ScanBlobs returns at most limit rows above after in the order of (id,
	// backend).
	ScanBlobs(ctx context.Context, after BlobPosition, limit int) ([]Blob, error)
}
