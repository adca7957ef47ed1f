package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

const scanColumns = "bucket_id, key, version_id, size, body_kind, body_id"

func (s *Store) ScanObjects(ctx context.Context, after meta.ObjectPosition, limit int) (refs []meta.ObjectRef, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		refs = nil
		for _, look := range scanLooks(after, limit) {
			more, err := collect(tx, scanRef, look.query, look.args...)
			if err != nil {
				return err
			}
			refs = append(refs, more...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(refs, func(a, b meta.ObjectRef) int {
		return cmp.Or(bytes.Compare(a.Bucket[:], b.Bucket[:]), strings.Compare(a.Key, b.Key), bytes.Compare(a.Version[:], b.Version[:]))
	})
	return refs[:min(len(refs), limit)], nil
}

type scanLook struct {
	query string
	args  []any
}

// scanLooks are the statements whose rows together begin with the first that are above
// the position.
func scanLooks(after meta.ObjectPosition, limit int) []scanLook {
	after.Key = max(after.Key, "\x00") // no key is lower, and NULL would be above none
	bucket, key, id := after.Bucket[:], text(after.Key), after.Version[:]
	null := make([]byte, len(id))
	return []scanLook{
		{"SELECT " + scanColumns + ", 0 AS marker FROM objects WHERE (bucket_id, key) >= (?, ?) ORDER BY bucket_id, key LIMIT ?",
			[]any{bucket, keyAfter(after.Key), limit}},
		{"SELECT " + scanColumns + ", 0 AS marker FROM objects WHERE bucket_id = ? AND key = ? AND version_id > ?", []any{bucket, key, id}},
		// In the index a key's null version comes first, whatever its id: so one more
		// row is asked for, and the null version of the position's own key.
		{"SELECT " + scanColumns + ", marker FROM versions WHERE (bucket_id, key, public) > (?, ?, ?) ORDER BY bucket_id, key, public LIMIT ?",
			[]any{bucket, key, id, limit + 1}},
		{"SELECT " + scanColumns + ", marker FROM versions WHERE bucket_id = ? AND key = ? AND public = ? AND version_id > ?",
			[]any{bucket, key, null, id}},
	}
}

func scanRef(r Row) (o meta.ObjectRef, err error) {
	var kind int64
	var body []byte
	err = r.Scan((*idColumn)(&o.Bucket), (*textColumn)(&o.Key), (*idColumn)(&o.Version), &o.Size, &kind, &body, (*flagColumn)(&o.Marker))
	if err != nil {
		return o, err
	}
	o.Body, err = bodyOf(kind, body)
	return o, err
}
