package blobs

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// maxUndeletable blobs that a backend does not delete are found in one pass. With more
// of them the rest of the pass waits for the next.
// Finding one costs up to log2(collectBlobs) refused calls. At a storage that holds all of
// them, by a retention of the provider, the pass ends after a few dozen calls.
const maxUndeletable = 16

// deletion is what one pass deletes at one backend. A blob that the backend does not
// delete, because something holds it there, does not keep others from being deleted.
type deletion struct {
	at     *place
	gone   []meta.BlobID
	left   []meta.BlobID // cannot be deleted now, and are tried again behind the others
	failed int           // of left: those that the backend does not delete
	errs   []error       // the first of each
}

// leave notes a blob that cannot be deleted now.
func (d *deletion) leave(id meta.BlobID, err error) {
	if d.left = append(d.left, id); len(d.errs) < maxStuckErrors {
		d.errs = append(d.errs, err)
	}
}

// delete deletes blobs, as many as can be in deleteTimeout.
func (d *deletion) delete(ctx context.Context, ids []meta.BlobID) {
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	d.halve(ctx, ids)
}

// halve deletes blobs all at once, and where that fails for another reason than the
// backend's absence, each half by itself. It is false when the pass has to end.
func (d *deletion) halve(ctx context.Context, ids []meta.BlobID) bool {
	dead := make([]backends.BlobID, len(ids))
	for i, id := range ids {
		dead[i] = backends.BlobID(id)
	}
	err := d.at.Delete(ctx, dead...)
	switch {
	case err == nil:
		d.gone = append(d.gone, ids...)
		return true
	// Halving would ask a backend that answers nothing a thousand times.
	case ofBackend(ctx, err):
		d.errs = append(d.errs, err)
		return false
	case len(ids) == 1:
		d.leave(ids[0], err)
		d.failed++
		return d.failed < maxUndeletable
	}
	half := len(ids) / 2
	return d.halve(ctx, ids[:half]) && d.halve(ctx, ids[half:])
}

// ofBackend reports whether an error says that a backend does nothing that it is asked
// for, rather than what ails one blob.
func ofBackend(ctx context.Context, err error) bool {
	for _, is := range []error{backends.ErrUnavailable, backends.ErrReadOnly, backends.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, is) {
			return true
		}
	}
	return ctx.Err() != nil
}
