package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

var (
	// errChanged: a version is no longer what it was judged by.
	errChanged = errors.New("the version was changed meanwhile")
	// errResidency: a bucket whose object these bytes are demands another place.
	errResidency = errors.New("a bucket demands that the bytes stay where they are")
	// errNoPlace: no active backend that this gateway has is named like the class.
	errNoPlace = errors.New("no active backend has the storage class's name")
)

// ownFault reports whether an error is one of the version alone, so that others
// may still be moved, and what it is.
func ownFault(err error) (bool, error) {
	for _, own := range []error{backends.ErrNotFound, backends.ErrCorrupt, backends.ErrSize, io.ErrUnexpectedEOF, errOtherBytes, meta.ErrConflict, errResidency, errNoPlace} {
		if errors.Is(err, own) {
			return true, err
		}
	}
	return false, err
}

// reclass gives a version another storage class, and returns how many sealed bytes
// were moved for it. Where the class names a backend, the bytes are there before
// the version says so; they are moved for every version that shares them.
func (e *Engine) reclass(ctx context.Context, b meta.Bucket, v *meta.Version, class string) (moved int64, err error) {
	if !LabelClass(class) {
		if moved, err = e.moveBody(ctx, b, v, class); err != nil {
			return moved, err
		}
	}
	err = e.store.AmendVersion(ctx, b.ID, meta.Amendment{
		Key: v.Key, Version: v.ID, Revision: v.Revision, Marks: v.Marks, Lock: v.Lock, Class: class,
	})
	if errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrNotFound) {
		return moved, errChanged
	}
	return moved, err
}

// moveBody moves the blobs of a version to the backend that a class names.
func (e *Engine) moveBody(ctx context.Context, b meta.Bucket, v *meta.Version, class string) (moved int64, err error) {
	s, err := e.refresh(ctx)
	if err != nil {
		return 0, err
	}
	row, ok := s.classed(class)
	if !ok || row.State != meta.BackendActive || s.configured[row.ID] == nil {
		return 0, errNoPlace
	}
	to := s.configured[row.ID]
	if !to.meets(b.Residency) {
		return 0, errResidency
	}
	if err := e.prove(ctx, to); err != nil {
		return 0, err
	}
	switch v.Body.Kind {
	case meta.BodyBlob:
		return e.moveBlobs(ctx, s, to, []meta.BlobID{v.Body.Blob}, false)
	case meta.BodyUpload:
		for after := 0; ; {
			rows, err := e.store.Parts(ctx, v.Body.Upload, after, meta.MaxPage)
			if err != nil {
				return moved, err
			}
			var ids []meta.BlobID
			for i := range rows {
				ids, after = append(ids, rows[i].Blobs...), rows[i].Number
			}
			n, err := e.moveBlobs(ctx, s, to, ids, true) // who shares an upload's parts is not counted by blob
			if moved += n; err != nil || len(rows) < meta.MaxPage {
				return moved, err
			}
		}
	}
	return 0, nil
}

// moveBlobs moves those of the blobs that are elsewhere.
func (e *Engine) moveBlobs(ctx context.Context, s *places, to *place, ids []meta.BlobID, shared bool) (moved int64, err error) {
	err = e.eachPlace(ctx, ids, func(id meta.BlobID, at meta.BackendID) error {
		if at == 0 || at == to.id { // condemned: a part that was not chosen, or the version is gone
			return nil
		}
		from, err := s.at(at)
		if err != nil {
			return err
		}
		if err := e.prove(ctx, from); err != nil {
			return err
		}
		n, err := e.shift(ctx, id, from, to, shared)
		moved += n
		return err
	})
	return moved, err
}

// shift moves one blob. Who shares it is looked at last, when the copy is there and
// only the ledger is left to be changed.
func (e *Engine) shift(ctx context.Context, id meta.BlobID, from, to *place, shared bool) (int64, error) {
	n, err := copyBlob(ctx, backends.BlobID(id), from, to)
	if err != nil {
		return 0, err
	}
	if err = e.mayShift(ctx, id, from, to, shared); err == nil {
		err = e.store.MoveBlob(ctx, id, from.id, to.id, e.now())
	}
	if err == nil {
		e.blobPlaces.drop(id)
		return n, nil
	}
	if !errors.Is(err, errResidency) && !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrNotFound) {
		return 0, err // the next turn finds the copy
	}
	at, again := e.store.BlobBackends(ctx, []meta.BlobID{id})
	switch {
	case again != nil:
		return 0, errors.Join(err, again)
	case at[0] == to.id:
		e.blobPlaces.drop(id)
		return n, nil
	}
	return 0, errors.Join(err, to.Delete(ctx, backends.BlobID(id)))
}

// mayShift refuses to move what may be part of another bucket's objects, where a
// bucket demands a place that the target is not.
func (e *Engine) mayShift(ctx context.Context, id meta.BlobID, from, to *place, shared bool) error {
	if !shared {
		blob, err := e.store.Blob(ctx, id)
		if err != nil {
			return fmt.Errorf("read a blob's references: %w", err)
		}
		shared = blob.Refs > 1
	}
	if !shared {
		return nil
	}
	held, err := e.heldBy(ctx, from, to)
	if err == nil && len(held) > 0 {
		err = errResidency
	}
	return err
}
