package engine

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// ListObjects returns one page of a bucket's objects in the order of their
// keys' bytes.
// A page has at most as many entries as q allows, and the cost of a page follows these.
func (e *Engine) ListObjects(ctx context.Context, q meta.ListQuery) (ObjectPage, error) {
	page, err := e.store.ListObjects(ctx, q)
	if err != nil {
		return ObjectPage{}, meta.Coded(err)
	}
	out := ObjectPage{More: page.More, Next: page.Next, Entries: make([]ObjectEntry, len(page.Entries))}
	for i, row := range page.Entries {
		if row.CommonPrefix != "" {
			out.Entries[i].CommonPrefix = row.CommonPrefix
			continue
		}
		// A listing reads neither manifest nor marks. One record that does not open fails the
		// page: leaving the line out would hide an object.
		r, err := e.openListed(ctx, &meta.Version{
			Bucket: q.Bucket, Key: row.Key, ID: row.Version, Null: row.Null, Owner: row.Owner, Size: row.Size, Modified: row.Modified,
			Class: row.Class, Generation: row.Generation, ListRecord: row.ListRecord,
		})
		if err != nil {
			return ObjectPage{}, err
		}
		out.Entries[i] = ObjectEntry{
			Key: row.Key, Size: row.Size, ETag: r.ETag, Modified: row.Modified, Owner: row.Owner, StorageClass: class(row.Class, ""),
			ChecksumAlgorithm: r.ChecksumAlgorithm, ChecksumType: r.ChecksumType,
		}
	}
	return out, nil
}
