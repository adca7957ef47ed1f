package sqlstore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// usageColumns are the columns of usage, in the order of usageChange.values.
const usageColumns = "bytes, versions, markers, uploads, parts, part_bytes"

// usageChange is the change of a bucket's usage by one transaction.
// The zero value is no change.
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

// to returns the destinations of usageColumns.
func (u *usageChange) to() []any {
	return []any{&u.Bytes, &u.Versions, &u.Markers, &u.Uploads, &u.Parts, &u.PartBytes}
}

// changesTable is a table of changes that FoldUsage adds to usage. Changes of
// markers, uploads and parts have their own table, because a gateway of the
// previous release folds bytes and versions only.
type changesTable struct {
	name    string
	figures string // usageColumns, with zeros for those that the table does not have
	insert  string
	own     func(*usageChange) []any // the table's own columns
}

var changesTables = []changesTable{
	newChangesTable("usage_changes", "bytes, versions, 0, 0, 0, 0", "bytes, versions", func(u *usageChange) []any {
		return []any{u.Bytes, u.Versions}
	}),
	newChangesTable("entry_changes", "0, 0, markers, uploads, parts, part_bytes", "markers, uploads, parts, part_bytes", func(u *usageChange) []any {
		return []any{u.Markers, u.Uploads, u.Parts, u.PartBytes}
	}),
}

func newChangesTable(name, figures, columns string, own func(*usageChange) []any) changesTable {
	insert := "INSERT INTO " + name + " (bucket_id, id, " + columns + ") VALUES " + marks(3+strings.Count(columns, ",")) + InAnyOrder
	return changesTable{name, figures, insert, own}
}

// write stores the change as new rows, so that writers of a bucket do not wait for
// one another.
// A change of nothing writes no row.
func (u *usageChange) write(tx Tx, bucket meta.ID) error {
	for _, t := range changesTables {
		figures := t.own(u)
		if !slices.ContainsFunc(figures, func(n any) bool { return n != int64(0) }) {
			continue
		}
		id := meta.NewID()
		if err := soon(tx, ErrRetry, t.insert, append([]any{bucket[:], id[:]}, figures...)...); err != nil {
			return err
		}
	}
	return nil
}

// usageSums adds up rows of usageColumns. The casts are for Postgres, whose sum of
// integers has another type.
var usageSums = func() string {
	var sums []string
	for _, c := range strings.Split(usageColumns, ", ") {
		sums = append(sums, "CAST(COALESCE(SUM("+c+"), 0) AS BIGINT)")
	}
	return strings.Join(sums, ", ")
}()

// usedBy sums up usage and its changes for the buckets that a condition selects.
func usedBy(from, where string) string {
	parts := []string{"SELECT " + usageColumns + " FROM " + fmt.Sprintf(from, "usage") + where}
	for _, t := range changesTables {
		parts = append(parts, "SELECT "+t.figures+" FROM "+fmt.Sprintf(from, t.name)+where)
	}
	return "SELECT " + usageSums + " FROM (" + strings.Join(parts, " UNION ALL ") + ") AS used"
}

var (
	usedByBucket = usedBy("%s", " WHERE bucket_id = ?")
	usedByOwner  = usedBy("buckets AS b JOIN %s AS u ON u.bucket_id = b.id", " WHERE b.owner = ?")
)

func (s *Store) used(ctx context.Context, query string, id meta.ID) (u meta.Usage, err error) {
	args := []any{id[:]}
	for range changesTables {
		args = append(args, id[:])
	}
	err = s.run.Read(ctx, func(tx Tx) error {
		return tx.QueryRow(query, args...).Scan((*usageChange)(&u).to()...)
	})
	if err != nil {
		return meta.Usage{}, err
	}
	return u, nil
}

// BucketUsage implements meta.Objects. It adds the changes that are not folded yet, so it is
// exact, and the slower the more of them there are.
func (s *Store) BucketUsage(ctx context.Context, bucket meta.ID) (meta.Usage, error) {
	return s.used(ctx, usedByBucket, bucket)
}

// OwnerUsage implements meta.Objects.
func (s *Store) OwnerUsage(ctx context.Context, owner meta.ID) (meta.Usage, error) {
	return s.used(ctx, usedByOwner, owner)
}

// usageRow is a row of a table of changes.
type usageRow struct {
	bucket, id meta.ID
	usageChange
}

// FoldUsage implements meta.Objects. A change is removed and added to the bucket's row in one
// transaction, so that a reader counts it once.
func (s *Store) FoldUsage(ctx context.Context, limit int) (done int, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return 0, err
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		done = 0
		for _, t := range changesTables {
			if done == limit {
				return nil
			}
			rows, err := collect(tx, scanUsageRow, "SELECT bucket_id, id, "+t.figures+" FROM "+t.name+
				" WHERE LENGTH(bucket_id) = 16 AND "+possibleID+" ORDER BY bucket_id, id LIMIT ?"+forUpdate, limit-done)
			if err == nil {
				err = fold(tx, t, rows)
			}
			if err != nil {
				return err
			}
			done += len(rows)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

func scanUsageRow(r Row) (u usageRow, err error) {
	err = r.Scan(append([]any{(*idColumn)(&u.bucket), (*idColumn)(&u.id)}, u.to()...)...)
	return u, err
}

// addUsage skips sums with numbers that an edit has made too large to add, so that
// one bucket does not keep the others from being folded.
var addUsage = func() string {
	var sums []string
	for _, c := range strings.Split(usageColumns, ", ") {
		sums = append(sums, fmt.Sprintf("%s = CASE WHEN usage.%[1]s BETWEEN -%[2]d AND %[2]d AND excluded.%[1]s BETWEEN -%[2]d AND %[2]d "+
			"THEN usage.%[1]s + excluded.%[1]s ELSE usage.%[1]s END", c, int64(math.MaxInt64/2)))
	}
	return "INSERT INTO usage (bucket_id, " + usageColumns + ") VALUES " + marks(7) +
		" ON CONFLICT (bucket_id) DO UPDATE SET " + strings.Join(sums, ", ")
}()

// fold moves changes, which are sorted by bucket, to the buckets' rows.
func fold(tx Tx, t changesTable, rows []usageRow) error {
	var sum usageChange
	for i, u := range rows {
		err := soon(tx, ErrRetry, "DELETE FROM "+t.name+" WHERE bucket_id = ? AND id = ?", u.bucket[:], u.id[:])
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
