package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// The columns that scans of versions read from each table.
const (
	scannedObjects  = headColumns + ", " + listedColumns + ", " + currentColumns + "bucket_id, key"
	scannedVersions = headColumns + ", " + listedColumns + ", " + placeColumns + "bucket_id, key"
)

// ScanObjects implements meta.Objects. No index has this order, so four bounded looks together
// find the rows of the page, and the page is sorted here.
func (s *Store) ScanObjects(ctx context.Context, after meta.ObjectPosition, limit int) (vs []meta.Version, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		vs = nil
		for _, look := range scanLooks(after, limit) {
			more, err := collect(tx, scanScanned, look.query, look.args...)
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
	slices.SortFunc(vs, func(a, b meta.Version) int {
		return cmp.Or(bytes.Compare(a.Bucket[:], b.Bucket[:]), strings.Compare(a.Key, b.Key), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return vs[:min(len(vs), limit)], nil
}

type scanLook struct {
	query string
	args  []any
}

// scanLooks returns statements whose rows together include the first limit rows
// above the position.
func scanLooks(after meta.ObjectPosition, limit int) []scanLook {
	after.Key = max(after.Key, "\x00") // no key is lower, and a comparison with NULL is never true
	bucket, key, id := after.Bucket[:], text(after.Key), after.Version[:]
	null := make([]byte, len(id))
	return []scanLook{
		{"SELECT " + scannedObjects + " FROM objects WHERE (bucket_id, key) >= (?, ?) ORDER BY bucket_id, key LIMIT ?",
			[]any{bucket, keyAfter(after.Key), limit}},
		{"SELECT " + scannedObjects + " FROM objects WHERE bucket_id = ? AND key = ? AND version_id > ?", []any{bucket, key, id}},
		// The index has a key's null version first, whatever its id. So this asks
		// for one more row, and for the null version of the position's own key.
		{"SELECT " + scannedVersions + " FROM versions WHERE (bucket_id, key, public) > (?, ?, ?) ORDER BY bucket_id, key, public LIMIT ?",
			[]any{bucket, key, id, limit + 1}},
		{"SELECT " + scannedVersions + " FROM versions WHERE bucket_id = ? AND key = ? AND public = ? AND version_id > ?",
			[]any{bucket, key, null, id}},
	}
}

func scanScanned(r Row) (v meta.Version, err error) {
	err = scanVersion(r, &v, append(append([]any{&v.ListRecord, &v.Marks}, place(&v)...), (*idColumn)(&v.Bucket), (*textColumn)(&v.Key))...)
	return v, err
}
