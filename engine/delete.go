package engine

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// It is DeleteObjects of one. The error is also in Deleted.
// DeleteObject deletes a key, or one version of it for good; one that is not there
// is no error unless a condition demands it.
func (e *Engine) DeleteObject(ctx context.Context, b meta.Bucket, d DeleteObject) (Deleted, error) {
	done := e.DeleteObjects(ctx, b, []DeleteObject{d})[0]
	return done, done.Err
}

// target is what a deletion names. Two that name the same in one request are
// one deletion.
// It is a comparable key for a map, and therefore has neither conditions nor owner.
type target struct {
	key     string
	version meta.VersionRef
}

// DeleteObjects deletes keys or versions, each on its own condition and in the
// order given, conditional ones first, and says of each what became of it.
// Anything may be named more than once.
// It goes on after an error: each deletion has its own, and one that is refused does not keep the
// others from being carried out. A batch of at most meta.MaxBatch is one transaction.
func (e *Engine) DeleteObjects(ctx context.Context, b meta.Bucket, ds []DeleteObject) []Deleted {
	done := make([]Deleted, len(ds))
	same := make(map[target][]int) // unconditional deletions and where they stand
	var order []int
	for i, d := range ds {
		at := target{d.Key, d.Version}
		switch {
		case meta.CheckKey(d.Key) != nil:
			done[i].Err = meta.CheckKey(d.Key)
		// Conditional deletions are carried out one by one as they are met, before the batch,
		// because each needs a look of its own.
		case d.conditional():
			done[i] = e.deleteIf(ctx, b, d)
		default:
			// The store takes no two removals of the same name in one transaction. The second
			// answer is a copy of the first.
			if same[at] == nil {
				order = append(order, i)
			}
			same[at] = append(same[at], i)
		}
	}
	// Quotas are cached by what was used. The room that deletions make counts at once.
	defer e.buckets.Freed(b)
	for len(order) > 0 {
		batch := order[:min(len(order), meta.MaxBatch)]
		order = order[len(batch):]
		todo := make([]DeleteObject, len(batch))
		for i, at := range batch {
			todo[i] = ds[at]
		}
		for i, deleted := range e.deleteBatch(ctx, b, todo) {
			for _, at := range same[target{todo[i].Key, todo[i].Version}] {
				done[at] = deleted
			}
		}
	}
	return done
}

// deleteBatch carries out at most meta.MaxBatch deletions without conditions.
func (e *Engine) deleteBatch(ctx context.Context, b meta.Bucket, ds []DeleteObject) []Deleted {
	done := make([]Deleted, len(ds))
	var todo []DeleteObject
	var at []int
	// A full quota must not keep anybody from removing versions for good. So it is asked for
	// the deletions that add a marker, and refuses those alone.
	end, full := e.admitMarkers(ctx, b, ds)
	// A marker that is not left after all counts until the usage is read again.
	defer end(true)
	for i, d := range ds {
		if leavesMarker(b, d) {
			done[i].Err = full
		} else {
			done[i].Err = e.proveLock(ctx, b, d)
		}
		if done[i].Err == nil {
			todo, at = append(todo, d), append(at, i)
		}
	}
	for i, deleted := range e.remove(ctx, b, todo, meta.Expect{}) {
		if errors.Is(deleted.Err, meta.ErrConflict) { // it is not what was decided on
			deleted = e.deleteIf(ctx, b, todo[i])
		}
		done[at[i]] = deleted
	}
	return done
}

// proveLock holds the row of a version that is to be removed for good against what was
// sealed, where there are locks: the store goes by the row, and a row that was edited
// must not free what was locked.
// A key that is deleted without a version loses no version for good, so it needs no proof.
func (e *Engine) proveLock(ctx context.Context, b meta.Bucket, d DeleteObject) error {
	if !b.Lock || d.Version.IsZero() {
		return nil
	}
	v, err := e.versionOf(ctx, b, d.Key, d.Version)
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	} else if err != nil {
		return meta.Coded(err)
	}
	_, err = e.OpenMarks(ctx, v)
	return err
}

// remove has the store remove what the deletions name, under one expectation, and
// again where the bucket's versioning was another than it was taken for.
// An error of the transaction is that of each of its deletions: none of them was carried out.
func (e *Engine) remove(ctx context.Context, b meta.Bucket, ds []DeleteObject, expect meta.Expect) []Deleted {
	done := make([]Deleted, len(ds))
	if len(ds) == 0 {
		return done
	}
	ctx, how, sealed, err := e.sealing.As(ctx)
	// sealed is never nil, also after an error of As.
	defer sealed()
	if err == nil {
		err = e.removeAs(ctx, b, ds, expect, how, done)
	}
	for i := range done {
		if err != nil {
			done[i].Err = meta.Coded(err)
		}
	}
	return done
}

// removeAs is remove by a sealing, and fills in what was removed.
func (e *Engine) removeAs(ctx context.Context, b meta.Bucket, ds []DeleteObject, expect meta.Expect, how meta.Sealing, done []Deleted) (err error) {
	old, err := e.removedFrom(ctx, b)
	if err != nil {
		return err
	}
	defer old.report()
	// The removals are made again in each turn: whether a deletion leaves a marker, and what
	// that is sealed as, depends on the versioning.
	for c := (meta.Contest{}); ; {
		var rs []meta.Removal
		if rs, err = e.removals(ctx, b, ds, expect, how); err != nil {
			return err
		}
		for i := range rs {
			rs[i].Newest, rs[i].Prove = b.Generation, old.proves
		}
		var removed []meta.Removed
		if removed, err = e.store.RemoveObjects(ctx, b.ID, b.Versioning, rs, e.now()); err == nil {
			for i := range ds {
				done[i] = deleted(b, ds[i], rs[i], removed[i])
			}
			return nil
		}
		if !errors.Is(err, meta.ErrVersioning) {
			return err
		}
		if err = c.Again(ctx); err == nil {
			b, err = e.buckets.Reread(ctx, b)
		}
		if err == nil {
			err = old.follow(ctx, b)
		}
		if err != nil {
			return err
		}
	}
}

// leavesMarker reports whether a deletion leaves a delete marker.
// It depends on the versioning alone. Whether the key holds something does not matter, as on S3.
func leavesMarker(b meta.Bucket, d DeleteObject) bool {
	return d.Version.IsZero() && b.Versioning != meta.VersioningOff
}

// admitMarkers refuses the deletions of a batch that leave markers when the quotas have too
// little left for all of these. It asks for all of them or for none, because the store takes them
// in one transaction. Admitted markers are charged at once, before the markers exist, so that
// requests at the same time do not share the same room.
func (e *Engine) admitMarkers(ctx context.Context, b meta.Bucket, ds []DeleteObject) (end func(stored bool), err error) {
	var more meta.Usage
	for _, d := range ds {
		if leavesMarker(b, d) {
			more.Markers++
		}
	}
	if more.Markers == 0 {
		return func(bool) {}, nil
	}
	return e.buckets.Claim(ctx, b, more)
}

// removals are deletions under one expectation as the store takes them.
func (e *Engine) removals(ctx context.Context, b meta.Bucket, ds []DeleteObject, expect meta.Expect, how meta.Sealing) ([]meta.Removal, error) {
	rs := make([]meta.Removal, len(ds))
	for i, d := range ds {
		var err error
		if rs[i], err = e.removal(ctx, b, d, expect, how); err != nil {
			return nil, err
		}
	}
	return rs, nil
}

// removal is a deletion as the store takes it.
func (e *Engine) removal(ctx context.Context, b meta.Bucket, d DeleteObject, expect meta.Expect, how meta.Sealing) (meta.Removal, error) {
	r := meta.Removal{Key: d.Key, Version: d.Version, Expect: expect, Bypass: d.Bypass}
	switch {
	case d.Judged == nil:
	case !d.Version.IsZero():
		r.Named = d.Judged.expect()
	// An expectation of the caller is newer than the row that access was decided on, and has
	// been judged again.
	case expect.Kind == meta.ExpectAny:
		r.Expect = d.Judged.expect()
	}
	if !leavesMarker(b, d) {
		return r, nil
	}
	r.Marker = meta.Version{
		Bucket: b.ID, Key: d.Key, ID: meta.NewID(), Owner: d.Owner, Modified: e.now().UTC(),
		Null: b.Versioning != meta.VersioningEnabled, Marker: true,
	}
	if how == meta.SealingLegacy {
		return r, nil
	}
	keys, err := e.buckets.Keys(ctx, b)
	if err != nil {
		return r, err
	}
	e.sealRow(keys, &r.Marker, encrypt.WholeRecord{}, how)
	return r, nil
}

// deleted says what became of a removal as clients are told. ErrConflict is left
// to callers that expected something.
func deleted(b meta.Bucket, d DeleteObject, r meta.Removal, done meta.Removed) Deleted {
	switch {
	case errors.Is(done.Err, meta.ErrLocked):
		return Deleted{Err: errLocked}
	case done.Err != nil:
		return Deleted{Err: meta.Coded(done.Err)}
	case !d.Version.IsZero():
		return Deleted{Version: d.Version, Marker: done.Found.Marker, Size: done.Found.Size}
	case done.Marked:
		return Deleted{Version: shown(b, r.Marker), Marker: true, Size: done.Found.Size}
	}
	return Deleted{Size: done.Found.Size}
}
