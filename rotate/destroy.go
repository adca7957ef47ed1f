package rotate

import (
	"context"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Destroy removes a former generation of a bucket's keys for good, after it has looked at
// every row of the bucket. It is refused while anything refers to the generation, while keys
// are being rotated or rewrapped, and on a store that is known to be older than its storage:
// such a store lacks rows. Errors: NoSuchEntity, InvalidRequest,
// ServiceUnavailable.
//
// No row can come to refer to a former generation: the store takes no write by any other
// than the newest. So it does not matter that rows are written between the look and the
// removal.
func Destroy(ctx context.Context, e *engine.Engine, b meta.Bucket, generation uint32) error {
	if err := e.Blobs().Agreed(ctx); err != nil {
		return errOlder
	}
	if running, err := jobs.AnyRunning(ctx, e.Renewal(), jobs.Rotate, jobs.Rewrap); err != nil {
		return meta.Coded(err)
	} else if running {
		return errJob
	}
	all, err := e.Buckets().Generations(ctx, b)
	if err != nil {
		return err
	}
	for _, g := range all {
		if g.Generation == generation && !g.Former {
			return s3err.New(s3err.InvalidRequest, "Generation %d is the one that bucket %s is written with.", generation, b.Name)
		}
	}
	refer, err := References(ctx, e, b, generation)
	if err != nil {
		return err
	}
	if refer > 0 {
		return s3err.New(s3err.InvalidRequest, "%d rows of bucket %s refer to generation %d. Nothing was destroyed.", refer, b.Name, generation)
	}
	return e.Buckets().Destroy(ctx, b, generation)
}

var errJob = s3err.New(s3err.InvalidRequest, "Keys are being rotated or rewrapped. Destroy them when that has ended.")

// References counts what refers to a generation of a bucket's keys: settings, uploads,
// versions and delete markers, by what each row says itself. A version that cannot be read
// counts, since it may.
func References(ctx context.Context, e *engine.Engine, b meta.Bucket, generation uint32) (n int, err error) {
	picks := func(g uint32) bool { return g == generation }
	_, n, err = e.Buckets().OldSettings(ctx, b, generation)
	if err != nil {
		return 0, err
	}
	for at := (meta.ID{}); ; {
		page, err := e.Renewal().ScanUploads(ctx, at, meta.MaxPage)
		if err != nil {
			return 0, meta.Coded(err)
		}
		for _, u := range page {
			if at = u.ID; u.Bucket == b.ID && (picks(u.Generation) || encrypt.AnyWrapIs(u.WrappedKey, picks)) {
				n++
			}
		}
		if len(page) < meta.MaxPage {
			break
		}
	}
	for at := (meta.ObjectPosition{Bucket: b.ID}); ; {
		page, err := e.Renewal().ScanVersions(ctx, at, meta.MaxPage)
		if err != nil {
			return 0, meta.Coded(err)
		}
		for i := range page {
			v := &page[i]
			if v.At.Bucket != b.ID {
				return n, nil
			}
			if at = v.At; v.Err != nil || picks(v.Generation) || engine.Refers(&v.Version, picks) {
				n++
			}
		}
		if len(page) < meta.MaxPage {
			return n, nil
		}
	}
}
