package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// The columns that scans of versions read from each table. The last two are the names
// that the row is found by.
const (
	scannedObjects  = headColumns + ", " + listedColumns + ", " + currentColumns + "bucket_id, key, version_id, version_id"
	scannedVersions = headColumns + ", " + listedColumns + ", " + placeColumns + "bucket_id, key, version_id, public"
)

// ScanObjects implements meta.Objects.
func (s *Store) ScanObjects(ctx context.Context, after meta.ObjectPosition, limit int) ([]meta.ScannedVersion, error) {
	return s.scanVersions(ctx, after, limit, scannedObjects, scannedVersions, func(r Row) (meta.ScannedVersion, error) {
		return scanScanned(r, nil)
	})
}

// scanVersions reads a page of columns of both tables. No index has the order of scans, so four
// bounded looks together find the rows of the page, and the page is sorted here.
func (s *Store) scanVersions(ctx context.Context, after meta.ObjectPosition, limit int, objects, versions string, scan func(Row) (meta.ScannedVersion, error)) (vs []meta.ScannedVersion, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		vs = nil
		for _, look := range scanLooks(objects, versions, after, limit) {
			more, err := collect(tx, scan, look.query, look.args...)
			if err != nil {
				return err
			}
			vs = append(vs, more...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// A row whose id is too long stands behind the position that its id is cut to.
	vs = slices.DeleteFunc(vs, func(v meta.ScannedVersion) bool { return comparePositions(v.At, after) <= 0 })
	slices.SortFunc(vs, func(a, b meta.ScannedVersion) int { return comparePositions(a.At, b.At) })
	return vs[:min(len(vs), limit)], nil
}

func comparePositions(a, b meta.ObjectPosition) int {
	return cmp.Or(bytes.Compare(a.Bucket[:], b.Bucket[:]), strings.Compare(a.Key, b.Key), bytes.Compare(a.Version[:], b.Version[:]))
}

type scanLook struct {
	query string
	args  []any
}

// scanLooks returns statements whose rows together include the first limit rows
// above the position. Rows whose bucket has no possible id have no position. Ids below the
// lowest, or as good as none, are in another order by the index than by position, so that
// others would be passed over. Both are left to Verify.
func scanLooks(objects, versions string, after meta.ObjectPosition, limit int) []scanLook {
	after.Key = max(after.Key, "\x00") // no key is lower, and a comparison with NULL is never true
	bucket, key, id := after.Bucket[:], text(after.Key), after.Version[:]
	null := make([]byte, len(id))
	nextKey, nextID := afterID(after)
	const possible = " AND LENGTH(bucket_id) = 16"
	const findable = " AND (public = ? OR public >= ?)"
	one := append(null[:len(id)-1:len(id)-1], 1)
	return []scanLook{
		{"SELECT " + objects + " FROM objects WHERE (bucket_id, key) >= (?, ?)" + possible + " ORDER BY bucket_id, key LIMIT ?",
			[]any{bucket, keyAfter(after.Key), limit}},
		{"SELECT " + objects + " FROM objects WHERE bucket_id = ? AND key = ? AND version_id > ?", []any{bucket, key, id}},
		// The index has a key's null version first, whatever its id. So this asks
		// for one more row, and for the null version of the position's own key.
		{"SELECT " + versions + " FROM versions WHERE (bucket_id, key, public) >= (?, ?, ?)" + possible + findable + " ORDER BY bucket_id, key, public LIMIT ?",
			[]any{bucket, nextKey, nextID, null, one, limit + 1}},
		{"SELECT " + versions + " FROM versions WHERE bucket_id = ? AND key = ? AND public = ? AND version_id > ?",
			[]any{bucket, key, null, id}},
	}
}

// afterID is the lowest key and id above a position. An id that an edit made longer is
// not above it: many of them would fill the look, and hide the rows behind them.
func afterID(p meta.ObjectPosition) (key, id []byte) {
	id = bytes.Clone(p.Version[:])
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			return text(p.Key), id
		}
	}
	return keyAfter(p.Key), []byte{0}
}

// scanScanned reads a row and, if wrapped is not nil, its wrapped key behind the other columns. Of
// a row that an edit made unreadable it reads as much as can be read.
func scanScanned(r Row, wrapped *[]byte) (v meta.ScannedVersion, err error) {
	var written, public cutColumn
	row := &lenientRow{Row: r}
	more := append(append([]any{&v.ListRecord, &v.Marks}, place(&v.Version)...), (*idColumn)(&v.Bucket), (*textColumn)(&v.Key), &written, &public)
	if wrapped != nil {
		more = append(more, wrapped)
	}
	err = scanVersion(row, &v.Version, more...)
	if !row.read {
		return v, err
	}
	if v.Err = row.unreadable; v.Err == nil {
		v.Err = err
	}
	v.At = meta.ObjectPosition{Bucket: v.Bucket, Key: v.Key, Version: meta.ID(public)}
	if v.At.Version.IsZero() {
		v.At.Version = meta.ID(written)
	}
	return v, nil
}

// cutColumn reads an id, which an edit may have made longer or shorter, to its length.
type cutColumn meta.ID

func (c *cutColumn) Scan(src any) error {
	b, _ := src.([]byte)
	clear(c[copy(c[:], b):])
	return nil
}

// lenientRow leaves columns unset that cannot be read, and remembers the first error.
type lenientRow struct {
	Row
	read       bool
	unreadable error
}

func (r *lenientRow) Scan(dest ...any) error {
	for i, d := range dest {
		if to, ok := d.(sql.Scanner); ok {
			dest[i] = lenientColumn{to, r}
		}
	}
	err := r.Row.Scan(dest...)
	r.read = err == nil
	return err
}

type lenientColumn struct {
	to  sql.Scanner
	row *lenientRow
}

func (c lenientColumn) Scan(src any) error {
	if err := c.to.Scan(src); err != nil && c.row.unreadable == nil {
		c.row.unreadable = err
	}
	return nil
}
