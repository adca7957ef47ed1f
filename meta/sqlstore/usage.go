package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// usageChange is what a transaction changes of a bucket's usage.
type usageChange struct{ bytes, versions int64 }

func (u *usageChange) add(v *meta.Version) {
	if !v.Marker {
		u.bytes += v.Size
		u.versions++
	}
}

func (u *usageChange) remove(v *meta.Version) {
	if !v.Marker {
		u.bytes -= v.Size
		u.versions--
	}
}

// write leaves the change as a row of its own, so that writers of a bucket do not
// wait for one another.
func (u *usageChange) write(tx Tx, bucket meta.ID) error {
	if *u == (usageChange{}) {
		return nil
	}
	id := meta.NewID()
	return soon(tx, ErrRetry, "INSERT INTO usage_changes (bucket_id, id, bytes, versions) VALUES (?, ?, ?, ?)"+InAnyOrder,
		bucket[:], id[:], u.bytes, u.versions)
}

// used sums up usage; Postgres's sum of integers has another type.
func (s *Store) used(ctx context.Context, rows string, id meta.ID) (u meta.Usage, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		return tx.QueryRow("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT), CAST(COALESCE(SUM(versions), 0) AS BIGINT) FROM ("+
			rows+") AS used", id[:], id[:]).Scan(&u.Bytes, &u.Versions)
	})
	if err != nil {
		return meta.Usage{}, err
	}
	return u, nil
}

func (s *Store) BucketUsage(ctx context.Context, bucket meta.ID) (meta.Usage, error) {
	return s.used(ctx, `SELECT bytes, versions FROM usage WHERE bucket_id = ?
		UNION ALL SELECT bytes, versions FROM usage_changes WHERE bucket_id = ?`, bucket)
}

func (s *Store) OwnerUsage(ctx context.Context, owner meta.ID) (meta.Usage, error) {
	return s.used(ctx, `SELECT u.bytes, u.versions FROM buckets AS b JOIN usage AS u ON u.bucket_id = b.id WHERE b.owner = ?
		UNION ALL SELECT c.bytes, c.versions FROM buckets AS b JOIN usage_changes AS c ON c.bucket_id = b.id WHERE b.owner = ?`, owner)
}

// usageRow is a row of usage_changes.
type usageRow struct {
	bucket, id meta.ID
	usageChange
}

func (s *Store) FoldUsage(ctx context.Context, limit int) (done int, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return 0, err
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		rows, err := collect(tx, func(r Row) (u usageRow, err error) {
			err = r.Scan((*idColumn)(&u.bucket), (*idColumn)(&u.id), &u.bytes, &u.versions)
			return u, err
		}, "SELECT bucket_id, id, bytes, versions FROM usage_changes ORDER BY bucket_id, id LIMIT ?"+forUpdate, limit)
		if err != nil {
			return err
		}
		done = len(rows)
		return fold(tx, rows)
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

// fold moves changes, which are in the buckets' order, to the buckets' rows.
func fold(tx Tx, rows []usageRow) error {
	var sum usageChange
	for i, u := range rows {
		err := soon(tx, ErrRetry, "DELETE FROM usage_changes WHERE bucket_id = ? AND id = ?", u.bucket[:], u.id[:])
		if err != nil {
			return err
		}
		sum.bytes += u.bytes
		sum.versions += u.versions
		if i+1 < len(rows) && rows[i+1].bucket == u.bucket {
			continue
		}
		if err := soon(tx, ErrRetry, `INSERT INTO usage (bucket_id, bytes, versions) VALUES (?, ?, ?) ON CONFLICT (bucket_id)
			DO UPDATE SET bytes = usage.bytes + excluded.bytes, versions = usage.versions + excluded.versions`,
			u.bucket[:], sum.bytes, sum.versions); err != nil {
			return err
		}
		sum = usageChange{}
	}
	return nil
}
