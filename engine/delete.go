package engine

import (
	"context"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// DeleteObject deletes a key; one that holds nothing is no error unless a
// condition demands it.
func (e *Engine) DeleteObject(ctx context.Context, b meta.Bucket, d DeleteObject) (Deleted, error) {
	done := e.DeleteObjects(ctx, b, []DeleteObject{d})[0]
	return done, done.Err
}

// DeleteObjects deletes keys, each on its own condition, and returns an error
// for each: nil, PreconditionFailed, or what kept it from being decided. A key may
// be named more than once.
func (e *Engine) DeleteObjects(ctx context.Context, b meta.Bucket, ds []DeleteObject) []Deleted {
	done := make([]Deleted, len(ds))
	plain := make(map[string][]int) // unconditional keys and where they stand
	var order []string
	for i, d := range ds {
		switch {
		case checkKey(d.Key) != nil:
			done[i].Err = checkKey(d.Key)
		case d.conditional():
			done[i].Err = storeError(e.deleteIf(ctx, b, d))
		default:
			if plain[d.Key] == nil {
				order = append(order, d.Key)
			}
			plain[d.Key] = append(plain[d.Key], i)
		}
	}
	for len(order) > 0 {
		batch := order[:min(len(order), meta.MaxBatch)]
		order = order[len(batch):]
		rs := make([]meta.Removal, len(batch))
		for i, key := range batch {
			rs[i].Key = key
		}
		results, err := e.store.RemoveObjects(ctx, b.ID, b.Versioning, rs, e.now())
		for i, key := range batch {
			failed := err
			if err == nil {
				failed = results[i].Err
			}
			for _, at := range plain[key] {
				done[at].Err = storeError(failed)
			}
		}
	}
	return done
}

func (d DeleteObject) conditional() bool {
	return d.IfMatch != "" || d.IfSize != nil || !d.IfModified.IsZero()
}

// deleteIf decides the conditions on what the key holds and removes exactly that.
func (e *Engine) deleteIf(ctx context.Context, b meta.Bucket, d DeleteObject) error {
	for range maxConditionTries {
		v, err := e.store.Object(ctx, b.ID, d.Key)
		if errors.Is(err, meta.ErrNotFound) {
			if d.IfMatch != "" {
				return noSuchKey(d.Key)
			}
			return nil
		} else if err != nil {
			return err
		}
		etag, err := e.etag(ctx, v)
		if err != nil {
			return err
		}
		switch {
		case d.IfMatch != "" && !matchTags(d.IfMatch, etag):
			return preconditionFailed("If-Match")
		case d.IfSize != nil && *d.IfSize != v.Size:
			return preconditionFailed("x-amz-if-match-size")
		case !d.IfModified.IsZero() && !v.Modified.Truncate(time.Second).Equal(d.IfModified.Truncate(time.Second)):
			return preconditionFailed("x-amz-if-match-last-modified-time")
		}
		r := meta.Removal{Key: d.Key, Expect: meta.Expect{Kind: meta.ExpectVersion, Version: v.ID}}
		results, err := e.store.RemoveObjects(ctx, b.ID, b.Versioning, []meta.Removal{r}, e.now())
		if err != nil {
			return err
		}
		if !errors.Is(results[0].Err, meta.ErrConflict) {
			return results[0].Err
		}
	}
	return s3err.ConditionalRequestConflict
}
