package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"github.com/sanctum-storage/gateway/meta"
)

// versionPosition is exclusive: the versions of the key that are older than the one
// of the rank, and versions of later keys.
type versionPosition struct {
	key  []byte
	rank int64
}

// newest is a rank before that of every version.
const newest = math.MinInt64

// rankedVersion is a version and its place among those of its key.
type rankedVersion struct {
	meta.Version
	rank int64
}

func (s *Store) ListVersions(ctx context.Context, q meta.VersionQuery) (page meta.VersionPage, err error) {
	if err := checkCount("rows", q.Limit, meta.MaxPage); err != nil {
		return page, err
	}
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		page = meta.VersionPage{}
		from, err := versionsFrom(tx, q)
		if err != nil {
			return err
		}
		return versionListing(tx, q).run(from, func(common string, v rankedVersion) bool {
			if len(page.Entries) == q.Limit {
				page.More = true
				return false
			}
			e := meta.VersionEntry{Version: v.Version}
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

// versionsFrom is where the listing begins.
func versionsFrom(tx Tx, q meta.VersionQuery) (versionPosition, error) {
	from := versionPosition{start(q.AfterKey, q.Prefix, q.Delimiter), newest}
	_, inside := commonPrefix(q.AfterKey, q.Prefix, q.Delimiter)
	if q.AfterVersion.IsZero() || inside || q.AfterKey == "" || q.AfterKey < q.Prefix {
		return from, nil
	}
	from.key = []byte(q.AfterKey)
	args := []any{q.Bucket[:], from.key}
	condition, id := " AND version_id = ? AND null_version = 0", q.AfterVersion.ID
	if q.AfterVersion.Null {
		condition, id = " AND null_version = 1", meta.ID{}
	} else {
		args = append(args, id[:])
	}
	err := tx.QueryRow("SELECT rank FROM objects WHERE bucket_id = ? AND key = ?"+condition+
		" UNION ALL SELECT rank FROM versions WHERE bucket_id = ? AND key = ? AND public = ?",
		append(args, q.Bucket[:], from.key, id[:])...).Scan(&from.rank)
	if errors.Is(err, sql.ErrNoRows) {
		return from, nil // that version is gone: the key begins anew
	}
	return from, err
}

// versionsQuery merges two tables that are in the same order.
var versionsQuery = "SELECT * FROM (SELECT " + headColumns + ", " + listedColumns + ", " + currentColumns + `key, rank
	FROM objects WHERE bucket_id = ? AND key >= ? AND (key > ? OR rank > ?) AND key < ? ORDER BY bucket_id, key LIMIT ?) AS currents
	UNION ALL SELECT * FROM (SELECT ` + headColumns + ", " + listedColumns + ", " + placeColumns + `key, rank
	FROM versions WHERE bucket_id = ? AND (key, rank) > (?, ?) AND key < ? ORDER BY bucket_id, key, rank LIMIT ?) AS others
	ORDER BY key, rank LIMIT ?`

func versionListing(tx Tx, q meta.VersionQuery) *listing[versionPosition, rankedVersion] {
	scan := func(r Row) (v rankedVersion, err error) {
		v.Bucket = q.Bucket
		err = scanVersion(r, &v.Version, append(append([]any{&v.ListRecord, &v.Marks}, place(&v.Version)...), (*textColumn)(&v.Key), &v.rank)...)
		return v, err
	}
	return &listing[versionPosition, rankedVersion]{
		prefix: q.Prefix, delimiter: q.Delimiter, most: q.Limit + 1,
		fetch: func(from versionPosition, to []byte, n int) ([]rankedVersion, error) {
			return collect(tx, scan, versionsQuery, q.Bucket[:], from.key, from.key, from.rank, to, n,
				q.Bucket[:], from.key, from.rank, to, n, n)
		},
		key:   func(v rankedVersion) string { return v.Key },
		at:    func(key []byte) versionPosition { return versionPosition{key, newest} },
		after: func(v rankedVersion) versionPosition { return versionPosition{[]byte(v.Key), v.rank} },
	}
}
