package engine

import (
	"context"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// ListVersions returns one page of a bucket's versions and delete markers: keys in
// the order of their bytes, and of a key the newest version first. Manifests,
// wrapped keys and marks are not read, because listings do not show them.
func (e *Engine) ListVersions(ctx context.Context, q meta.VersionQuery) (VersionPage, error) {
	q.Brief = true
	page, err := e.store.ListVersions(ctx, q)
	if err != nil {
		return VersionPage{}, meta.Coded(err)
	}
	out := VersionPage{More: page.More, NextKey: page.NextKey, NextVersion: page.NextVersion, Entries: make([]VersionEntry, len(page.Entries))}
	for i := range page.Entries {
		row := &page.Entries[i]
		if row.CommonPrefix != "" {
			out.Entries[i].CommonPrefix = row.CommonPrefix
			continue
		}
		r, err := e.openListed(ctx, &row.Version)
		if err != nil {
			return VersionPage{}, err
		}
		out.Entries[i] = versionEntry(&row.Version, &r)
	}
	return out, nil
}

// OpenVersion holds a version's row against what was sealed, and returns what listings
// show of it. An error says nothing of the client: the row was damaged or edited, and
// nothing may be decided by it.
func (s *sealer) OpenVersion(ctx context.Context, v *meta.Version) (VersionEntry, error) {
	r, err := s.openRow(ctx, v)
	if err != nil {
		return VersionEntry{}, err
	}
	return versionEntry(v, &r), nil
}

// versionEntry is a line of a listing: a version's row and what its record says.
func versionEntry(v *meta.Version, r *encrypt.WholeRecord) VersionEntry {
	return VersionEntry{
		ObjectEntry: ObjectEntry{
			Key: v.Key, Size: v.Size, ETag: r.ETag, Modified: v.Modified, Owner: v.Owner, StorageClass: class(v.Class, ""),
			ChecksumAlgorithm: r.ChecksumAlgorithm, ChecksumType: r.ChecksumType,
		},
		Version: v.Ref(), Marker: v.Marker, Latest: v.Latest, Displaced: v.Displaced,
	}
}
