package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Held implements meta.Ledger. Each table is read with the limit of its own, so that the union
// sorts at most twice as many rows.
func (s *Store) Held(ctx context.Context, holder meta.ID, after meta.BlobPosition, limit int) (bs []meta.Blob, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	const page = possibleBlob + " AND " + possiblePlace + " AND holder = ? AND (id, backend) > (?, ?) ORDER BY id, backend LIMIT ?) AS "
	id, at := after.ID[:], int64(after.Backend)
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		bs, err = collect(tx, scanBlob,
			"SELECT * FROM ("+reservedRow+page+"reserved UNION ALL SELECT * FROM ("+copyRow+page+"copied ORDER BY id, backend LIMIT ?",
			holder[:], id, at, limit, holder[:], id, at, limit, limit)
		return err
	})
	return bs, err
}

// Reclaim implements meta.Ledger.
func (s *Store) Reclaim(ctx context.Context, h meta.Holder, dead, kept []meta.Blob, keeper meta.ID, now time.Time) (condemned int, err error) {
	if n := len(dead) + len(kept); n > meta.MaxPage {
		return 0, checkCount("rows", n, meta.MaxPage)
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		condemned = 0
		// The lock stops the holder: its next beat and its next reservation wait for this
		// transaction. A commit does not, and needs not: it finds its reservation gone.
		still, err := exists(tx, "SELECT 1 FROM holders WHERE id = ? AND beat = ?"+forUpdate, h.ID[:], h.Beat)
		if err != nil {
			return err
		}
		if !still {
			return meta.ErrConflict
		}
		for _, b := range dead {
			done, err := condemnHeld(tx, h.ID, b, now)
			if err != nil {
				return err
			}
			if done {
				condemned++
			}
		}
		for _, b := range kept {
			if err := handOver(tx, h.ID, b, keeper); err != nil {
				return err
			}
		}
		return forgetHolder(tx, h.ID)
	})
	if err != nil {
		return 0, err
	}
	return condemned, nil
}

func condemnHeld(tx Tx, holder meta.ID, b meta.Blob, now time.Time) (bool, error) {
	switch b.State {
	case meta.BlobReserved:
		return condemnReserved(tx, holder, b.ID, now)
	case meta.BlobCopy:
		return condemnCopy(tx, holder, b.ID, b.Backend, now)
	}
	return false, noHeld(b)
}

// handOver changes nothing if the holder committed or released the blob meanwhile.
// The keeper need not be a process: the deployment keeps blobs in doubt.
func handOver(tx Tx, holder meta.ID, b meta.Blob, keeper meta.ID) (err error) {
	switch b.State {
	case meta.BlobReserved:
		_, err = tx.Exec("UPDATE reservations SET holder = ? WHERE id = ? AND holder = ?", keeper[:], b.ID[:], holder[:])
	case meta.BlobCopy:
		_, err = tx.Exec("UPDATE copies SET holder = ? WHERE id = ? AND backend = ? AND holder = ?", keeper[:], b.ID[:], int64(b.Backend), holder[:])
	default:
		err = noHeld(b)
	}
	return err
}

func noHeld(b meta.Blob) error {
	return fmt.Errorf("reclaim a blob in state %d: no such intent", b.State)
}

// forgetHolder removes a holder that has no rows left. The holder's row is locked,
// so that it cannot reserve meanwhile.
func forgetHolder(tx Tx, holder meta.ID) error {
	for _, query := range []string{"SELECT 1 FROM reservations WHERE holder = ? LIMIT 1", "SELECT 1 FROM copies WHERE holder = ? LIMIT 1"} {
		if held, err := exists(tx, query, holder[:]); err != nil || held {
			return err
		}
	}
	_, err := tx.Exec("DELETE FROM holders WHERE id = ?", holder[:])
	return err
}
