package sqlstore

import (
	"context"
	"errors"
	"math"

	"github.com/sanctum-storage/gateway/meta"
)

// A write depends on its bucket: on its existence and its versioning. So a write
// locks a row that every change of these locks as well. On an engine that runs
// transactions side by side, one row for all writers of a bucket is costly:
// Postgres stores the set of transactions that share a row's lock (a multixact)
// again for each one that joins, and a busy bucket uses up the space for such sets
// within days.
//
// So such an engine has Guards rows for each bucket, which repeat the bucket's
// versioning and generation. A writer locks one of them, which few others use at the same time; a
// change locks all of them. There are no guards while a gateway of a release
// without them may serve. Then, and for a bucket whose guards have not been made
// yet, writers lock the bucket's own row. A change always locks the bucket's row
// first.

// Guards is the number of guards of a bucket.
const Guards = 128

// errUnguarded: the guard is missing, or has another versioning or generation.
var errUnguarded = errors.New("sqlstore: the bucket has no such guard")

// unguarded is a transaction that locks the bucket's own row.
type unguarded struct{ Tx }

func (unguarded) Guard() int { return -1 }

// writeIn runs an intent that holds a bucket. If the guard differs from the
// intent's expectation, the intent runs again on the bucket's own row.
func (s *Store) writeIn(ctx context.Context, intent func(Tx) error) error {
	err := s.run.Write(ctx, intent)
	if errors.Is(err, errUnguarded) {
		err = s.run.Write(ctx, func(tx Tx) error { return intent(unguarded{tx}) })
	}
	return err
}

// holdVersioning returns ErrVersioning unless the bucket exists with this
// versioning and this generation, 0 for any, and keeps it so until the transaction ends.
// Only writeIn runs such intents.
// With a guard the check is part of the statement's condition, so that it costs no round trip of
// its own. errUnguarded may mean a missing guard as well as another versioning, and writeIn tells
// them apart.
func holdVersioning(tx Tx, id meta.ID, v meta.Versioning, generation uint32) error {
	least, most := generations(generation)
	if slot := tx.Guard(); slot >= 0 {
		return soon(tx, errUnguarded, "SELECT 1 FROM bucket_guards WHERE bucket_id = ? AND slot = ? AND versioning = ? AND generation BETWEEN ? AND ?"+forShare+InAnyOrder,
			id[:], slot, int64(v), least, most)
	}
	return soon(tx, meta.ErrVersioning, "SELECT 1 FROM buckets WHERE id = ? AND versioning = ? AND generation BETWEEN ? AND ?"+forShare+InAnyOrder,
		id[:], int64(v), least, most)
}

// generations are the bounds of what a bucket's generation may be; 0 stands for any.
func generations(generation uint32) (least, most int64) {
	if generation == 0 {
		return 0, math.MaxUint32
	}
	return int64(generation), int64(generation)
}

// holdGeneration is holdVersioning whatever the versioning is.
func holdGeneration(tx Tx, id meta.ID, generation uint32) error {
	least, most := generations(generation)
	if slot := tx.Guard(); slot >= 0 {
		return soon(tx, errUnguarded, "SELECT 1 FROM bucket_guards WHERE bucket_id = ? AND slot = ? AND generation BETWEEN ? AND ?"+forShare,
			id[:], slot, least, most)
	}
	return soon(tx, meta.ErrVersioning, "SELECT 1 FROM buckets WHERE id = ? AND generation BETWEEN ? AND ?"+forShare, id[:], least, most)
}

// lockGuards waits for all writers of a bucket, and blocks later ones until the
// transaction ends. The bucket's own row must be locked.
// The order of slots keeps two transactions that lock all guards from a deadlock.
func lockGuards(tx Tx, id meta.ID) error {
	if tx.Guard() < 0 {
		return nil
	}
	_, err := collect(tx, func(r Row) (slot int64, err error) { return slot, r.Scan(&slot) },
		"SELECT slot FROM bucket_guards WHERE bucket_id = ? ORDER BY slot"+forUpdate, id[:])
	return err
}

// addGuards makes the guards of a bucket that is new or whose row is locked.
// Guards that exist already stay as they are.
func addGuards(tx Tx, id meta.ID, v meta.Versioning, generation uint32) error {
	if tx.Guard() < 0 {
		return nil
	}
	_, err := tx.Exec(insertGuards, id[:], int64(v), int64(generation), Guards-1)
	return err
}

// mayGuard is a condition on the deployment's row: no gateway of a release without
// guards serves, now or later.
const mayGuard = "sealing = 3"

const insertGuards = "INSERT INTO bucket_guards (bucket_id, slot, versioning, generation) " +
	"SELECT ?, slots.slot, ?, ? FROM generate_series(0, ?) AS slots(slot), deployment WHERE " + mayGuard + " ON CONFLICT DO NOTHING"

// changeGuards locks the guards of a bucket whose own row is locked, and gives one of
// their columns a new value.
func changeGuards(tx Tx, id meta.ID, column string, value int64) error {
	if tx.Guard() < 0 {
		return nil
	}
	if err := lockGuards(tx, id); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE bucket_guards SET "+column+" = ? WHERE bucket_id = ?", value, id[:])
	return err
}

// dropGuards removes the guards of a bucket. They must be locked.
func dropGuards(tx Tx, id meta.ID) error {
	if tx.Guard() < 0 {
		return nil
	}
	_, err := tx.Exec("DELETE FROM bucket_guards WHERE bucket_id = ?", id[:])
	return err
}

// GuardBuckets makes missing guards for the buckets above an id, for an engine that
// has guards. One call handles at most limit buckets, so that it holds up no other
// transaction. It returns the last bucket that it handled; a zero id if there was
// none.
// Each bucket has a transaction of its own. After an error, the buckets up to last are done.
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
		var generation uint32
		err := tx.QueryRow("SELECT versioning, generation FROM buckets WHERE id = ?"+forUpdate, id[:]).Scan(orZero(&v), orZero(&generation))
		if err != nil {
			if found(err, meta.ErrNoBucket) == meta.ErrNoBucket {
				return nil // it was deleted meanwhile
			}
			return err
		}
		return addGuards(tx, id, v, generation)
	})
}
