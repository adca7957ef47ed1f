package engine

import (
	"bytes"
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// ChangeMarks changes the marks of a version without making another one, and returns
// what is known of it without its manifest: neither ETag nor headers. change is
// called again on what it is by then when somebody else changed it in between;
// its error ends the attempt, as does that of the subject's Permit. It needs no
// customer's key. Errors: NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete
// marker, OperationAborted.
func (e *Engine) ChangeMarks(ctx context.Context, at Subject, change func(*Marks) error) (Object, error) {
	f, err := e.seen(ctx, &at)
	for c := (meta.Contest{}); ; {
		if err != nil {
			return Object{}, err
		}
		v, m, failed := e.marked(ctx, &at, f)
		if failed != nil {
			return Object{}, failed
		}
		if err := change(&m); err != nil {
			return Object{}, err
		}
		// The store compares the version's revision, so that of two changes at once the second
		// is judged again on the result of the first, by its Permit too.
		// ErrNotFound is treated like a conflict: the version was replaced or removed since, and
		// the next look says which of the two is to be answered.
		err = e.storeMarks(ctx, at.Bucket, &v, m)
		if !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrNotFound) {
			return describeRow(at.Bucket, v, m), meta.Coded(err)
		}
		if err := c.Again(ctx); err != nil {
			return Object{}, meta.Coded(err)
		}
		f, err = e.lookAgain(ctx, &at)
	}
}

// MarksOf reads the marks of a version, with what is known of it without its
// manifest. Errors as ChangeMarks.
func (e *Engine) MarksOf(ctx context.Context, at Subject) (Object, error) {
	f, err := e.seen(ctx, &at)
	if err != nil {
		return Object{}, err
	}
	v, m, err := e.marked(ctx, &at, f)
	if err != nil {
		return Object{}, err
	}
	return describeRow(at.Bucket, v, m), nil
}

// marked is a version that can have marks, and those.
// A delete marker has none, so it is an error here, as S3 has it for each operation on tags, ACL
// and locks.
func (e *Engine) marked(ctx context.Context, at *Subject, f *Found) (meta.Version, Marks, error) {
	v, err := f.row()
	switch {
	case err != nil && at.Version.IsZero():
		return v, Marks{}, noSuchKey(at.Key)
	case err != nil:
		return v, Marks{}, noSuchVersion(at.Key, at.Version)
	case v.Marker:
		// The row is proved before the client is told of a marker: an edit of one bit must not
		// turn an object into one.
		if _, err := e.openRow(ctx, &v); err != nil {
			return v, Marks{}, err
		}
		return v, Marks{}, s3err.New(s3err.MethodNotAllowed, "").With("ResourceType", "DeleteMarker")
	}
	m, err := e.marksOf(ctx, f)
	return v, m, err
}

// storeMarks stores marks in place of those that v was read with, and brings v up to
// date. An outcome that is unknown is settled by reading.
func (e *Engine) storeMarks(ctx context.Context, b meta.Bucket, v *meta.Version, m Marks) error {
	// All that is in a row is of the row's generation, whichever is the newest.
	keys, err := e.buckets.KeysOf(ctx, b.ID, v.Generation)
	if err != nil {
		return err
	}
	// The class goes along unchanged, because an amendment writes all columns that one can change.
	a := meta.Amendment{Key: v.Key, Version: v.ID, Revision: v.Revision, Lock: storedLock(m.Lock), Class: v.Class}
	if a.Marks, err = e.sealMarks(keys, v, m); err != nil {
		return err
	}
	ctx, how, done, err := e.sealing.As(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := e.sealAmendment(ctx, v, &a, how); err != nil {
		return err
	}
	err = e.store.AmendVersion(ctx, b.ID, a)
	if errors.Is(err, meta.ErrUnknown) {
		// The sender may have gone. Whether the change has happened is settled all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		defer cancel()
		now, again := e.versionOf(ctx, b, v.Key, v.Ref())
		switch {
		case again != nil:
			return errors.Join(err, again)
		// Sealed marks are random, so equal ones are those of this call; where there are none,
		// any state without is as good. A change by somebody else on top of it cannot be told
		// from a change in its place, so the client is asked to repeat it.
		case now.ID != v.ID || !bytes.Equal(now.Marks, a.Marks) || now.Revision == v.Revision:
			return s3err.Wrap(s3err.ServiceUnavailable, err) // it may be sent again
		}
		err = nil
	}
	// After an error v is of no use to the caller, which looks again.
	v.Revision, v.Marks, v.Lock, v.ListRecord = v.Revision+1, a.Marks, a.Lock, a.ListRecord
	return err
}

// sealAmendment seals the list record that a version will have by an amendment.
// The record covers the revision that the row will have, and not the present one: the store counts
// it up in the same statement.
func (e *Engine) sealAmendment(ctx context.Context, v *meta.Version, a *meta.Amendment, how meta.Sealing) error {
	next := *v
	err := e.resealRow(&next, e.keysOf(ctx, next.Bucket), how, func() {
		next.Revision, next.Marks, next.Lock, next.Class = v.Revision+1, a.Marks, a.Lock, a.Class
	})
	a.ListRecord = next.ListRecord
	return err
}

// describeRow is describe without a manifest.
// It is for answers that must not need a customer's key, which the manifest may take.
func describeRow(b meta.Bucket, v meta.Version, m Marks) Object {
	o := Object{
		Key: v.Key, ID: v.ID, Version: shown(b, v), Latest: v.Latest, Size: v.Size, Modified: v.Modified,
		Owner: v.Owner, Marks: m, Encryption: v.Encryption,
	}
	o.StorageClass = class(v.Class, "")
	return o
}
