package sqlstore

import (
	"context"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// usageColumns are the figures of usage, in the order of usageChange.values.
const usageColumns = "bytes, versions, markers, uploads, parts, part_bytes"

// usageChange is what a transaction changes of a bucket's usage.
type usageChange meta.Usage

func (u *usageChange) add(v *meta.Version) { u.count(v, 1) }

func (u *usageChange) remove(v *meta.Version) { u.count(v, -1) }

func (u *usageChange) count(v *meta.Version, sign int64) {
	if v.Marker {
		u.Markers += sign
		return
	}
	u.Bytes += sign * v.Size
	u.Versions += sign
}

func (u *usageChange) negated() *usageChange {
	return &usageChange{
		Bytes: -u.Bytes, Versions: -u.Versions, Markers: -u.Markers, Uploads: -u.Uploads, Parts: -u.Parts, PartBytes: -u.PartBytes,
	}
}

func (u *usageChange) values() []any {
	return []any{u.Bytes, u.Versions, u.Markers, u.Uploads, u.Parts, u.PartBytes}
}

// to is where usageColumns are read to.
func (u *usageChange) to() []any {
	return []any{&u.Bytes, &u.Versions, &u.Markers, &u.Uploads, &u.Parts, &u.PartBytes}
}

var insertUsageChange = "INSERT INTO usage_changes (bucket_id, id, " + usageColumns + ") VALUES " + marks(8) + InAnyOrder

// write leaves the change as a row of its own, so that writers of a bucket do not
// wait for one another.
func (u *usageChange) write(tx Tx, bucket meta.ID) error {
	if *u == (usageChange{}) {
		return nil
	}
	id := meta.NewID()
	return soon(tx, ErrRetry, insertUsageChange, append([]any{bucket[:], id[:]}, u.values()...)...)
}

// usageSums add up rows of usageColumns; Postgres's sum of integers has another type.
var usageSums = func() string {
	var sums []string
	for _, c := range strings.Split(usageColumns, ", ") {
		sums = append(sums, "CAST(COALESCE(SUM("+c+"), 0) AS BIGINT)")
	}
	return strings.Join(sums, ", ")
}()

// used sums up usage.
func (s *Store) used(ctx context.Context, rows string, id meta.ID) (u meta.Usage, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		return tx.QueryRow("SELECT "+usageSums+" FROM ("+rows+") AS used", id[:], id[:]).Scan((*usageChange)(&u).to()...)
	})
	if err != nil {
		return meta.Usage{}, err
	}
	return u, nil
}

func (s *Store) BucketUsage(ctx context.Context, bucket meta.ID) (meta.Usage, error) {
	return s.used(ctx, "SELECT "+usageColumns+" FROM usage WHERE bucket_id = ? "+
		"UNION ALL SELECT "+usageColumns+" FROM usage_changes WHERE bucket_id = ?", bucket)
}

func (s *Store) OwnerUsage(ctx context.Context, owner meta.ID) (meta.Usage, error) {
	return s.used(ctx, "SELECT "+usageColumns+" FROM buckets AS b JOIN usage AS u ON u.bucket_id = b.id WHERE b.owner = ? "+
		"UNION ALL SELECT "+usageColumns+" FROM buckets AS b JOIN usage_changes AS c ON c.bucket_id = b.id WHERE b.owner = ?", owner)
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
			err = r.Scan(append([]any{(*idColumn)(&u.bucket), (*idColumn)(&u.id)}, u.to()...)...)
			return u, err
		}, "SELECT bucket_id, id, "+usageColumns+" FROM usage_changes ORDER BY bucket_id, id LIMIT ?"+forUpdate, limit)
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

var addUsage = func() string {
	var sums []string
	for _, c := range strings.Split(usageColumns, ", ") {
		sums = append(sums, c+" = usage."+c+" + excluded."+c)
	}
	return "INSERT INTO usage (bucket_id, " + usageColumns + ") VALUES " + marks(7) +
		" ON CONFLICT (bucket_id) DO UPDATE SET " + strings.Join(sums, ", ")
}()

// fold moves changes, which are in the buckets' order, to the buckets' rows.
func fold(tx Tx, rows []usageRow) error {
	var sum usageChange
	for i, u := range rows {
		err := soon(tx, ErrRetry, "DELETE FROM usage_changes WHERE bucket_id = ? AND id = ?", u.bucket[:], u.id[:])
		if err != nil {
			return err
		}
		sum = usageChange(meta.Usage(sum).Plus(meta.Usage(u.usageChange)))
		if i+1 < len(rows) && rows[i+1].bucket == u.bucket {
			continue
		}
		if err := soon(tx, ErrRetry, addUsage, append([]any{u.bucket[:]}, sum.values()...)...); err != nil {
			return err
		}
		sum = usageChange{}
	}
	return nil
}
