package engine

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// lose takes note that a blob of a version's body was not where it ought to be.
func (e *Engine) lose(v *meta.Version, blob meta.BlobID) { e.lostBlobs.Put(v.Body, blob) }

// refuseLost fails with damage if this gateway has met that a blob of a version's body is
// missing, and it still is: a copy that shares the body would be one more object that
// nobody can read. Of a body that nobody has missed no backend is asked.
func (e *Engine) refuseLost(ctx context.Context, v *meta.Version) error {
	blob, lost := e.lostBlobs.Get(v.Body)
	if !lost {
		return nil
	}
	r, at, err := e.blobs.Read(ctx, blob, 0, 1)
	if err != nil {
		return e.damagedBlob(ctx, v, blob, at, err)
	}
	e.lostBlobs.Drop(v.Body)
	return r.Close()
}
