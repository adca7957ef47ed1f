package sqlstore

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

// A write depends on its bucket: that it exists, and on its versioning. A write locks
// something that every change of these locks as well. On an engine that runs
// transactions side by side, one row for all writers of a bucket is costly: Postgres
// stores the set of transactions that share a row's lock (a multixact) anew for
// each that joins, and a busy bucket uses up the space for such sets within days.
//
// So such an engine has Guards rows for each bucket. They repeat the bucket's
// versioning. A writer locks one of them, which few others use at the same time; a
// change locks all of them. Guards are absent while a gateway of a release without
// them may serve; then, and for a bucket whose guards are still to be made, writers
// lock the bucket's own row. A change locks that row too, in any case first.

// Guards is how many guards a bucket has.
const Guards = 128

// errUnguarded: the guard is absent, or has another versioning.
var errUnguarded = errors.New("sqlstore: the bucket has no such guard")

// unguarded is a transaction that locks the bucket's own row.
type unguarded struct{ Tx }

func (unguarded) Guard() int { return -1 }

// writeIn runs an intent that holds a bucket. Where the guard is not as the intent
// expects, the bucket's own row decides.
func (s *Store) writeIn(ctx context.Context, intent func(Tx) error) error {
	err := s.run.Write(ctx, intent)
	if errors.Is(err, errUnguarded) {
		err = s.run.Write(ctx, func(tx Tx) error { return intent(unguarded{tx}) })
	}
	return err
}

// holdVersioning returns ErrVersioning unless the bucket exists and has this
// versioning, and keeps both so until the transaction ends. The intent is run by
// writeIn.
func holdVersioning(tx Tx, id meta.ID, v meta.Versioning) error {
	if slot := tx.Guard(); slot >= 0 {
		return soon(tx, errUnguarded, "SELECT 1 FROM bucket_guards WHERE bucket_id = ? AND slot = ? AND versioning = ?"+forShare+InAnyOrder,
			id[:], slot, int64(v))
	}
	return soon(tx, meta.ErrVersioning, "SELECT 1 FROM buckets WHERE id = ? AND versioning = ?"+forShare+InAnyOrder, id[:], int64(v))
}

// holdBucket returns ErrNoBucket unless the bucket exists, and keeps it from
// being deleted until the transaction ends. The intent is run by writeIn.
func holdBucket(tx Tx, id meta.ID) error {
	if slot := tx.Guard(); slot >= 0 {
		return soon(tx, errUnguarded, "SELECT 1 FROM bucket_guards WHERE bucket_id = ? AND slot = ?"+forShare, id[:], slot)
	}
	return soon(tx, meta.ErrNoBucket, "SELECT 1 FROM buckets WHERE id = ?"+forShare, id[:])
}

// lockGuards waits for all writers of a bucket whose own row is locked, and stops
// later ones until the transaction ends.
func lockGuards(tx Tx, id meta.ID) error {
	if tx.Guard() < 0 {
		return nil
	}
	_, err := collect(tx, func(r Row) (slot int64, err error) { return slot, r.Scan(&slot) },
		"SELECT slot FROM bucket_guards WHERE bucket_id = ? ORDER BY slot"+forUpdate, id[:])
	return err
}

// addGuards makes the guards of a bucket that is new, or whose row is locked.
func addGuards(tx Tx, id meta.ID, v meta.Versioning) error {
	if tx.Guard() < 0 {
		return nil
	}
	_, err := tx.Exec(insertGuards, id[:], int64(v), Guards-1)
	return err
}

// mayGuard is a condition on the deployment's row: no gateway of a release without
// guards serves, or ever will.
const mayGuard = "sealing = 3"

const insertGuards = "INSERT INTO bucket_guards (bucket_id, slot, versioning) " +
	"SELECT ?, slots.slot, ? FROM generate_series(0, ?) AS slots(slot), deployment WHERE " + mayGuard + " ON CONFLICT DO NOTHING"

// changeGuards locks the guards of a bucket whose own row is locked, and tells them
// its new versioning.
func changeGuards(tx Tx, id meta.ID, v meta.Versioning) error {
	if tx.Guard() < 0 {
		return nil
	}
	if err := lockGuards(tx, id); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE bucket_guards SET versioning = ? WHERE bucket_id = ?", int64(v), id[:])
	return err
}

// dropGuards removes the guards of a bucket, which are locked.
func dropGuards(tx Tx, id meta.ID) error {
	if tx.Guard() < 0 {
		return nil
	}
	_, err := tx.Exec("DELETE FROM bucket_guards WHERE bucket_id = ?", id[:])
	return err
}

// GuardBuckets makes the guards of buckets above an id that have none, for an
// engine that has guards: one pass looks at limit buckets at most. It returns the
// last bucket that it looked at; a zero id: there was none. One pass does little, so
// that it holds nobody up.
func GuardBuckets(ctx context.Context, run Runner, after meta.ID, limit int) (last meta.ID, err error) {
	var bare []meta.ID
	err = run.Read(ctx, func(tx Tx) (err error) {
		bare, err = collect(tx, func(r Row) (id meta.ID, err error) { return id, r.Scan((*idColumn)(&id)) },
			"SELECT id FROM buckets WHERE id > ? AND EXISTS (SELECT 1 FROM deployment WHERE "+mayGuard+`)
				AND NOT EXISTS (SELECT 1 FROM bucket_guards WHERE bucket_id = buckets.id AND slot = 0) ORDER BY id LIMIT ?`,
			after[:], limit)
		return err
	})
	for _, id := range bare {
		if err == nil {
			err = guardBucket(ctx, run, id)
		}
		last = id
	}
	return last, err
}

func guardBucket(ctx context.Context, run Runner, id meta.ID) error {
	return run.Write(ctx, func(tx Tx) error {
		var v meta.Versioning
		err := tx.QueryRow("SELECT versioning FROM buckets WHERE id = ?"+forUpdate, id[:]).Scan(orZero(&v))
		if err != nil {
			if found(err, meta.ErrNoBucket) == meta.ErrNoBucket {
				return nil // it was deleted meanwhile
			}
			return err
		}
		return addGuards(tx, id, v)
	})
}
