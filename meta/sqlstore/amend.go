package sqlstore

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// AmendVersion implements meta.Objects. The revision in the condition makes it a
// compare-and-swap, so no row is read or locked before. A version is in one of two tables, and
// usually in objects, which is tried first.
// A marker is in neither UPDATE, because it has nothing that can be amended.
func (s *Store) AmendVersion(ctx context.Context, bucket meta.ID, a meta.Amendment) error {
	if err := checkChangeable(a.Marks, a.Class); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		values := []any{blob(a.Marks), text(a.Class), int64(a.Lock.Mode), lockUntil(a.Lock), number(a.Lock.Hold), blob(a.ListRecord),
			bucket[:], text(a.Key), a.Version[:], a.Revision}
		const amend = ` SET marks = ?, class = ?, lock_mode = ?, lock_until = ?, lock_hold = ?, list_record = ?, revision = revision + 1
			WHERE bucket_id = ? AND key = ? AND version_id = ? AND revision = ?`
		n, err := tx.Exec("UPDATE objects"+amend, values...)
		if err != nil || n > 0 {
			return err
		}
		// A version's public name is its id, or zero for the null version. Naming both lets the
		// statement use the primary index.
		n, err = tx.Exec("UPDATE versions"+amend+" AND public IN (?, ?) AND marker = 0", append(values, a.Version[:], make([]byte, len(a.Version)))...)
		if err != nil || n > 0 {
			return err
		}
		return unamended(tx, bucket, a)
	})
}

// unamended returns the reason why a version could not be changed. The version is
// always in one of the two tables, so this one statement finds it.
// It runs after both updates found no row, in the same transaction, and changes nothing.
func unamended(tx Tx, bucket meta.ID, a meta.Amendment) error {
	var revision int64
	err := tx.QueryRow(`SELECT revision FROM objects WHERE bucket_id = ? AND key = ? AND version_id = ?
		UNION ALL SELECT revision FROM versions WHERE bucket_id = ? AND key = ? AND version_id = ? AND public IN (?, ?) AND marker = 0`,
		bucket[:], text(a.Key), a.Version[:], bucket[:], text(a.Key), a.Version[:], a.Version[:], make([]byte, len(a.Version))).Scan(&revision)
	if err != nil {
		return found(err, meta.ErrNotFound)
	}
	if revision == a.Revision {
		return ErrRetry // it moved from one table to the other between the statements
	}
	return fmt.Errorf("%w: the version has revision %d", meta.ErrConflict, revision)
}
