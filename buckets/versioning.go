package buckets

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// SetVersioning enables or suspends a bucket's versioning. InvalidBucketState where
// locks keep it enabled.
func (bs *Buckets) SetVersioning(ctx context.Context, b meta.Bucket, v meta.Versioning) error {
	return bs.setVersioning(ctx, b, v, false)
}

// setVersioning changes the bucket's versioning, and with lock gives it the right to
// locks, whatever else of it changed meanwhile.
func (bs *Buckets) setVersioning(ctx context.Context, b meta.Bucket, v meta.Versioning, lock bool) error {
	for c := (meta.Contest{}); ; {
		// Within the loop: another request may have given the bucket its locks meanwhile.
		if b.Lock && v != meta.VersioningEnabled {
			return s3err.New(s3err.InvalidBucketState, "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		err := bs.versioningOf(ctx, b, v, lock)
		if !errors.Is(err, meta.ErrConflict) {
			return meta.Coded(err)
		}
		if err = c.Again(ctx); err == nil {
			b, err = bs.Reread(ctx, b)
		}
		if err != nil {
			return meta.Coded(err)
		}
	}
}

// versioningOf is setVersioning of a bucket as it was read; meta.ErrConflict where it
// has changed since.
func (bs *Buckets) versioningOf(ctx context.Context, b meta.Bucket, v meta.Versioning, lock bool) error {
	sums, seeds, err := bs.recordOf(ctx, b)
	if err != nil {
		return err
	}
	next := b
	next.Versioning, next.Lock = v, b.Lock || lock
	return bs.change(ctx, next, sums, seeds, func(ctx context.Context, c meta.Change) error { return bs.Store.SetVersioning(ctx, b.ID, c, v, lock) })
}

// change makes a change of a bucket's row, which is next but for its revision
// and record.
// The revision is a compare-and-swap. The record is sealed for the revision after the change, so a
// row that took part of another change is not proven.
func (bs *Buckets) change(ctx context.Context, next meta.Bucket, sums settingSums, seeds []seedFacts, change func(context.Context, meta.Change) error) error {
	ctx, sealing, done, err := bs.SealAs(ctx)
	if err != nil {
		return err
	}
	defer done()
	c := meta.Change{Revision: next.Revision}
	next.Revision++
	if err := bs.seal(sealing, &next, sums, seeds); err != nil {
		return err
	}
	c.Record = next.Record
	return change(ctx, c)
}

// recordOf are what the bucket's record says of its settings, or what their rows do
// where it has none yet, and of its generations. meta.ErrConflict where it has changed
// since it was read.
func (bs *Buckets) recordOf(ctx context.Context, b meta.Bucket) (settingSums, []seedFacts, error) {
	if len(b.Record) == 0 && b.Revision == 0 {
		return nil, nil, nil
	}
	s, err := bs.ReadableSettings(ctx, b)
	if err == nil && s.revision != b.Revision {
		err = meta.ErrConflict
	}
	if err != nil {
		return nil, nil, err
	}
	return s.sums, s.seeds, nil
}
