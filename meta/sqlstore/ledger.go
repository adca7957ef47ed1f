package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Conditions on ids. An edit may have made one longer or shorter: it names nothing, and a row that
// cannot be read would end a step that all others need. Verify tells of the row.
const (
	possibleBlob = "LENGTH(id) = 20"
	possibleID   = "LENGTH(id) = 16"
	// The number of a backend is a meta.BackendID.
	possiblePlace = "backend BETWEEN 0 AND 2147483647"
)

// The ledger as one table. Postgres takes a bare NULL for text, so NULLs are cast.
const (
	reservedRow  = "SELECT id, backend, 1 AS state, 0 AS refs, holder, changed FROM reservations WHERE "
	liveRow      = "SELECT id, backend, 2 AS state, refs, CAST(NULL AS BYTEA) AS holder, 0 AS changed FROM blobs WHERE "
	copyRow      = "SELECT id, backend, 4 AS state, 0 AS refs, holder, changed FROM copies WHERE "
	condemnedRow = "SELECT id, backend, 3 AS state, 0 AS refs, CAST(NULL AS BYTEA) AS holder, changed FROM condemned WHERE "
)

// Reserve implements meta.Ledger.
// No commit can take a blob that is not in here: a row of reservations, durable before the first
// byte is sent, is what the collector finds after a crash.
func (s *Store) Reserve(ctx context.Context, holder meta.ID, at meta.BackendID, ids []meta.BlobID, now time.Time) error {
	if len(ids) > meta.MaxReservation {
		return checkCount("blobs", len(ids), meta.MaxReservation)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		// The order of locks: the backend first, the holder after it.
		if err := holdBackend(tx, at); err != nil {
			return err
		}
		if err := knowHolder(tx, holder); err != nil {
			return err
		}
		return insertReservations(tx, holder, at, ids, now)
	})
}

// insertReservations needs one statement for all blobs, and one for each table that
// must not have any of them.
func insertReservations(tx Tx, holder meta.ID, at meta.BackendID, ids []meta.BlobID, now time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	all := make([]any, len(ids))
	rows := make([]any, 0, 4*len(ids))
	for i := range ids {
		all[i] = ids[i][:]
		rows = append(rows, ids[i][:], holder[:], int64(at), micros(now))
	}
	for _, table := range []string{"blobs", "condemned"} {
		// Ids are random, so a collision is the work of an edit or a broken source of
		// randomness. An id that was used must never be written again, even if its blob is
		// dead.
		taken, err := exists(tx, "SELECT 1 FROM "+table+" WHERE id IN ("+repeated("?", len(ids))+") LIMIT 1", all...)
		if err != nil {
			return err
		}
		if taken {
			return meta.ErrExists
		}
	}
	n, err := tx.Exec("INSERT INTO reservations (id, holder, backend, changed) VALUES "+
		repeated("(?, ?, ?, ?)", len(ids))+" ON CONFLICT DO NOTHING", rows...)
	if err == nil && n != int64(len(ids)) {
		return meta.ErrExists
	}
	return err
}

// repeated returns a list of n equal items.
func repeated(item string, n int) string { return strings.Repeat(item+", ", n-1) + item }

// knowHolder registers the holder, and keeps its row until the transaction ends.
// Reservations of an unknown holder would stay for ever.
// Its beat is 0 until it beats. Others then see it stand still, and give it the same time as any
// other.
func knowHolder(tx Tx, holder meta.ID) error {
	known, err := exists(tx, "SELECT 1 FROM holders WHERE id = ?"+forShare, holder[:])
	if err != nil || known {
		return err
	}
	return inserted(tx, ErrRetry, "INSERT INTO holders (id, beat) VALUES (?, 0) ON CONFLICT DO NOTHING", holder[:])
}

// Release implements meta.Ledger.
// Blobs that were committed or condemned meanwhile are passed over. Those that are released become
// dead, and not forgotten: bytes may have been written.
func (s *Store) Release(ctx context.Context, holder meta.ID, ids []meta.BlobID, now time.Time) error {
	if len(ids) > meta.MaxReservation {
		return checkCount("blobs", len(ids), meta.MaxReservation)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		for _, id := range ids {
			if _, err := condemnReserved(tx, holder, id, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// condemnReserved condemns a blob if it is reserved for the holder. It relies on
// the lock and not on an earlier read, because a commit may have made the blob
// live.
// The insert and the removal are in one transaction: a blob without a row in any table could never
// be deleted.
func condemnReserved(tx Tx, holder meta.ID, id meta.BlobID, now time.Time) (bool, error) {
	n, err := tx.Exec(`INSERT INTO condemned (id, backend, changed)
		SELECT id, backend, ? FROM reservations WHERE id = ? AND holder = ?`+forUpdate+orAnew, micros(now), id[:], holder[:])
	if err != nil || n == 0 {
		return false, err
	}
	return true, soon(tx, ErrRetry, "DELETE FROM reservations WHERE id = ?", id[:])
}

// Beat implements meta.Ledger. It writes no time: others compare the number with the one they
// saw, by a clock of their own.
func (s *Store) Beat(ctx context.Context, holder meta.ID, writes meta.Sealing) error {
	return s.run.Write(ctx, func(tx Tx) error {
		if writes < meta.SealingWhole {
			// SetSealing changes this row. So either it sees this holder, or this
			// holder's next read sees the new sealing.
			if _, err := exists(tx, "SELECT 1 FROM deployment"+forRead); err != nil {
				return err
			}
		}
		_, err := tx.Exec("INSERT INTO holders (id, beat, sealing) VALUES (?, 1, ?)"+
			" ON CONFLICT (id) DO UPDATE SET beat = "+oneMore("holders.beat")+", sealing = excluded.sealing", holder[:], int64(writes))
		return err
	})
}

const holderColumns = "id, beat, sealing"

func scanHolder(r Row) (h meta.Holder, err error) {
	err = r.Scan((*idColumn)(&h.ID), &h.Beat, orZero(&h.Sealing))
	return h, err
}

// Holders implements meta.Ledger. There are as many rows as gateways, so it needs no pages.
func (s *Store) Holders(ctx context.Context) (hs []meta.Holder, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		hs, err = collect(tx, func(r Row) (meta.Holder, error) { return scanHolder(&lenientRow{Row: r}) },
			"SELECT "+holderColumns+" FROM holders WHERE "+possibleID+" ORDER BY id")
		return err
	})
	return hs, err
}

func scanBlobID(r Row) (id meta.BlobID, err error) {
	err = r.Scan((*blobIDColumn)(&id))
	return id, err
}

// DeadBlobs implements meta.Ledger, by an index over (backend, changed).
func (s *Store) DeadBlobs(ctx context.Context, at meta.BackendID, t time.Time, limit int) (ids []meta.BlobID, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		ids, err = collect(tx, scanBlobID,
			"SELECT id FROM condemned WHERE backend = ? AND changed < ? AND "+possibleBlob+" ORDER BY changed, id LIMIT ?", int64(at), micros(t), limit)
		return err
	})
	return ids, err
}

// Defer implements meta.Ledger.
// It moves blobs that could not be deleted to the end of the order, so that they do not hold up
// the others.
func (s *Store) Defer(ctx context.Context, at meta.BackendID, ids []meta.BlobID, now time.Time) error {
	if len(ids) > meta.MaxPage {
		return checkCount("blobs", len(ids), meta.MaxPage)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		for _, id := range ids {
			err := tx.Later(anyRows, "UPDATE condemned SET changed = ? WHERE id = ? AND backend = ?", micros(now), id[:], int64(at))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget implements meta.Ledger. It removes rows of condemned only, so a blob that is live at
// the backend survives a call with its id.
// The bytes must be gone from the backend before: nothing else remembers the blob.
func (s *Store) Forget(ctx context.Context, at meta.BackendID, ids []meta.BlobID) error {
	if len(ids) > meta.MaxPage {
		return checkCount("blobs", len(ids), meta.MaxPage)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		for _, id := range ids {
			err := tx.Later(anyRows, "DELETE FROM condemned WHERE id = ? AND backend = ?", id[:], int64(at))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func scanBlob(r Row) (b meta.Blob, err error) {
	var state int64
	err = r.Scan((*blobIDColumn)(&b.ID), &b.Backend, &state, &b.Refs, (*idColumn)(&b.Holder), (*timeColumn)(&b.Changed))
	b.State = meta.BlobState(state)
	if b.State == meta.BlobLive {
		b.Changed = time.Time{} // live blobs have no such time
	}
	return b, err
}

// Blob implements meta.Ledger. The states are numbered so that the order by state puts a
// reserved or live row before a dead one.
// A copy under way is not among them, because it is not where readers look for the blob.
func (s *Store) Blob(ctx context.Context, id meta.BlobID) (b meta.Blob, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		b, err = scanBlob(tx.QueryRow(
			"SELECT * FROM ("+reservedRow+"id = ? UNION ALL "+liveRow+"id = ? UNION ALL "+condemnedRow+
				"id = ?) AS places ORDER BY state, backend LIMIT 1", id[:], id[:], id[:]))
		return found(err, meta.ErrNotFound)
	})
	return b, err
}

// ScanBlobs implements meta.Ledger. One statement reads the four tables, so that a blob that
// changes its state meanwhile is seen in one state.
func (s *Store) ScanBlobs(ctx context.Context, after meta.BlobPosition, limit int) (bs []meta.Blob, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	const page = possibleBlob + " AND " + possiblePlace + " AND (id, backend) > (?, ?) ORDER BY id, backend LIMIT ?) AS "
	id, at := after.ID[:], int64(after.Backend)
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		bs, err = collect(tx, func(r Row) (meta.Blob, error) { return scanBlob(&lenientRow{Row: r}) },
			"SELECT * FROM ("+reservedRow+page+"reserved UNION ALL SELECT * FROM ("+liveRow+page+
				"live UNION ALL SELECT * FROM ("+copyRow+page+"copied UNION ALL SELECT * FROM ("+condemnedRow+page+
				"dead ORDER BY id, backend LIMIT ?",
			id, at, limit, id, at, limit, id, at, limit, id, at, limit, limit)
		return err
	})
	return bs, err
}
