package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Store wraps s so that intents fail as plan says. The Op of an intent is the
// name of its method, "CommitObject" say; Close is none. An intent that fails
// before its effect answers meta.ErrUnavailable, and one that changes something
// and fails after it meta.ErrUnknown: those are the contract's words for a store
// that is away and for a lost answer. A lost answer to a mere question is
// meta.ErrUnavailable, too. All of them also wrap what the Rule names.
//
// Intents that s itself refuses come back as they are and count as calls that
// had no effect. The wrapper adds nothing else: with an empty plan it passes
// metatest.
func Store(s meta.Store, plan *Plan) meta.Store { return &faultyStore{s, plan} }

type faultyStore struct {
	s    meta.Store
	plan *Plan
}

// outcome is one intent: ask, act, ask. lost is the error of an answer that was
// lost.
func outcome[T any](f *faultyStore, op Op, lost error, act func() (T, error)) (v T, err error) {
	var none T
	if err := f.plan.Before(op); err != nil {
		return none, fmt.Errorf("%w: %w", meta.ErrUnavailable, err)
	}
	if v, err = act(); err != nil {
		return v, err
	}
	if err := f.plan.After(op); err != nil {
		return none, fmt.Errorf("%w: %w", lost, err)
	}
	return v, nil
}

func question[T any](f *faultyStore, op Op, act func() (T, error)) (T, error) {
	return outcome(f, op, meta.ErrUnavailable, act)
}

func change[T any](f *faultyStore, op Op, act func() (T, error)) (T, error) {
	return outcome(f, op, meta.ErrUnknown, act)
}

// do is a change whose only answer is whether it happened.
func (f *faultyStore) do(op Op, act func() error) error {
	_, err := change(f, op, func() (struct{}, error) { return struct{}{}, act() })
	return err
}

func (f *faultyStore) Deployment(ctx context.Context) (meta.Deployment, error) {
	return question(f, "Deployment", func() (meta.Deployment, error) { return f.s.Deployment(ctx) })
}

func (f *faultyStore) InitDeployment(ctx context.Context, d meta.Deployment, root meta.Tenant, first meta.Backend) error {
	return f.do("InitDeployment", func() error { return f.s.InitDeployment(ctx, d, root, first) })
}

func (f *faultyStore) CreateBucket(ctx context.Context, b meta.Bucket, seed meta.BucketSeed, most int) error {
	return f.do("CreateBucket", func() error { return f.s.CreateBucket(ctx, b, seed, most) })
}

func (f *faultyStore) Bucket(ctx context.Context, name string) (meta.Bucket, error) {
	return question(f, "Bucket", func() (meta.Bucket, error) { return f.s.Bucket(ctx, name) })
}

func (f *faultyStore) ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error) {
	return question(f, "ListBuckets", func() ([]meta.Bucket, error) { return f.s.ListBuckets(ctx, q) })
}

func (f *faultyStore) CountBuckets(ctx context.Context, owner meta.ID, most int) (int, error) {
	return question(f, "CountBuckets", func() (int, error) { return f.s.CountBuckets(ctx, owner, most) })
}

func (f *faultyStore) DeleteBucket(ctx context.Context, id meta.ID) error {
	return f.do("DeleteBucket", func() error { return f.s.DeleteBucket(ctx, id) })
}

func (f *faultyStore) BucketSeeds(ctx context.Context, id meta.ID) ([]meta.BucketSeed, error) {
	return question(f, "BucketSeeds", func() ([]meta.BucketSeed, error) { return f.s.BucketSeeds(ctx, id) })
}

func (f *faultyStore) Find(ctx context.Context, bucket, key string) (b meta.Bucket, v meta.Version, err error) {
	err = f.do("Find", func() (err error) {
		b, v, err = f.s.Find(ctx, bucket, key)
		return err
	})
	return b, v, err
}

func (f *faultyStore) Vacant(ctx context.Context, bucket, key string) (b meta.Bucket, vacant bool, err error) {
	err = f.do("Vacant", func() (err error) {
		b, vacant, err = f.s.Vacant(ctx, bucket, key)
		return err
	})
	return b, vacant, err
}

func (f *faultyStore) Object(ctx context.Context, bucket meta.ID, key string) (meta.Version, error) {
	return question(f, "Object", func() (meta.Version, error) { return f.s.Object(ctx, bucket, key) })
}

func (f *faultyStore) CommitObject(ctx context.Context, c meta.Commit) error {
	return f.do("CommitObject", func() error { return f.s.CommitObject(ctx, c) })
}

func (f *faultyStore) RemoveObjects(ctx context.Context, bucket meta.ID, v meta.Versioning, rs []meta.Removal, now time.Time) ([]meta.Removed, error) {
	return change(f, "RemoveObjects", func() ([]meta.Removed, error) { return f.s.RemoveObjects(ctx, bucket, v, rs, now) })
}

func (f *faultyStore) ListObjects(ctx context.Context, q meta.ListQuery) (meta.ListPage, error) {
	return question(f, "ListObjects", func() (meta.ListPage, error) { return f.s.ListObjects(ctx, q) })
}

func (f *faultyStore) ScanObjects(ctx context.Context, after meta.ObjectPosition, limit int) ([]meta.Version, error) {
	return question(f, "ScanObjects", func() ([]meta.Version, error) { return f.s.ScanObjects(ctx, after, limit) })
}

func (f *faultyStore) CreateUpload(ctx context.Context, u meta.Upload) error {
	return f.do("CreateUpload", func() error { return f.s.CreateUpload(ctx, u) })
}

func (f *faultyStore) Upload(ctx context.Context, id meta.ID) (meta.Upload, error) {
	return question(f, "Upload", func() (meta.Upload, error) { return f.s.Upload(ctx, id) })
}

func (f *faultyStore) PutPart(ctx context.Context, p meta.PutPart) error {
	return f.do("PutPart", func() error { return f.s.PutPart(ctx, p) })
}

func (f *faultyStore) Parts(ctx context.Context, upload meta.ID, after, limit int) ([]meta.Part, error) {
	return question(f, "Parts", func() ([]meta.Part, error) { return f.s.Parts(ctx, upload, after, limit) })
}

func (f *faultyStore) CompleteUpload(ctx context.Context, c meta.Complete) error {
	return f.do("CompleteUpload", func() error { return f.s.CompleteUpload(ctx, c) })
}

func (f *faultyStore) AbortUpload(ctx context.Context, id meta.ID) error {
	return f.do("AbortUpload", func() error { return f.s.AbortUpload(ctx, id) })
}

func (f *faultyStore) ListUploads(ctx context.Context, q meta.UploadQuery) (meta.UploadPage, error) {
	return question(f, "ListUploads", func() (meta.UploadPage, error) { return f.s.ListUploads(ctx, q) })
}

func (f *faultyStore) ExpireUploads(ctx context.Context, t time.Time, limit int) (int, error) {
	return change(f, "ExpireUploads", func() (int, error) { return f.s.ExpireUploads(ctx, t, limit) })
}

func (f *faultyStore) ScanUploads(ctx context.Context, after meta.ID, limit int) ([]meta.UploadRef, error) {
	return question(f, "ScanUploads", func() ([]meta.UploadRef, error) { return f.s.ScanUploads(ctx, after, limit) })
}

func (f *faultyStore) ScanParts(ctx context.Context, upload meta.ID, after, limit int) ([]meta.Part, error) {
	return question(f, "ScanParts", func() ([]meta.Part, error) { return f.s.ScanParts(ctx, upload, after, limit) })
}

func (f *faultyStore) Sweep(ctx context.Context, limit int, ended, now time.Time) (int, error) {
	return change(f, "Sweep", func() (int, error) { return f.s.Sweep(ctx, limit, ended, now) })
}

func (f *faultyStore) Untrimmed(ctx context.Context, from time.Time, limit int) ([]meta.Upload, error) {
	return question(f, "Untrimmed", func() ([]meta.Upload, error) { return f.s.Untrimmed(ctx, from, limit) })
}

func (f *faultyStore) TrimUploads(ctx context.Context, uploads []meta.Trim, limit int, now time.Time) (int, error) {
	return change(f, "TrimUploads", func() (int, error) { return f.s.TrimUploads(ctx, uploads, limit, now) })
}

func (f *faultyStore) Reserve(ctx context.Context, holder meta.ID, at meta.BackendID, ids []meta.BlobID, now time.Time) error {
	return f.do("Reserve", func() error { return f.s.Reserve(ctx, holder, at, ids, now) })
}

func (f *faultyStore) Release(ctx context.Context, holder meta.ID, ids []meta.BlobID, now time.Time) error {
	return f.do("Release", func() error { return f.s.Release(ctx, holder, ids, now) })
}

func (f *faultyStore) Beat(ctx context.Context, holder meta.ID, writes meta.Sealing) error {
	return f.do("Beat", func() error { return f.s.Beat(ctx, holder, writes) })
}

func (f *faultyStore) Holders(ctx context.Context) ([]meta.Holder, error) {
	return question(f, "Holders", func() ([]meta.Holder, error) { return f.s.Holders(ctx) })
}

func (f *faultyStore) Held(ctx context.Context, holder meta.ID, after meta.BlobPosition, limit int) ([]meta.Blob, error) {
	return question(f, "Held", func() ([]meta.Blob, error) { return f.s.Held(ctx, holder, after, limit) })
}

func (f *faultyStore) Inherit(ctx context.Context, h meta.Holder, dead, kept []meta.Blob, heir meta.ID, now time.Time) (int, error) {
	return change(f, "Inherit", func() (int, error) { return f.s.Inherit(ctx, h, dead, kept, heir, now) })
}

func (f *faultyStore) Defer(ctx context.Context, at meta.BackendID, ids []meta.BlobID, now time.Time) error {
	return f.do("Defer", func() error { return f.s.Defer(ctx, at, ids, now) })
}

func (f *faultyStore) DeadBlobs(ctx context.Context, at meta.BackendID, t time.Time, limit int) ([]meta.BlobID, error) {
	return question(f, "DeadBlobs", func() ([]meta.BlobID, error) { return f.s.DeadBlobs(ctx, at, t, limit) })
}

func (f *faultyStore) Forget(ctx context.Context, at meta.BackendID, ids []meta.BlobID) error {
	return f.do("Forget", func() error { return f.s.Forget(ctx, at, ids) })
}

func (f *faultyStore) Blob(ctx context.Context, id meta.BlobID) (meta.Blob, error) {
	return question(f, "Blob", func() (meta.Blob, error) { return f.s.Blob(ctx, id) })
}

func (f *faultyStore) ScanBlobs(ctx context.Context, after meta.BlobPosition, limit int) ([]meta.Blob, error) {
	return question(f, "ScanBlobs", func() ([]meta.Blob, error) { return f.s.ScanBlobs(ctx, after, limit) })
}

func (f *faultyStore) CreateTenant(ctx context.Context, u meta.Tenant, k meta.AccessKey) error {
	return f.do("CreateTenant", func() error { return f.s.CreateTenant(ctx, u, k) })
}

func (f *faultyStore) Tenant(ctx context.Context, id meta.ID) (meta.Tenant, error) {
	return question(f, "Tenant", func() (meta.Tenant, error) { return f.s.Tenant(ctx, id) })
}

func (f *faultyStore) TenantByName(ctx context.Context, name string) (meta.Tenant, error) {
	return question(f, "TenantByName", func() (meta.Tenant, error) { return f.s.TenantByName(ctx, name) })
}

func (f *faultyStore) ListTenants(ctx context.Context, after string, limit int) ([]meta.Tenant, error) {
	return question(f, "ListTenants", func() ([]meta.Tenant, error) { return f.s.ListTenants(ctx, after, limit) })
}

func (f *faultyStore) DeleteTenant(ctx context.Context, id meta.ID) error {
	return f.do("DeleteTenant", func() error { return f.s.DeleteTenant(ctx, id) })
}

func (f *faultyStore) CreateAccessKey(ctx context.Context, k meta.AccessKey) error {
	return f.do("CreateAccessKey", func() error { return f.s.CreateAccessKey(ctx, k) })
}

func (f *faultyStore) AccessKey(ctx context.Context, id string) (meta.AccessKey, error) {
	return question(f, "AccessKey", func() (meta.AccessKey, error) { return f.s.AccessKey(ctx, id) })
}

func (f *faultyStore) ListAccessKeys(ctx context.Context, user meta.ID) ([]meta.AccessKey, error) {
	return question(f, "ListAccessKeys", func() ([]meta.AccessKey, error) { return f.s.ListAccessKeys(ctx, user) })
}

func (f *faultyStore) DeleteAccessKey(ctx context.Context, id string) error {
	return f.do("DeleteAccessKey", func() error { return f.s.DeleteAccessKey(ctx, id) })
}

func (f *faultyStore) Check(ctx context.Context) error {
	return f.do("Check", func() error { return f.s.Check(ctx) })
}

func (f *faultyStore) Close() error { return f.s.Close() }
