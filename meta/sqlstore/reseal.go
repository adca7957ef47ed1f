package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

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

// reseal changes the version's row in whichever table it is. One that goes from one to
// the other between the statements keeps its record, as one that was changed does.
func reseal(tx Tx, r *meta.Reseal) (int64, error) {
	const set = " SET list_record = ?, generation = ? WHERE bucket_id = ? AND key = ? AND version_id = ? AND revision = ?"
	values := []any{blob(r.ListRecord), int64(r.Generation), r.Bucket[:], text(r.Key), r.Version[:], r.Revision}
	n, err := tx.Exec("UPDATE objects"+set, values...)
	if err != nil || n > 0 {
		return n, err
	}
	return tx.Exec("UPDATE versions"+set+" AND public IN (?, ?)", append(values, r.Version[:], make([]byte, len(r.Version)))...)
}

func (s *Store) ResealUpload(ctx context.Context, id meta.ID, old, settings []byte) error {
	return s.run.Write(ctx, func(tx Tx) error {
		return changed(tx, meta.ErrConflict, "UPDATE uploads SET settings = ? WHERE id = ? AND settings = ?", blob(settings), id[:], blob(old))
	})
}
