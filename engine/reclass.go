package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

var (
	// ErrVersionChanged: a version is no longer what it was judged by.
	ErrVersionChanged = errors.New("the version was changed meanwhile")
	// errResidency: a bucket whose object these bytes are demands another place.
	errResidency = errors.New("a bucket demands that the bytes stay where they are")
	// errNoPlace: no active backend that this gateway has is named like the class.
	errNoPlace = errors.New("no active backend has the storage class's name")
)

// OfVersionAlone reports whether an error of Reclass is one of the version alone, so that
// others may still be moved: a bucket's demand, a class that names no backend, or what
// ails one of its blobs.
func OfVersionAlone(err error) bool {
	return errors.Is(err, errResidency) || errors.Is(err, errNoPlace) || ownFault(err)
}

// Reclass gives a version, whose row was proven, another storage class, and returns how
// many sealed bytes were moved for it, also with an error. Where the class names a
// backend, the bytes are there before the version says so; they are moved for every
// version that shares them, and not at all where a bucket of theirs demands otherwise.
// Errors: ErrVersionChanged, those of OfVersionAlone, and faults of the store or of a
// backend.
func (e *Engine) Reclass(ctx context.Context, b meta.Bucket, v *meta.Version, class string) (moved int64, err error) {
	if !LabelClass(class) {
		if moved, err = e.moveBody(ctx, b, v, class); err != nil {
			return moved, err
		}
	}
	ctx, how, done, err := e.sealAs(ctx)
	if err != nil {
		return moved, err
	}
	defer done()
	a := meta.Amendment{Key: v.Key, Version: v.ID, Revision: v.Revision, Marks: v.Marks, Lock: v.Lock, Class: class}
	if err := e.amended(ctx, v, &a, how); err != nil {
		return moved, err
	}
	err = e.store.AmendVersion(ctx, b.ID, a)
	if errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrNotFound) {
		return moved, ErrVersionChanged
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
	whole, err := e.versionByID(ctx, b.ID, v.Key, v.ID) // with its keys, which a listed row has not
	if errors.Is(err, meta.ErrNotFound) {
		return 0, ErrVersionChanged
	} else if err != nil {
		return 0, err
	}
	judges := make(map[meta.BackendID]judge)
	var batch []proof
	move := func() error {
		n, err := e.moveBlobs(ctx, s, to, judges, v, batch)
		moved, batch = moved+n, batch[:0]
		return err
	}
	for p, err := range e.proofs(ctx, &whole) {
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

// moveBlobs moves those of a version's blobs that are elsewhere, at most meta.MaxBatch.
func (e *Engine) moveBlobs(ctx context.Context, s *places, to *place, judges map[meta.BackendID]judge, v *meta.Version, batch []proof) (moved int64, err error) {
	ids, proves := make([]meta.BlobID, len(batch)), make(map[meta.BlobID]proof, len(batch))
	for i, p := range batch {
		ids[i], proves[p.id] = p.id, p
	}
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
		if judges[at] == nil {
			judges[at] = e.judgeVersion(v, from, to)
		}
		n, _, err := e.shift(ctx, proves[id], from, to, judges[at])
		moved += n
		return err
	})
	return moved, err
}

// judgeVersion refuses to move blobs that may be part of another bucket's object if a
// bucket demands a place that the target is not. For a body of one blob, the ledger's count
// of references shows that no other version shares it. The parts of an upload have no such
// count by blob.
func (e *Engine) judgeVersion(v *meta.Version, from, to *place) judge {
	var had *verdict
	return func(ctx context.Context, anew bool) (verdict, error) {
		if had != nil && !anew {
			return *had, nil
		}
		if v.Body.Kind == meta.BodyBlob {
			blob, err := e.store.Blob(ctx, v.Body.Blob)
			if err != nil && !errors.Is(err, meta.ErrNotFound) { // gone: as the move will find
				return verdict{}, fmt.Errorf("read a blob's references: %w", err)
			}
			if blob.Refs <= 1 {
				return verdict{only: &meta.Referrer{Bucket: v.Bucket, Key: v.Key, Version: v.ID}}, nil
			}
		}
		demands, err := e.store.Demands(ctx)
		if err != nil {
			return verdict{}, err
		}
		held, err := e.heldBy(ctx, from, to)
		if err == nil && len(held) > 0 {
			err = errResidency
		}
		had = &verdict{demands: demands}
		return *had, err
	}
}
