package damage

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// lose takes note that a blob of a version's body was not where it ought to be.
func (r *Reports) lose(v *meta.Version, blob meta.BlobID) { r.lost.Put(v.Body, blob) }

// RefuseLost fails with damage if this gateway has met that a blob of a version's body is
// missing, and it still is: a copy that shares the body would be one more object that
// nobody can read. Of a body that nobody has missed no backend is asked.
func (r *Reports) RefuseLost(ctx context.Context, v *meta.Version) error {
	blob, lost := r.lost.Get(v.Body)
	if !lost {
		return nil
	}
	first, at, err := r.c.Blobs().Read(ctx, blob, 0, 1)
	if err != nil {
		return r.Blob(ctx, v, blob, at, err)
	}
	r.lost.Drop(v.Body)
	return first.Close()
}
