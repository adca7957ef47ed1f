package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

func (s *Store) MoveBuckets(ctx context.Context, from, to meta.BackendID, limit int) (moved int, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return 0, err
	}
	if from == to {
		return 0, fmt.Errorf("move buckets of backend %d onto itself: %w", from, meta.ErrConflict)
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		moved = 0
		if err := holdBackend(tx, to); err != nil {
			return err
		}
		ids, err := collect(tx, scanID, "SELECT id FROM buckets WHERE backend = ? ORDER BY id LIMIT ?", int64(from), limit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			n, err := tx.Exec("UPDATE buckets SET backend = ? WHERE id = ? AND backend = ?", int64(to), id[:], int64(from))
			if err != nil {
				return err
			}
			moved += int(n) // none: it was deleted meanwhile
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return moved, nil
}

func (s *Store) MoveBlob(ctx context.Context, id meta.BlobID, from, to meta.BackendID, now time.Time) error {
	if from == to {
		return fmt.Errorf("move a blob of backend %d onto itself: %w", from, meta.ErrConflict)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdBackend(tx, to); err != nil {
			return err
		}
		err := changed(tx, meta.ErrConflict, "UPDATE blobs SET backend = ? WHERE id = ? AND backend = ?", int64(to), id[:], int64(from))
		if err != nil {
			return err
		}
		// The collector may be about to delete the copy that was left at the
		// target, and could not tell it from this one. It is looked for after
		// the blob's row was locked: none is left but by who holds that row.
		left, err := exists(tx, "SELECT 1 FROM condemned WHERE id = ? AND backend = ?", id[:], int64(to))
		if err != nil {
			return err
		}
		if left {
			return fmt.Errorf("a dead copy is left at backend %d: %w", to, meta.ErrConflict)
		}
		_, err = tx.Exec("INSERT INTO condemned (id, backend, changed) VALUES (?, ?, ?)", id[:], int64(from), micros(now))
		return err
	})
}

// askSizes are how many ids one statement asks for, so that there are a few
// statements to be parsed and kept, and not one for each number of ids.
var askSizes = []int{1, 8, meta.MaxBatch}

func (s *Store) BlobBackends(ctx context.Context, ids []meta.BlobID) ([]meta.BackendID, error) {
	if len(ids) == 0 {
		return nil, ctx.Err()
	}
	if err := checkCount("blobs", len(ids), meta.MaxBatch); err != nil {
		return nil, err
	}
	type place struct {
		id meta.BlobID
		at int64
	}
	query, args := askPlaces(ids)
	var places []place
	err := s.run.Read(ctx, func(tx Tx) (err error) {
		places, err = collect(tx, func(r Row) (p place, err error) {
			err = r.Scan((*blobIDColumn)(&p.id), &p.at)
			return p, err
		}, query, args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	at := make(map[meta.BlobID]meta.BackendID, len(places))
	for _, p := range places {
		at[p.id] = meta.BackendID(p.at)
	}
	backends := make([]meta.BackendID, len(ids))
	for i, id := range ids {
		backends[i] = at[id]
	}
	return backends, nil
}

// askPlaces is one statement, so that a blob which becomes live meanwhile is
// seen either reserved or live. The last id fills what is too many.
func askPlaces(ids []meta.BlobID) (query string, args []any) {
	size := askSizes[0]
	for i := 1; size < len(ids); i++ {
		size = askSizes[i]
	}
	for range 2 {
		for i := range size {
			args = append(args, ids[min(i, len(ids)-1)][:])
		}
	}
	marks := "(?" + strings.Repeat(", ?", size-1) + ")"
	return "SELECT id, backend FROM blobs WHERE id IN " + marks + " UNION ALL SELECT id, backend FROM reservations WHERE id IN " + marks, args
}
