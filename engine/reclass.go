package engine

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/meta"
)

// ErrVersionChanged: a version is no longer what it was judged by.
var ErrVersionChanged = errors.New("the version was changed meanwhile")

// OfVersionAlone reports whether an error of Reclass is one of the version alone, so that
// others may still be moved: a bucket's demand, a class that names no backend, or what
// ails one of its blobs.
func OfVersionAlone(err error) bool {
	return errors.Is(err, blobs.ErrResidency) || errors.Is(err, blobs.ErrNoPlace) || blobs.OwnFault(err)
}

// Reclass gives a version, whose row was proven, another storage class, and returns how
// many sealed bytes were moved for it, also with an error. Where the class names a
// backend, the bytes are there before the version says so; they are moved for every
// version that shares them, and not at all where a bucket of theirs demands otherwise.
// Errors: ErrVersionChanged, those of OfVersionAlone, and faults of the store or of a
// backend.
// The version keeps its id, time and ETag: on S3 a transition is no write either.
func (e *Engine) Reclass(ctx context.Context, b meta.Bucket, v *meta.Version, class string) (moved int64, err error) {
	if !LabelClass(class) {
		// Bytes first, row second. A process that dies in between leaves bytes that the next
		// run finds in place.
		if moved, err = e.moveBody(ctx, b, v, class); err != nil {
			return moved, err
		}
	}
	ctx, how, done, err := e.sealing.As(ctx)
	if err != nil {
		return moved, err
	}
	defer done()
	a := meta.Amendment{Key: v.Key, Version: v.ID, Revision: v.Revision, Marks: v.Marks, Lock: v.Lock, Class: class}
	if err := e.sealAmendment(ctx, v, &a, how); err != nil {
		return moved, err
	}
	err = e.store.AmendVersion(ctx, b.ID, a)
	if errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrNotFound) {
		return moved, ErrVersionChanged
	}
	return moved, err
}

// moveBody moves the blobs of a version to the backend that a class names. It moves meta.MaxBatch
// blobs at a time. Blobs that an earlier batch has moved stay moved when a later one fails.
func (e *Engine) moveBody(ctx context.Context, b meta.Bucket, v *meta.Version, class string) (moved int64, err error) {
	r, err := e.blobs.Relocate(ctx, v, class, b.Residency)
	if err != nil {
		return 0, err
	}
	whole, err := e.versionByID(ctx, b.ID, v.Key, v.ID) // with its keys, which a listed row has not
	if errors.Is(err, meta.ErrNotFound) {
		return 0, ErrVersionChanged
	} else if err != nil {
		return 0, err
	}
	var batch []blobs.Proof
	move := func() error {
		n, err := r.Move(ctx, batch)
		moved, batch = moved+n, batch[:0]
		return err
	}
	for p, err := range (prover{e}).Proofs(ctx, &whole) {
		if err != nil {
			return moved, err
		}
		if batch = append(batch, p); len(batch) == meta.MaxBatch {
			if err := move(); err != nil {
				return moved, err
			}
		}
	}
	return moved, move()
}
