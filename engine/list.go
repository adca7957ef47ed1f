package engine

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// ListObjects returns one page of a bucket's objects in the order of their
// keys' bytes.
func (e *Engine) ListObjects(ctx context.Context, q meta.ListQuery) (ObjectPage, error) {
	page, err := e.store.ListObjects(ctx, q)
	if err != nil {
		return ObjectPage{}, storeError(err)
	}
	out := ObjectPage{More: page.More, Next: page.Next, Entries: make([]ObjectEntry, len(page.Entries))}
	for i, row := range page.Entries {
		if row.CommonPrefix != "" {
			out.Entries[i].CommonPrefix = row.CommonPrefix
			continue
		}
		keys, err := e.bucketKeysOf(ctx, q.Bucket, row.Generation)
		if err != nil {
			return ObjectPage{}, err
		}
		r, err := keys.OpenListRecord(e.name(q.Bucket, row.Key, row.Version), row.ListRecord)
		if err != nil {
			return ObjectPage{}, fmt.Errorf("open a list record: %w", err)
		}
		out.Entries[i] = ObjectEntry{
			Key: row.Key, Size: row.Size, ETag: r.ETag, Modified: row.Modified, Owner: row.Owner, StorageClass: class(row.Class, ""),
			ChecksumAlgorithm: r.ChecksumAlgorithm, ChecksumType: r.ChecksumType,
		}
	}
	return out, nil
}
