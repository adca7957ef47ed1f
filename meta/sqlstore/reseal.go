package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// ResealVersions implements meta.Objects.
func (s *Store) ResealVersions(ctx context.Context, rs []meta.Reseal) (done int, err error) {
	if len(rs) > meta.MaxBatch {
		return 0, checkCount("reseals", len(rs), meta.MaxBatch)
	}
	if len(rs) == 0 {
		return 0, ctx.Err()
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		done = 0
		for i := range rs {
			n, err := reseal(tx, &rs[i])
			if err != nil {
				return err
			}
			done += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

// reseal changes the version's row in the table that has it. A row that moves to
// the other table between the statements is retried; the transaction that moves it
// keeps its record.
func reseal(tx Tx, r *meta.Reseal) (int64, error) {
	const set = " SET list_record = ?, generation = ?"
	const row = " WHERE bucket_id = ? AND key = ? AND version_id = ? AND revision = ?"
	const public = " AND public IN (?, ?)"
	at := []any{r.Bucket[:], text(r.Key), r.Version[:], r.Revision}
	inVersions := append(at[:len(at):len(at)], r.Version[:], make([]byte, len(r.Version)))
	values := []any{blob(r.ListRecord), int64(r.Generation)}
	n, err := tx.Exec("UPDATE objects"+set+row, append(values[:2:2], at...)...)
	if err != nil || n > 0 {
		return n, err
	}
	n, err = tx.Exec("UPDATE versions"+set+row+public, append(values[:2:2], inVersions...)...)
	if err != nil || n > 0 {
		return n, err
	}
	there, err := exists(tx, "SELECT 1 FROM objects"+row+" UNION ALL SELECT 1 FROM versions"+row+public+" LIMIT 1",
		append(at[:len(at):len(at)], inVersions...)...)
	if err == nil && there {
		err = ErrRetry
	}
	return 0, err
}

// ResealUpload implements meta.Uploads. Sealed settings are random, so equal bytes are the same
// settings.
func (s *Store) ResealUpload(ctx context.Context, id meta.ID, old, settings []byte) error {
	return s.run.Write(ctx, func(tx Tx) error {
		return changed(tx, meta.ErrConflict, "UPDATE uploads SET settings = ? WHERE id = ? AND settings = ?", blob(settings), id[:], blob(old))
	})
}
