package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// versionPosition is exclusive: it stands before the versions of the key with a
// higher rank, and those of later keys.
type versionPosition struct {
	key  []byte
	rank int64
}

// Ranks below those of all versions: for a position before all versions of a key,
// and for an object's row, which is the newest of its key.
const (
	newest      = math.MinInt64
	currentRank = newest + 1
)

// object returns the least key whose object is behind the position.
func (p versionPosition) object() []byte {
	if p.rank == newest {
		return p.key
	}
	return keyAfter(string(p.key))
}

// rankedVersion is a version with its rank among those of its key.
type rankedVersion struct {
	meta.Version
	rank int64
}

// ListVersions implements meta.Objects. Current objects and all other versions are in two
// tables, each of which is read in its own order and merged.
func (s *Store) ListVersions(ctx context.Context, q meta.VersionQuery) (page meta.VersionPage, err error) {
	if err := checkCount("rows", q.Limit, meta.MaxPage); err != nil {
		return page, err
	}
	from, err := s.versionsFrom(ctx, q)
	if err != nil {
		return page, err
	}
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		page = meta.VersionPage{}
		return versionListing(tx, q, &page).run(from, func(common string, v *rankedVersion) bool {
			if len(page.Entries) == q.Limit {
				page.More = true
				return false
			}
			e := meta.VersionEntry{Version: v.Version}
			e.Version.Bucket = q.Bucket
			page.NextKey, page.NextVersion = v.Key, v.Ref()
			if common != "" {
				e = meta.VersionEntry{CommonPrefix: common}
				page.NextKey, page.NextVersion = common, meta.VersionRef{}
			}
			page.Entries = append(page.Entries, e)
			return true
		})
	})
	if err != nil {
		return meta.VersionPage{}, err
	}
	if !page.More {
		page.NextKey, page.NextVersion = "", meta.VersionRef{}
	}
	return page, nil
}

// versionsFrom returns the beginning of the listing. A version's rank never
// changes, so it may be read outside the listing's snapshot.
func (s *Store) versionsFrom(ctx context.Context, q meta.VersionQuery) (versionPosition, error) {
	from := versionPosition{start(q.AfterKey, q.Prefix, q.Delimiter), newest}
	_, inside := commonPrefix(q.AfterKey, q.Prefix, q.Delimiter)
	if q.AfterVersion.IsZero() || inside || q.AfterKey == "" || q.AfterKey < q.Prefix {
		return from, nil
	}
	after := versionPosition{key: []byte(q.AfterKey)}
	args := []any{q.Bucket[:], after.key}
	condition, id := " AND version_id = ? AND null_version = 0", q.AfterVersion.ID
	if q.AfterVersion.Null {
		condition, id = " AND null_version = 1", meta.ID{}
	} else {
		args = append(args, id[:])
	}
	err := s.run.Read(ctx, func(tx Tx) error {
		err := tx.QueryRow("SELECT rank FROM objects WHERE bucket_id = ? AND key = ?"+condition+
			" UNION ALL SELECT rank FROM versions WHERE bucket_id = ? AND key = ? AND public = ?",
			append(args, q.Bucket[:], after.key, id[:])...).Scan(&after.rank)
		if errors.Is(err, sql.ErrNoRows) {
			after.rank, err = newest, nil // that version is gone: start with the key's first version
		}
		return err
	})
	return after, err
}

// briefColumns are the columns that listings show.
const briefColumns = "version_id, null_version, owner, size, modified, generation, class, list_record, "

// Columns that only versions has, and their substitutes for a row of objects, in
// brief.
const (
	briefPlace   = "marker, displaced, "
	briefCurrent = "0 AS marker, CAST(NULL AS BIGINT) AS displaced, "
)

// versionsQuery reads a page from two tables: objects and versions.
type versionsQuery struct {
	// near is for few rows. far is for many: it reads few rows of either table that
	// do not fit on the page.
	near, far string
	scan      func(Row) (*rankedVersion, error)
}

// Queries for whole versions, and for brief ones.
var (
	wholeQuery = newVersionsQuery(headColumns+", "+listedColumns+", "+currentColumns, headColumns+", "+listedColumns+", "+placeColumns, scanWhole)
	briefQuery = newVersionsQuery(briefColumns+briefCurrent, briefColumns+briefPlace, scanBrief)
)

// Rows at or above a position and below a key.
const (
	objectsThere  = " FROM objects WHERE bucket_id = ? AND key >= ? AND key "
	objectsOrder  = " ORDER BY bucket_id, key LIMIT ?"
	versionsThere = " FROM versions WHERE bucket_id = ? AND (key, rank) > (?, ?) AND key "
	below         = "< ?"
	versionsOrder = " ORDER BY bucket_id, key, rank LIMIT ?"
)

// reach is a key up to which both tables together have at least n rows, in the
// order of the query's arguments: that of the n-th row of one of them, or the
// greater of those of the rows in the middle of n. NULL means that all keys are
// read.
const reach = "WITH ahead AS (SELECT (SELECT key" + objectsThere + below + objectsOrder + " OFFSET ?) AS o, (SELECT key" + objectsThere + below + objectsOrder +
	" OFFSET ?) AS oo, (SELECT key" + versionsThere + below + versionsOrder + " OFFSET ?) AS v, (SELECT key" + versionsThere + below + versionsOrder +
	` OFFSET ?) AS vv), reach AS (SELECT key FROM (SELECT CASE WHEN o > v THEN o WHEN o <= v THEN v END AS key FROM ahead
	UNION ALL SELECT oo FROM ahead UNION ALL SELECT vv FROM ahead) AS keys WHERE key IS NOT NULL ORDER BY key LIMIT 1) `

func newVersionsQuery(ofObjects, ofVersions string, scan func(Row) (*rankedVersion, error)) versionsQuery {
	objects := fmt.Sprintf("SELECT %skey, CAST(%d AS BIGINT) AS rank", ofObjects, currentRank) + objectsThere
	versions := "SELECT " + ofVersions + "key, rank" + versionsThere
	upTo := "<= COALESCE((SELECT key FROM reach), ?)"
	return versionsQuery{
		near: "SELECT * FROM (" + objects + below + objectsOrder + ") AS currents UNION ALL SELECT * FROM (" + versions + below + versionsOrder + ") AS others",
		// At most n objects are up to that key, so that this part needs no limit,
		// which would require a subquery.
		far:  reach + objects + upTo + " UNION ALL SELECT * FROM (" + versions + upTo + versionsOrder + ") AS others",
		scan: scan,
	}
}

// nearRows is the most rows for which the query near is used.
const nearRows = 8

// fetch returns at most n rows of a bucket at or above from and below the key to.
// The statements have fixed texts, whatever n is, so that an engine prepares each once.
func (q *versionsQuery) fetch(tx Tx, bucket meta.ID, from versionPosition, to []byte, n int) ([]*rankedVersion, error) {
	objects := []any{bucket[:], from.object(), to}
	versions := []any{bucket[:], from.key, from.rank, to}
	if n <= nearRows {
		args := append(append(append(objects, n), versions...), n)
		return merged(tx, q.scan, n, q.near, args...)
	}
	var args []any
	for _, table := range [][]any{objects, versions} {
		for _, skip := range []int{n / 2, n - 1} {
			args = append(append(args, table...), 1, skip)
		}
	}
	args = append(append(append(args, objects...), versions...), n)
	rows, err := merged(tx, q.scan, n, q.far, args...)
	for len(rows) > 0 && rows[len(rows)-1].Key >= string(to) { // the fallback of COALESCE is inclusive
		rows = rows[:len(rows)-1]
	}
	return rows, err
}

// merged merges the rows of the two tables into one order, and returns the first n.
func merged(tx Tx, scan func(Row) (*rankedVersion, error), n int, query string, args ...any) ([]*rankedVersion, error) {
	rows, err := collect(tx, scan, query, args...)
	if err != nil {
		return nil, err
	}
	// Each table is in order by itself. So at most one place is out of order, which is where the
	// second table begins.
	second := 1 // the first index out of order
	for second < len(rows) && rows[second-1].before(rows[second]) {
		second++
	}
	if second < len(rows) {
		rows = interleaved(rows[:second], rows[second:], n)
	}
	return rows[:min(n, len(rows))], nil
}

// interleaved returns the first n of two lists of rows. It sorts the second.
// The second list is sorted because the statement promises an order only within its subquery.
func interleaved(a, b []*rankedVersion, n int) []*rankedVersion {
	slices.SortFunc(b, func(v, w *rankedVersion) int {
		return cmp.Or(strings.Compare(v.Key, w.Key), cmp.Compare(v.rank, w.rank))
	})
	out := make([]*rankedVersion, 0, n)
	for len(out) < n && len(a)+len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].before(b[0]) {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

// before is the order of listings: by key, then by rank.
func (v *rankedVersion) before(w *rankedVersion) bool {
	return v.Key < w.Key || v.Key == w.Key && v.rank < w.rank
}

// versionListing returns a listing that fills the page; fetch grows page.Entries in
// advance.
func versionListing(tx Tx, q meta.VersionQuery, page *meta.VersionPage) *listing[versionPosition, *rankedVersion] {
	query := &wholeQuery
	if q.Brief {
		query = &briefQuery
	}
	return &listing[versionPosition, *rankedVersion]{
		prefix: q.Prefix, delimiter: q.Delimiter, most: q.Limit + 1,
		fetch: func(from versionPosition, to []byte, n int) ([]*rankedVersion, error) {
			if n == 1 && q.Delimiter != "" {
				if v, err := lowest(tx, q, from, to); v != nil || err != nil {
					return []*rankedVersion{v}, err
				}
			}
			rows, err := query.fetch(tx, q.Bucket, from, to, n)
			page.Entries = slices.Grow(page.Entries, min(len(rows), q.Limit-len(page.Entries)))
			return rows, err
		},
		key:   func(v *rankedVersion) string { return v.Key },
		at:    func(key []byte) versionPosition { return versionPosition{key, newest} },
		after: func(v *rankedVersion) versionPosition { return versionPosition{[]byte(v.Key), v.rank} },
	}
}

// lowestQuery reads the lowest key of each table.
const lowestQuery = "SELECT (SELECT key" + objectsThere + below + objectsOrder + "), (SELECT key" + versionsThere + below + versionsOrder + ")"

// lowest reads only the key of the next row, which suffices for a common prefix. It
// returns nil if the key is under none, or there is no row.
func lowest(tx Tx, q meta.VersionQuery, from versionPosition, to []byte) (*rankedVersion, error) {
	var object, version string
	err := tx.QueryRow(lowestQuery, q.Bucket[:], from.object(), to, 1, q.Bucket[:], from.key, from.rank, to, 1).
		Scan((*textColumn)(&object), (*textColumn)(&version))
	if err != nil {
		return nil, err
	}
	key := object
	if key == "" || version != "" && version < key {
		key = version
	}
	if _, under := commonPrefix(key, q.Prefix, q.Delimiter); !under {
		return nil, nil
	}
	v := &rankedVersion{}
	v.Key = key
	return v, nil
}

func scanWhole(r Row) (*rankedVersion, error) {
	v := &rankedVersion{}
	err := scanVersion(r, &v.Version, append(append([]any{&v.ListRecord, &v.Marks}, place(&v.Version)...), (*textColumn)(&v.Key), &v.rank)...)
	return v, err
}

func scanBrief(r Row) (*rankedVersion, error) {
	v := &rankedVersion{}
	err := r.Scan((*idColumn)(&v.ID), (*flagColumn)(&v.Null), (*idColumn)(&v.Owner), &v.Size, (*timeColumn)(&v.Modified),
		&v.Generation, (*textColumn)(&v.Class), &v.ListRecord, (*flagColumn)(&v.Marker), (*instantColumn)(&v.Displaced),
		(*textColumn)(&v.Key), &v.rank)
	v.Latest = v.Displaced.IsZero()
	return v, err
}
