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
	// BlobCopy is a place that may be written by its holder, who copies there a
	// blob that lives elsewhere. It becomes live by MoveBlob, or dead.
	BlobCopy
)

// Blob is the ledger's row of one blob at one backend. A blob that is being moved
// has a second row for the copy that is made, and one that was moved a dead one for
// the copy that it left behind.
type Blob struct {
	ID      BlobID
	Backend BackendID
	State   BlobState
	Refs    int64
	Holder  ID        // of a reservation, or of a copy
	Changed time.Time // when it was reserved or condemned; paces collection only
}

// Holder is a gateway process that holds reservations. Beat grows while it
// lives; who sees it stand still for long enough may inherit its reservations.
// No clocks are compared between processes.
type Holder struct {
	ID   ID
	Beat int64
	// Sealing is the one that it writes by, with no write by an earlier one under way;
	// 0: it is of a release before there were any, or has not beaten yet.
	Sealing Sealing
}

// BlobPosition is a place in the order of (id, backend), in which the ledger is
// scanned.
type BlobPosition struct {
	ID      BlobID
	Backend BackendID
}

// Ledger keeps every blob from before its first byte is written until after its
// bytes are gone.
type Ledger interface {
	// Reserve adds blobs at a backend, at most MaxReservation, for the holder and
	// makes it known if it is not. ErrExists if an id is taken; ErrConflict
	// when the backend is not active.
	Reserve(ctx context.Context, holder ID, at BackendID, ids []BlobID, now time.Time) error
	// Release condemns reservations of the holder that will not be used. Blobs
	// in any other state are left alone.
	Release(ctx context.Context, holder ID, ids []BlobID, now time.Time) error
	// ReserveCopy adds a place for a copy of a blob that is live at another backend,
	// before its first byte is written there, and makes the holder known if it is
	// not. A place that another holder has is taken over: what was copied may be
	// there, and the other's MoveBlob fails. ErrConflict when the blob is not live
	// at from, when to is not active, or when a dead copy there is still to be
	// deleted.
	ReserveCopy(ctx context.Context, holder ID, id BlobID, from, to BackendID, now time.Time) error
	// ReleaseCopy condemns the holder's copy of a blob at a backend, if it has one.
	ReleaseCopy(ctx context.Context, holder ID, id BlobID, at BackendID, now time.Time) error
	// Beat raises the holder's beat by one, making it known if it is not, and notes
	// by which sealing it writes. A Deployment read after it is no older than a
	// SetSealing that did not see the holder.
	Beat(ctx context.Context, holder ID, writes Sealing) error
	// Holders returns all known holders.
	Holders(ctx context.Context) ([]Holder, error)
	// Held returns at most limit reservations and copies of a holder, above after in
	// the order of (id, backend).
	Held(ctx context.Context, holder ID, after BlobPosition, limit int) ([]Blob, error)
	// Inherit divides what a holder leaves whose beat is still h.Beat, else
	// ErrConflict: it condemns the reservations and copies in dead, hands those in
	// kept to the heir, and forgets a holder that has none left. Both have at most
	// MaxPage rows together; of a row its ID, Backend and State count, and one that
	// the holder has no longer is left alone. The heir need not be known, and is not
	// made known: nobody takes it for dead. It returns how many rows it condemned.
	Inherit(ctx context.Context, h Holder, dead, kept []Blob, heir ID, now time.Time) (int, error)
	// DeadBlobs returns at most limit blobs at the backend that were condemned
	// before t, oldest first.
	DeadBlobs(ctx context.Context, at BackendID, t time.Time, limit int) ([]BlobID, error)
	// Defer puts dead blobs at the backend behind those that were condemned before now,
	// as if they had been condemned then: they could not be deleted. At most MaxPage.
	// Blobs that are not dead there are left alone.
	Defer(ctx context.Context, at BackendID, ids []BlobID, now time.Time) error
	// Forget removes dead blobs at the backend from the ledger, after their bytes
	// are gone. Blobs that are not dead there are left alone.
	Forget(ctx context.Context, at BackendID, ids []BlobID) error
	// Blob returns a blob's reserved or live row, else one of its dead ones, or
	// ErrNotFound. That of a copy is not returned.
	Blob(ctx context.Context, id BlobID) (Blob, error)
	// ScanBlobs returns at most limit rows above after in the order of (id,
	// backend).
	ScanBlobs(ctx context.Context, after BlobPosition, limit int) ([]Blob, error)
}
