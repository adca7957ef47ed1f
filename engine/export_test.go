package engine

import (
	"context"
	"io"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// Finding is a fsck.Finding, and Findings are those of fsck.Run. Tests of this package
// cannot import that, which imports the engine; the harness sets Findings.
type Finding struct{ Kind, Bucket, Key, Version, Upload, Detail string }

var Findings func(context.Context, *Engine) ([]Finding, error)

// MaxFilling is maxFilling.
const MaxFilling = maxFilling

// PaddedSize is paddedSize.
func PaddedSize(plain int64) int64 { return paddedSize(plain) }

// BehindBody returns the plaintext that the blob of an object has behind the body.
func BehindBody(ctx context.Context, e *Engine, b meta.Bucket, key string) ([]byte, error) {
	v, err := e.store.Version(ctx, b.ID, key, meta.VersionRef{})
	if err != nil {
		return nil, err
	}
	m, err := e.openVersion(ctx, v, nil)
	if err != nil {
		return nil, err
	}
	x := m.Extents[0]
	x.Offset, x.Length = x.Length, x.BlobSize-x.Length
	return io.ReadAll(e.newSource(ctx, &v, &encrypt.Manifest{Size: x.Length, Extents: []encrypt.Extent{x}}, 0, x.Length))
}
