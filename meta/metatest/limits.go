package metatest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

func testLimits(f *fixture) {
	b := f.bucket("b")
	u := f.upload(b, "k")
	long := strings.Repeat("k", meta.MaxKeyBytes+1)
	only := func(_ any, err error) error { return err }
	commit := func(key string) error {
		return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, key, meta.Body{})})
	}
	many := func(n int) (ids []meta.BlobID) {
		for range n {
			ids = append(ids, newBlob())
		}
		return ids
	}
	part := func(n int, blobs []meta.BlobID) error {
		return f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, n, blobs...), Holder: f.holder})
	}
	removals := make([]meta.Removal, meta.MaxBatch+1)
	for i := range removals {
		removals[i].Key = "k" + strings.Repeat("x", i)
	}
	for name, err := range map[string]error{
		"empty key":            commit(""),
		"long key":             commit(long),
		"long upload key":      f.s.CreateUpload(f.ctx, meta.Upload{ID: meta.NewID(), Bucket: b, Key: long}),
		"reservation":          f.s.Reserve(f.ctx, f.holder, here, many(meta.MaxReservation+1), f.now),
		"release":              f.s.Release(f.ctx, f.holder, many(meta.MaxReservation+1), f.now),
		"part number 0":        part(0, nil),
		"part number 10001":    part(10001, nil),
		"part blobs":           part(1, many(meta.MaxPartBlobs+1)),
		"removals":             only(f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, removals, f.now)),
		"reseals":              only(f.s.ResealVersions(f.ctx, make([]meta.Reseal, meta.MaxBatch+1))),
		"object page":          only(f.s.ListObjects(f.ctx, meta.ListQuery{Bucket: b, Limit: meta.MaxPage + 1})),
		"empty object page":    only(f.s.ListObjects(f.ctx, meta.ListQuery{Bucket: b})),
		"upload page":          only(f.s.ListUploads(f.ctx, meta.UploadQuery{Bucket: b, Limit: meta.MaxPage + 1})),
		"bucket page":          only(f.s.ListBuckets(f.ctx, meta.BucketQuery{Limit: meta.MaxPage + 1})),
		"tenant page":          only(f.s.ListTenants(f.ctx, "", meta.MaxPage+1)),
		"parts":                only(f.s.Parts(f.ctx, u.ID, 0, meta.MaxPage+1)),
		"scan of objects":      only(f.s.ScanObjects(f.ctx, meta.ObjectPosition{}, meta.MaxPage+1)),
		"scan of uploads":      only(f.s.ScanUploads(f.ctx, meta.ID{}, meta.MaxPage+1)),
		"scan of parts":        only(f.s.ScanParts(f.ctx, u.ID, 0, meta.MaxPage+1)),
		"scan of blobs":        only(f.s.ScanBlobs(f.ctx, meta.BlobPosition{}, meta.MaxPage+1)),
		"backend 0":            f.s.AddBackend(f.ctx, f.backend(0, "zero")),
		"backend's empty name": f.s.AddBackend(f.ctx, f.backend(there, "")),
		"backend's long name":  f.s.AddBackend(f.ctx, f.backend(there, long[:meta.MaxPlaceName+1])),
		"backend's name":       f.s.AddBackend(f.ctx, f.backend(there, "a\nb")),
		"moved buckets":        only(f.s.MoveBuckets(f.ctx, here, there, meta.MaxPage+1)),
		"no moved buckets":     only(f.s.MoveBuckets(f.ctx, here, there, 0)),
		"places of blobs":      only(f.s.BlobBackends(f.ctx, many(meta.MaxBatch+1))),
		"lease without name":   only(f.s.Lease(f.ctx, "")),
		"lease's name":         only(f.s.Lease(f.ctx, long[:meta.MaxLeaseName+1])),
		"taken lease":          only(f.s.TakeLease(f.ctx, meta.Lease{Name: long[:meta.MaxLeaseName+1]}, f.holder)),
		"dead blobs":           only(f.s.DeadBlobs(f.ctx, here, f.now, meta.MaxPage+1)),
		"deferred blobs":       f.s.Defer(f.ctx, here, many(meta.MaxPage+1), f.now),
		"expiry":               only(f.s.ExpireUploads(f.ctx, f.now, meta.MaxPage+1)),
		"untrimmed":            only(f.s.Untrimmed(f.ctx, meta.TrimPosition{}, meta.MaxPage+1)),
		"trims":                only(f.s.TrimUploads(f.ctx, make([]meta.Trim, meta.MaxBatch+1), 1, f.now)),
		"trimmed rows":         only(f.s.TrimUploads(f.ctx, nil, meta.MaxPage+1, f.now)),
		"trim to no parts":     only(f.s.TrimUploads(f.ctx, []meta.Trim{{Upload: u.ID, Chosen: []meta.PartRun{{First: 2, Count: 0}}}}, 1, f.now)),
		"sweep":                only(f.s.Sweep(f.ctx, 0, f.now, f.now, nil)),
		"held":                 only(f.s.Held(f.ctx, f.holder, meta.BlobPosition{}, meta.MaxPage+1)),
		"reclaimed":            only(f.s.Reclaim(f.ctx, meta.Holder{ID: f.holder}, make([]meta.Blob, meta.MaxPage), make([]meta.Blob, 1), f.holder, f.now)),
		"condemned holder":     only(CondemnHolder(f.ctx, f.s, meta.Holder{ID: f.holder}, 0, f.now)),
		"runs that touch":      f.s.CompleteUpload(f.ctx, f.completion(u.ID, meta.PartRun{First: 2, Count: 2}, meta.PartRun{First: 3, Count: 1})),
		"runs beyond the end":  f.s.CompleteUpload(f.ctx, f.completion(u.ID, meta.PartRun{First: 10000, Count: 2})),
	} {
		if !errors.Is(err, meta.ErrLimit) {
			f.Errorf("%s: %v, want %v", name, err, meta.ErrLimit)
		}
	}

	// Values at the limits are accepted.
	f.ok(commit(long[1:]))
	f.ok(f.s.AddBackend(f.ctx, f.backend(there, long[:meta.MaxPlaceName])))
	f.ok(only(f.s.MoveBuckets(f.ctx, here, there, meta.MaxPage)))
	f.ok(only(f.s.BlobBackends(f.ctx, many(meta.MaxBatch))))
	f.ok(only(f.s.TakeLease(f.ctx, meta.Lease{Name: long[:meta.MaxLeaseName]}, f.holder)))
	f.ok(f.s.Reserve(f.ctx, f.holder, here, many(meta.MaxReservation), f.now))
	f.ok(part(10000, f.reserve(meta.MaxPartBlobs)))
	f.ok(only(f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, removals[1:], f.now)))
	f.ok(only(f.s.ListObjects(f.ctx, meta.ListQuery{Bucket: b, Limit: meta.MaxPage})))
	f.checkLedger()
}

// An intent whose context has ended has no effect, and returns the cause.
func testCancelled(f *fixture) {
	b := f.bucket("b")
	ids := f.reserve(1)
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	f.is(f.s.CommitObject(ctx, meta.Commit{Version: f.version(b, "k", blobBody(ids[0])), Holder: f.holder}), context.Canceled)
	f.wantBlob(ids[0], meta.BlobReserved, 0)
	_, err := f.s.Object(ctx, b, "k")
	f.is(err, context.Canceled)
	_, err = f.s.ListObjects(ctx, meta.ListQuery{Bucket: b, Limit: 1})
	f.is(err, context.Canceled)
	f.is(f.s.DeleteBucket(ctx, b), context.Canceled)

	// Contexts end at random moments: a caller that gets nil finds the object, and
	// a caller that gets an error does not.
	r := f.random()
	const callers = 50
	delays := make([]time.Duration, callers)
	for i := range delays {
		delays[i] = time.Duration(r.IntN(3000)) * time.Microsecond
	}
	errs := make([]error, callers)
	key := func(i int) string { return "k" + strings.Repeat("x", i) }
	together(callers, func(i int) {
		ctx, cancel := context.WithTimeout(f.ctx, delays[i])
		defer cancel()
		errs[i] = f.s.CommitObject(ctx, meta.Commit{Version: f.version(b, key(i), meta.Body{})})
	})
	for i, told := range errs {
		_, err := f.s.Object(f.ctx, b, key(i))
		switch {
		case told == nil:
			f.ok(err)
		case !errors.Is(told, context.DeadlineExceeded):
			f.Fatal(told)
		default:
			f.is(err, meta.ErrNotFound)
		}
	}
}
