package engine

import (
	"context"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Judged is no condition in this sense: it is expected by the store, and only a conflict leads
// here.
func (d DeleteObject) conditional() bool {
	return d.IfMatch != "" || d.IfSize != nil || !d.IfModified.IsZero() || d.Replaces != nil
}

// deleteIf decides the conditions on what the key holds and carries the deletion
// out if the key still holds that. They speak of the current version even where
// another is to be removed.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
// Between the look and the removal the key may change. Then the store answers ErrConflict, and the
// conditions are decided anew, maxConditionTries times at most.
func (e *Engine) deleteIf(ctx context.Context, b meta.Bucket, d DeleteObject) Deleted {
	if err := e.proveLock(ctx, b, d); err != nil {
		return Deleted{Err: err}
	}
	end, err := e.admitMarkers(ctx, b, []DeleteObject{d})
	if err != nil {
		return Deleted{Err: err}
	}
	defer end(true)
	for range maxConditionTries {
		f, err := e.lookUp(ctx, GetObject{Bucket: b, Key: d.Key})
		if errors.Is(err, s3err.NoSuchKey) && d.IfMatch == "" {
			return Deleted{} // no version at all, and nothing to compare
		}
		if err == nil {
			err = e.mayDelete(ctx, b, d, &f.version)
		}
		if errors.Is(err, ErrMarker) && d.IfMatch == "" && d.Version.IsZero() {
			return Deleted{} // the same: there is no object
		}
		if err != nil {
			return Deleted{Err: err}
		}
		expect := meta.Expect{Kind: meta.ExpectVersion, Version: f.version.ID}
		// Tags and ACL, on which the right may rest, change without a new version. So the
		// revision is compared as well.
		if d.Judged != nil && d.Version.IsZero() {
			expect.Kind, expect.Revision = meta.ExpectRow, f.version.Revision
		}
		done := e.remove(ctx, b, []DeleteObject{d}, expect)[0]
		if !errors.Is(done.Err, meta.ErrConflict) {
			return done
		}
	}
	return Deleted{Err: s3err.ConditionalRequestConflict}
}

// mayDelete decides a deletion anew, of which v is the key's current version.
// Rights come first, conditions last: the answer to a condition tells something of the object.
func (e *Engine) mayDelete(ctx context.Context, b meta.Bucket, d DeleteObject, v *meta.Version) (err error) {
	if d.Version.IsZero() {
		err = d.Judged.permitsCurrent(v)
	} else {
		err = e.permitNamed(ctx, b, d)
	}
	if err == nil {
		err = e.mayReplace(ctx, b, d.Key, v, d.Replaces)
	}
	if err == nil {
		err = e.checkDelete(ctx, *v, d)
	}
	return err
}

// checkDelete holds the conditions against the current version. A delete marker
// meets none.
func (e *Engine) checkDelete(ctx context.Context, v meta.Version, d DeleteObject) error {
	etag, err := e.etag(ctx, v)
	if err != nil {
		return err
	}
	failed := ""
	switch {
	case d.IfMatch != "" && (v.Marker || !matchTags(d.IfMatch, etag)):
		failed = "If-Match"
	case d.IfSize != nil && (v.Marker || *d.IfSize != v.Size):
		failed = "x-amz-if-match-size"
	case !d.IfModified.IsZero() && (v.Marker || !v.Modified.Truncate(time.Second).Equal(d.IfModified.Truncate(time.Second))):
		failed = "x-amz-if-match-last-modified-time"
	default:
		return nil
	}
	if v.Marker {
		return s3err.Wrap(s3err.PreconditionFailed, ErrMarker).With("Condition", failed)
	}
	return preconditionFailed(failed)
}

// ErrMarker is the cause of a PreconditionFailed where the key has a delete marker
// and no object. Like an absent key, that is for senders who may list the bucket.
var ErrMarker = errors.New("the key has a delete marker")
