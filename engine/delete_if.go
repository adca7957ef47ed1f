package engine

import (
	"context"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

func (d DeleteObject) conditional() bool {
	return d.IfMatch != "" || d.IfSize != nil || !d.IfModified.IsZero() || d.Replaces != nil
}

// deleteIf decides the conditions on what the key holds and carries the deletion
// out if the key still holds that. They speak of the current version even where
// another is to be removed.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
func (e *Engine) deleteIf(ctx context.Context, b meta.Bucket, d DeleteObject) Deleted {
	err := e.proveLock(ctx, b, d)
	if err == nil {
		err = e.admitMarkers(ctx, b, []DeleteObject{d})
	}
	if err != nil {
		return Deleted{Err: err}
	}
	for range maxConditionTries {
		f, err := e.lookUp(ctx, GetObject{Bucket: b, Key: d.Key})
		if err == nil {
			err = d.Judged.permits(f)
		}
		if err == nil {
			if err = e.mayReplace(ctx, b, d.Key, &f.version, d.Replaces); err == nil {
				err = e.checkDelete(ctx, f.version, d)
			}
		} else if errors.Is(err, s3err.NoSuchKey) && d.IfMatch == "" {
			return Deleted{} // no version at all, and nothing to compare
		}
		if err != nil {
			return Deleted{Err: err}
		}
		done := e.remove(ctx, b, []DeleteObject{d}, meta.Expect{Kind: meta.ExpectVersion, Version: f.version.ID})[0]
		if !errors.Is(done.Err, meta.ErrConflict) {
			return done
		}
	}
	return Deleted{Err: s3err.ConditionalRequestConflict}
}

// absent reports whether nothing was there to be decided about.
func (j *Judged) absent() bool { return j != nil && j.Found.version.ID.IsZero() }

// permits decides again about what the key holds if that is not what was decided about.
func (j *Judged) permits(f *Found) error {
	if j == nil || f.version.ID == j.Found.version.ID && f.version.Revision == j.Found.version.Revision {
		return nil
	}
	if f.version.Marker {
		f = &Found{} // it has no marks
	}
	err := j.Permit(f)
	if err == nil {
		j.Found = f
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
	switch {
	case d.IfMatch != "" && (v.Marker || !matchTags(d.IfMatch, etag)):
		return preconditionFailed("If-Match")
	case d.IfSize != nil && (v.Marker || *d.IfSize != v.Size):
		return preconditionFailed("x-amz-if-match-size")
	case !d.IfModified.IsZero() && (v.Marker || !v.Modified.Truncate(time.Second).Equal(d.IfModified.Truncate(time.Second))):
		return preconditionFailed("x-amz-if-match-last-modified-time")
	}
	return nil
}
