package engine

import (
	"context"
	"slices"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// paddedSize is the length of a padded blob of a body's plaintext. The longest body has a
// length of Padmé, so only open bodies beyond it come to the second bound. So no padded
// blob is longer than one without padding can be, and what a provider takes is the same.
func paddedSize(plain int64) int64 {
	return min(encrypt.PaddedSize(plain), MaxBodySize+maxFilling)
}

// isPadded reports whether extents are of blobs whose lengths paddedSize gives.
func isPadded(extents []encrypt.Extent) bool {
	return !slices.ContainsFunc(extents, func(x encrypt.Extent) bool { return x.BlobSize != paddedSize(x.BlobSize) })
}

// isPaddedFor reports whether the blobs of a version are padded as the bucket wants those
// of new objects, so that a copy may share them. The manifest has the key of its parts.
// For a bucket without padding any blob will do.
func (e *Engine) isPaddedFor(ctx context.Context, b *meta.Bucket, v *meta.Version, m *encrypt.Manifest) (bool, error) {
	padding, err := e.buckets.Padding(ctx, *b)
	if err != nil || padding == buckets.PaddingNone {
		return err == nil, err
	}
	if m.Parts == nil {
		return isPadded(m.Extents), nil
	}
	w := partWalk{e: e, ctx: ctx, parts: m.Parts}
	for group := range m.Parts.Groups {
		for _, number := range m.Parts.GroupNumbers(group) {
			record, err := w.record(number)
			if err != nil {
				return false, e.damage.Row(v, err)
			}
			if !isPadded(record.Extents) {
				return false, nil
			}
		}
	}
	return true, nil
}
