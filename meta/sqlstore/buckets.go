package sqlstore

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

const bucketColumns = "id, name, owner, region, residency, backend, created, versioning, locks, revision, generation, record"

// CreateBucket implements meta.Buckets. The locks are taken in the order tenant, backend,
// deployment, bucket.
// Errors beside those of the contract: ErrLimit for a residency or record that is too long, found
// before anything is written.
func (s *Store) CreateBucket(ctx context.Context, b meta.Bucket, seed meta.BucketSeed, most int) error {
	if err := checkCount("buckets", most, meta.MaxBucketCount); err != nil {
		return err
	}
	if err := checkResidency(b.Residency); err != nil {
		return err
	}
	if err := checkRecord(b.Record); err != nil {
		return err
	}
	if b.Lock && b.Versioning != meta.VersioningEnabled {
		return fmt.Errorf("%w: a bucket with locks keeps versions", meta.ErrConflict)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		// Transactions that add buckets of one tenant follow one another: each counts those
		// of the ones before it.
		if err := touchTenant(tx, b.Owner); err != nil {
			return err
		}
		if err := holdBackend(tx, b.Backend); err != nil {
			return err
		}
		if len(b.Residency) > 0 { // concurrent moves of blobs must be judged again
			if _, err := tx.Exec("UPDATE deployment SET demands = " + oneMore("demands")); err != nil {
				return err
			}
		}
		// An id is never reused, not even while Sweep removes its remains.
		dying, err := exists(tx, "SELECT 1 FROM dying_buckets WHERE id = ?", b.ID[:])
		if err != nil {
			return err
		}
		if dying {
			return meta.ErrExists
		}
		err = inserted(tx, meta.ErrExists,
			"INSERT INTO buckets ("+bucketColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING",
			b.ID[:], text(b.Name), b.Owner[:], text(b.Region), joinResidency(b.Residency), int64(b.Backend),
			micros(b.Created), int64(b.Versioning), number(b.Lock), int64(seed.Generation), blob(b.Record))
		if err != nil {
			return err
		}
		if err := addGuards(tx, b.ID, b.Versioning, seed.Generation); err != nil {
			return err
		}
		// Counted after the insert and with it, so that the count is right whatever was there
		// before.
		has, err := countBuckets(tx, b.Owner, most+1)
		if err != nil {
			return err
		}
		if has > most {
			return meta.ErrTooMany
		}
		return insertSeed(tx, &seed)
	})
}

func scanBucket(r Row) (b meta.Bucket, err error) {
	err = r.Scan(bucketTo(&b)...)
	return b, err
}

// bucketTo returns the destinations of bucketColumns.
// They are in the order of the columns, which tests cannot see but every reading of a bucket
// shows.
func bucketTo(b *meta.Bucket) []any {
	return []any{(*idColumn)(&b.ID), (*textColumn)(&b.Name), (*idColumn)(&b.Owner), (*textColumn)(&b.Region),
		(*residencyColumn)(&b.Residency), &b.Backend, (*timeColumn)(&b.Created),
		orZero(&b.Versioning), (*flagColumn)(&b.Lock), &b.Revision, orZero(&b.Generation), &b.Record}
}

// Bucket implements meta.Buckets.
func (s *Store) Bucket(ctx context.Context, name string) (b meta.Bucket, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		b, err = scanBucket(tx.QueryRow("SELECT "+bucketColumns+" FROM buckets WHERE name = ?", text(name)))
		return found(err, meta.ErrNoBucket)
	})
	return b, err
}

// ListBuckets implements meta.Buckets. With an owner it reads that owner's index, so that its
// cost does not depend on other tenants.
func (s *Store) ListBuckets(ctx context.Context, q meta.BucketQuery) (bs []meta.Bucket, err error) {
	if err := checkCount("rows", q.Limit, meta.MaxPage); err != nil {
		return nil, err
	}
	from, to := max(string(keyAfter(q.After)), q.Prefix), prefixEnd(q.Prefix)
	query := "SELECT " + bucketColumns + " FROM buckets WHERE name >= ? AND name < ? ORDER BY name LIMIT ?"
	args := []any{[]byte(from), []byte(to), q.Limit}
	if !q.Owner.IsZero() {
		query = "SELECT " + bucketColumns + " FROM buckets WHERE owner = ? AND name >= ? AND name < ? ORDER BY name LIMIT ?"
		args = append([]any{q.Owner[:]}, args...)
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		bs, err = collect(tx, scanBucket, query, args...)
		return err
	})
	return bs, err
}

// CountBuckets implements meta.Buckets.
func (s *Store) CountBuckets(ctx context.Context, owner meta.ID, most int) (n int, err error) {
	if err := checkCount("buckets", most, meta.MaxBucketCount); err != nil {
		return 0, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		n, err = countBuckets(tx, owner, most)
		return err
	})
	return n, err
}

// countBuckets stops at most: a count of all buckets of a tenant would cost a row for each.
func countBuckets(tx Tx, owner meta.ID, most int) (n int, err error) {
	err = tx.QueryRow("SELECT count(*) FROM (SELECT 1 FROM buckets WHERE owner = ? LIMIT ?) AS held", owner[:], most).Scan(&n)
	return n, err
}

// DeleteBucket implements meta.Buckets. The remaining rows of the bucket may be more than one
// transaction should remove, so its id goes to dying_buckets and Sweep does the rest. An upload
// that is open does not keep the bucket: S3 deletes such a bucket, and Sweep ends the upload.
func (s *Store) DeleteBucket(ctx context.Context, id meta.ID) error {
	return s.run.Write(ctx, func(tx Tx) error {
		// The lock waits for commits that hold the bucket, and blocks later ones.
		if ok, err := exists(tx, "SELECT 1 FROM buckets WHERE id = ?"+forUpdate, id[:]); err != nil {
			return err
		} else if !ok {
			return meta.ErrNoBucket
		}
		// Writers lock one guard and not the bucket's row. Once all guards are locked, every
		// writer has ended or waits, so the tables can be looked at.
		if err := lockGuards(tx, id); err != nil {
			return err
		}
		for _, table := range []string{"objects", "versions"} {
			if full, err := exists(tx, "SELECT 1 FROM "+table+" WHERE bucket_id = ? LIMIT 1", id[:]); err != nil {
				return err
			} else if full {
				return meta.ErrNotEmpty
			}
		}
		if _, err := tx.Exec("DELETE FROM buckets WHERE id = ?", id[:]); err != nil {
			return err
		}
		if err := dropGuards(tx, id); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO dying_buckets (id) VALUES (?)", id[:])
		return err
	})
}
