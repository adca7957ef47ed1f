package engine

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// ListVersions returns one page of a bucket's versions and delete markers: keys in
// the order of their bytes, and of a key the newest version first.
func (e *Engine) ListVersions(ctx context.Context, q meta.VersionQuery) (VersionPage, error) {
	q.Brief = true
	page, err := e.store.ListVersions(ctx, q)
	if err != nil {
		return VersionPage{}, storeError(err)
	}
	out := VersionPage{More: page.More, NextKey: page.NextKey, NextVersion: page.NextVersion, Entries: make([]VersionEntry, len(page.Entries))}
	for i := range page.Entries {
		if out.Entries[i], err = e.versionEntry(ctx, q.Bucket, &page.Entries[i]); err != nil {
			return VersionPage{}, err
		}
	}
	return out, nil
}

func (e *Engine) versionEntry(ctx context.Context, bucket meta.ID, row *meta.VersionEntry) (VersionEntry, error) {
	if row.CommonPrefix != "" {
		return VersionEntry{ObjectEntry: ObjectEntry{CommonPrefix: row.CommonPrefix}}, nil
	}
	v := &row.Version
	out := VersionEntry{
		ObjectEntry: ObjectEntry{Key: v.Key, Size: v.Size, Modified: v.Modified, Owner: v.Owner, StorageClass: class(v.Class, "")},
		Version:     v.Ref(), Marker: v.Marker, Latest: v.Latest, Displaced: v.Displaced,
	}
	if v.Marker {
		return out, nil
	}
	keys, err := e.bucketKeysOf(ctx, bucket, v.Generation)
	if err != nil {
		return out, err
	}
	r, err := keys.OpenListRecord(e.name(bucket, v.Key, v.ID), v.ListRecord)
	if err != nil {
		return out, fmt.Errorf("open a list record: %w", err)
	}
	out.ETag, out.ChecksumAlgorithm, out.ChecksumType = r.ETag, r.ChecksumAlgorithm, r.ChecksumType
	return out, nil
}
