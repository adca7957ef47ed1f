package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// MoveBuckets implements meta.Backends.
// Blobs are not moved by it. New blobs of these buckets go to the target from then on.
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
			moved += int(n) // 0 if it was deleted meanwhile
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return moved, nil
}

// Demands implements meta.Backends.
func (s *Store) Demands(ctx context.Context) (n int64, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		return found(tx.QueryRow("SELECT demands FROM deployment").Scan(&n), meta.ErrNotFound)
	})
	return n, err
}

// MoveBlob implements meta.Backends. Everything is conditional: the blob is live at From, the
// place of the copy is the holder's, and nobody has begun to refer to the blob whose bucket was
// not asked.
func (s *Store) MoveBlob(ctx context.Context, m meta.Move) error {
	if m.From == m.To {
		return fmt.Errorf("move a blob of backend %d onto itself: %w", m.From, meta.ErrConflict)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdBackend(tx, m.To); err != nil {
			return err
		}
		if err := moveLiveBlob(tx, m); err != nil {
			return err
		}
		err := changed(tx, meta.ErrReservationLost, "DELETE FROM copies WHERE id = ? AND backend = ? AND holder = ?", m.ID[:], int64(m.To), m.Holder[:])
		if err != nil {
			return err
		}
		// A gateway of the previous release may have left a dead copy at the
		// target. The collector would delete it, and could not tell it from this
		// copy.
		left, err := exists(tx, "SELECT 1 FROM condemned WHERE id = ? AND backend = ?", m.ID[:], int64(m.To))
		if err != nil {
			return err
		}
		if left {
			return fmt.Errorf("a dead copy is left at backend %d: %w", m.To, meta.ErrConflict)
		}
		_, err = tx.Exec("INSERT INTO condemned (id, backend, changed) VALUES (?, ?, ?)"+orAnew, m.ID[:], int64(m.From), micros(m.Now))
		return err
	})
}

// moveLiveBlob changes the place of a live blob, if the references that the move was
// judged by are still the current ones.
func moveLiveBlob(tx Tx, m meta.Move) error {
	const query = "UPDATE blobs SET backend = ? WHERE id = ? AND backend = ?"
	if m.Only == nil {
		// The lock makes CreateBucket with demands wait, which raises the counter. So no such
		// bucket appears between this look and the end of the transaction.
		same, err := exists(tx, "SELECT 1 FROM deployment WHERE demands = ?"+forRead, m.Demands)
		if err == nil && !same {
			err = meta.ErrDemands
		}
		if err != nil {
			return err
		}
		return changed(tx, meta.ErrConflict, query, int64(m.To), m.ID[:], int64(m.From))
	}
	if err := changed(tx, meta.ErrConflict, query, int64(m.To), m.ID[:], int64(m.From)); err != nil {
		return err
	}
	// The blob's row is locked, so that its references cannot change.
	single, err := exists(tx, "SELECT 1 FROM blobs WHERE id = ? AND refs = 1", m.ID[:])
	if err != nil {
		return err
	}
	if !single {
		return meta.ErrDemands
	}
	return refersTo(tx, *m.Only, m.ID)
}

// refersTo returns ErrDemands unless the version's body is the blob.
func refersTo(tx Tx, v meta.Referrer, id meta.BlobID) error {
	var null meta.ID
	body := []any{int64(meta.BodyBlob), id[:]}
	found, err := exists(tx, "SELECT 1 FROM objects WHERE version_id = ? AND body_kind = ? AND body_id = ? AND bucket_id = ? AND key = ?",
		keyed(v.Bucket, v.Key, append([]any{v.Version[:]}, body...)...)...)
	if err != nil || found {
		return err
	}
	found, err = exists(tx, `SELECT 1 FROM versions WHERE version_id = ? AND body_kind = ? AND body_id = ? AND bucket_id = ? AND key = ?
		AND public IN (?, ?)`, append(keyed(v.Bucket, v.Key, append([]any{v.Version[:]}, body...)...), v.Version[:], null[:])...)
	if err == nil && !found {
		err = meta.ErrDemands
	}
	return err
}

// askSizes are the numbers of ids that one statement asks for. They are few, so
// that few statements are parsed and cached.
var askSizes = []int{1, 8, meta.MaxBatch}

// BlobBackends implements meta.Backends.
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

// askPlaces makes one statement, which sees a blob that becomes live meanwhile as
// either reserved or live. It repeats the last id to fill the size.
// An id that does not exist has no row, and so the zero backend.
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
