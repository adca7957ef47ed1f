package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// ReserveCopy implements meta.Ledger.
// The mover reserves before it writes the first byte. If it dies, the place is found by its
// holder's row and condemned.
func (s *Store) ReserveCopy(ctx context.Context, holder meta.ID, id meta.BlobID, from, to meta.BackendID, now time.Time) error {
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdBackend(tx, to); err != nil {
			return err
		}
		if err := knowHolder(tx, holder); err != nil {
			return err
		}
		// The lock keeps the blob where it is until the place exists. After that, MoveBlob
		// decides again.
		live, err := exists(tx, "SELECT 1 FROM blobs WHERE id = ? AND backend = ? AND backend <> ?"+forRead, id[:], int64(from), int64(to))
		if err != nil {
			return err
		}
		if !live {
			return fmt.Errorf("the blob is not live at backend %d: %w", from, meta.ErrConflict)
		}
		// A place that an earlier mover reserved is taken over: only the one with the lease moves,
		// and the copy is written anew.
		_, err = tx.Exec(`INSERT INTO copies (id, backend, holder, changed) VALUES (?, ?, ?, ?)
			ON CONFLICT (id, backend) DO UPDATE SET holder = excluded.holder, changed = excluded.changed`,
			id[:], int64(to), holder[:], micros(now))
		if err != nil {
			return err
		}
		return claimNoneLeft(tx, id, to, now)
	})
}

// claimNoneLeft returns ErrConflict where a dead copy has not been deleted yet.
// This transaction may not see a row that another one adds when it condemns the
// place. So it adds the same row and removes it again, which makes the two collide.
func claimNoneLeft(tx Tx, id meta.BlobID, at meta.BackendID, now time.Time) error {
	left := fmt.Errorf("a dead copy is left at backend %d: %w", at, meta.ErrConflict)
	err := inserted(tx, left, "INSERT INTO condemned (id, backend, changed) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", id[:], int64(at), micros(now))
	if err != nil {
		return err
	}
	return soon(tx, ErrRetry, "DELETE FROM condemned WHERE id = ? AND backend = ?", id[:], int64(at))
}

// ReleaseCopy implements meta.Ledger.
// A place that the holder does not have is no error: the blob was moved there, or another has
// condemned it.
func (s *Store) ReleaseCopy(ctx context.Context, holder meta.ID, id meta.BlobID, at meta.BackendID, now time.Time) error {
	return s.run.Write(ctx, func(tx Tx) error {
		_, err := condemnCopy(tx, holder, id, at, now)
		return err
	})
}

// condemnCopy condemns the place of a copy if the holder has it.
// The live blob under the same id stays: only the row of this place is changed.
func condemnCopy(tx Tx, holder meta.ID, id meta.BlobID, at meta.BackendID, now time.Time) (bool, error) {
	n, err := tx.Exec(`INSERT INTO condemned (id, backend, changed)
		SELECT id, backend, ? FROM copies WHERE id = ? AND backend = ? AND holder = ?`+forUpdate+orAnew, micros(now), id[:], int64(at), holder[:])
	if err != nil || n == 0 {
		return false, err
	}
	return true, soon(tx, ErrRetry, "DELETE FROM copies WHERE id = ? AND backend = ?", id[:], int64(at))
}
