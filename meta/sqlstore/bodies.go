package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// How references are counted. A blob in the table blobs has at least one reference.
// A completed upload counts the versions made from it, and its parts hold one
// reference each to their blobs until Sweep removes them.

// claimBlob turns the holder's reservation into a live blob with one reference.
// A reservation that another process has condemned is not there any more. So a holder that was
// paused cannot commit a blob that the collector may be deleting.
func claimBlob(tx Tx, id meta.BlobID, holder meta.ID) error {
	// A conflict means that another commit of the same blob was first.
	err := soon(tx, meta.ErrReservationLost, `INSERT INTO blobs (id, refs, backend)
		SELECT id, 1, backend FROM reservations WHERE id = ? AND holder = ? ON CONFLICT DO NOTHING`+InAnyOrder, id[:], holder[:])
	if err != nil {
		return err
	}
	return soon(tx, fmt.Errorf("claim blob %x: %w", id, ErrRetry),
		"DELETE FROM reservations WHERE id = ? AND holder = ?"+InAnyOrder, id[:], holder[:])
}

// shareBlob adds a reference to a live blob at a backend; zero accepts any backend.
// A blob whose last reference was dropped is in condemned and not in blobs, so it cannot be
// revived.
func shareBlob(tx Tx, id meta.BlobID, at meta.BackendID) error {
	if at == 0 {
		return soon(tx, meta.ErrBodyGone, "UPDATE blobs SET refs = refs + 1 WHERE id = ?"+InAnyOrder, id[:])
	}
	return soon(tx, meta.ErrBodyGone, "UPDATE blobs SET refs = refs + 1 WHERE id = ? AND backend = ?"+InAnyOrder, id[:], int64(at))
}

// dropBlob removes a reference, and condemns the blob when it was the last. The
// lock keeps the blob from being moved or shared meanwhile. An edited ledger may
// not count the reference. Then nothing is removed: the bytes stay as a blob
// without use, and the caller still drops its row.
func dropBlob(tx Tx, id meta.BlobID, now time.Time) error {
	b := blobRow{id: id}
	err := tx.QueryRow("SELECT refs, backend FROM blobs WHERE id = ?"+forUpdate, id[:]).Scan(&b.refs, &b.at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.drop(tx, now)
}

// blobRow is a blob's row that the transaction has locked.
type blobRow struct {
	id       meta.BlobID
	refs, at int64
}

// drop is dropBlob with the row read.
// refs below 1 is the work of an edit, and counts no reference that could be removed.
func (b *blobRow) drop(tx Tx, now time.Time) error {
	lost := fmt.Errorf("drop a reference to blob %x: %w", b.id, ErrRetry)
	switch {
	case b.refs > 1:
		return soon(tx, lost, "UPDATE blobs SET refs = refs - 1 WHERE id = ?"+InAnyOrder, b.id[:])
	case b.refs < 1:
		return nil
	}
	// The last reference: the row goes from blobs to condemned in this transaction, so that at
	// no moment the blob is in neither or both.
	if err := soon(tx, lost, "INSERT INTO condemned (id, backend, changed) VALUES (?, ?, ?)"+orAnew+InAnyOrder, b.id[:], b.at, micros(now)); err != nil {
		return err
	}
	return soon(tx, lost, "DELETE FROM blobs WHERE id = ?"+InAnyOrder, b.id[:])
}

// orAnew ends an INSERT into condemned. If an edit has already marked the blob
// dead, its grace period begins now.
const orAnew = " ON CONFLICT (id, backend) DO UPDATE SET changed = excluded.changed"

// addBody counts the reference of the version that is about to be written.
// A body of another kind, such as an upload that is not shared, is an error of the caller:
// CompleteUpload counts its own reference.
func addBody(tx Tx, c meta.Commit) error {
	b := c.Version.Body
	switch {
	case b.Kind == meta.BodyInline:
		return nil
	case b.Kind == meta.BodyBlob && c.Share:
		return shareBlob(tx, b.Blob, c.At)
	case b.Kind == meta.BodyBlob:
		return claimBlob(tx, b.Blob, c.Holder)
	case b.Kind == meta.BodyUpload && c.Share:
		return changed(tx, meta.ErrBodyGone,
			"UPDATE uploads SET refs = refs + 1 WHERE id = ? AND state IN (?, ?)",
			b.Upload[:], uploadCompleted, uploadTrimming)
	}
	return fmt.Errorf("commit of a body of kind %d, shared %t: no such intent", b.Kind, c.Share)
}

// dropBody removes the reference of a displaced or removed version.
// The row of the version goes in the same transaction, so no reader finds a version without its
// body.
func dropBody(tx Tx, b meta.Body, now time.Time) error {
	switch b.Kind {
	case meta.BodyBlob:
		return dropBlob(tx, b.Blob, now)
	case meta.BodyUpload:
		return dropUpload(tx, b.Upload, now)
	}
	return nil
}

// unreferred is the condition on a row of uploads that no version is made of its parts, and
// that it can be read by its id.
// refs is in the row that an edit changes, and the first name of the object does not find
// a copy or one that was renamed. A scalar query is not turned into a join, which could
// read the whole index. The number is meta.BodyUpload: as a parameter it would hide from
// the engine that the partial index has the row.
const unreferred = `LENGTH(uploads.id) = 16 AND (SELECT 1 FROM objects WHERE body_kind = 2 AND body_id = uploads.id LIMIT 1) IS NULL
	AND (SELECT 1 FROM versions WHERE body_kind = 2 AND body_id = uploads.id LIMIT 1) IS NULL`

// dropUpload removes a reference. With the last one it hands the upload to Sweep,
// in whatever state an edit has put it. A reference that is not counted is skipped,
// as in dropBlob; an upload that an edit has ended too early ends now, for its readers.
func dropUpload(tx Tx, id meta.ID, now time.Time) error {
	var refs int64
	err := tx.QueryRow("SELECT refs FROM uploads WHERE id = ?"+forUpdate, id[:]).Scan(&refs)
	lost := fmt.Errorf("drop a reference to upload %s: %w", id, ErrRetry)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case refs > 1:
		return soon(tx, lost, "UPDATE uploads SET refs = refs - 1 WHERE id = ?"+InAnyOrder, id[:])
	case refs < 1:
		return tx.Later(anyRows, "UPDATE uploads SET since = ? WHERE id = ? AND state = ?", micros(now), id[:], uploadDying)
	}
	return soon(tx, lost, "UPDATE uploads SET refs = 0, state = ?, since = ? WHERE id = ?"+InAnyOrder, uploadDying, micros(now), id[:])
}
