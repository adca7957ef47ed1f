package sqlstore

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// States of a generation, in bucket_seeds.
const (
	seedNewest = 1 // of its key
	seedFormer = 2
)

const seedColumns = "bucket_id, generation, wrapped, key, created, state"

// scanSeed refuses a state that it does not know: a later release may mean by it that the
// generation must not be used.
func scanSeed(r Row) (s meta.BucketSeed, err error) {
	var state int64
	err = r.Scan((*idColumn)(&s.Bucket), orZero(&s.Generation), &s.Wrapped, (*textColumn)(&s.Key), (*instantColumn)(&s.Created), &state)
	if err == nil && state != seedNewest && state != seedFormer {
		err = fmt.Errorf("generation %d of bucket %s is in unknown state %d", s.Generation, s.Bucket, state)
	}
	s.Former = state == seedFormer
	return s, err
}

func insertSeed(tx Tx, s *meta.BucketSeed) error {
	state, created := int64(seedNewest), any(nil)
	if s.Former {
		state = seedFormer
	}
	if !s.Created.IsZero() {
		created = micros(s.Created)
	}
	return inserted(tx, meta.ErrConflict, "INSERT INTO bucket_seeds ("+seedColumns+") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		s.Bucket[:], int64(s.Generation), blob(s.Wrapped), text(s.Key), created, state)
}

// BucketSeeds implements meta.Buckets. One snapshot, because the bucket's record vouches for
// exactly these generations. A bucket always has a seed, so no row means no bucket.
func (s *Store) BucketSeeds(ctx context.Context, id meta.ID) (all meta.BucketSeeds, err error) {
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		all = meta.BucketSeeds{}
		rows, err := collect(tx, scanBucket, "SELECT "+bucketColumns+" FROM buckets WHERE id = ?", id[:])
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			all.Bucket = rows[0]
		}
		all.Seeds, err = collect(tx, scanSeed, "SELECT "+seedColumns+" FROM bucket_seeds WHERE bucket_id = ? ORDER BY generation DESC", id[:])
		if err == nil && len(all.Seeds) == 0 {
			return meta.ErrNoBucket
		}
		return err
	})
	if err != nil {
		return meta.BucketSeeds{}, err
	}
	return all, nil
}

// AddGeneration implements meta.Buckets. All guards are locked before anything is changed, so
// that writes by the former generation have ended and later ones see the new one.
func (s *Store) AddGeneration(ctx context.Context, c meta.Change, seed meta.BucketSeed) error {
	if err := checkRecord(c.Record); err != nil {
		return err
	}
	if err := checkCount("bytes of a wrapped seed", len(seed.Wrapped), meta.MaxWrappedSeed); err != nil {
		return err
	}
	id := seed.Bucket
	return s.run.Write(ctx, func(tx Tx) error {
		if err := lockRevision(tx, id, c); err != nil {
			return err
		}
		var have int
		if err := tx.QueryRow("SELECT COUNT(*) FROM bucket_seeds WHERE bucket_id = ?", id[:]).Scan(&have); err != nil {
			return err
		}
		if have >= meta.MaxGenerations {
			return meta.ErrTooMany
		}
		if err := changeGuards(tx, id, "generation", int64(seed.Generation)); err != nil {
			return err
		}
		err := changed(tx, meta.ErrConflict, "UPDATE buckets SET generation = ?, revision = revision + 1, record = ? WHERE id = ? AND generation = ?",
			int64(seed.Generation), blob(c.Record), id[:], int64(seed.Generation)-1)
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE bucket_seeds SET state = ? WHERE bucket_id = ? AND state = ? AND (key = ? OR key IS NULL AND ? = 1)",
			seedFormer, id[:], seedNewest, text(seed.Key), number(seed.Key == ""))
		if err != nil {
			return err
		}
		return insertSeed(tx, &seed)
	})
}

// DropGeneration implements meta.Buckets.
func (s *Store) DropGeneration(ctx context.Context, id meta.ID, c meta.Change, generation uint32) error {
	if err := checkRecord(c.Record); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := nextRevision(tx, id, c); err != nil {
			return err
		}
		return changed(tx, meta.ErrNotFound, "DELETE FROM bucket_seeds WHERE bucket_id = ? AND generation = ? AND state = ?",
			id[:], int64(generation), seedFormer)
	})
}

// lockRevision locks a bucket's row. ErrConflict unless it has the revision.
func lockRevision(tx Tx, id meta.ID, c meta.Change) error {
	var revision int64
	err := tx.QueryRow("SELECT revision FROM buckets WHERE id = ?"+forUpdate, id[:]).Scan(&revision)
	if err != nil {
		return found(err, meta.ErrNoBucket)
	}
	if revision != c.Revision {
		return fmt.Errorf("%w: the bucket has another revision", meta.ErrConflict)
	}
	return nil
}

// FormerSeeds implements meta.Buckets.
func (s *Store) FormerSeeds(ctx context.Context, after meta.SeedPosition, limit int) (seeds []meta.BucketSeed, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		seeds, err = collect(tx, scanSeed, "SELECT "+seedColumns+" FROM bucket_seeds"+
			" WHERE state = ? AND (bucket_id, generation) > (?, ?) ORDER BY bucket_id, generation LIMIT ?",
			seedFormer, after.Bucket[:], int64(after.Generation), limit)
		return err
	})
	return seeds, err
}
