package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// changes counts what this process may have changed in the store: whatever makes a
// copy that was made before a wrong one to go back to.
type changes struct{ n atomic.Int64 }

func (c *changes) count() { c.n.Add(1) }

// countSome counts unless it is known that nothing was changed, and when the intent
// did not return at all.
func (c *changes) countSome(n *int, err *error) {
	if *n != 0 || *err != nil {
		c.count()
	}
}

// watchedStore counts changes, after they were made and also where they failed: what
// is told may differ from what is. Signs of life, leases, epochs, progress and sums
// that can be made anew are none.
type watchedStore struct {
	meta.Store
	changes *changes
}

func (s *watchedStore) AddBackend(ctx context.Context, b meta.Backend) error {
	defer s.changes.count()
	return s.Store.AddBackend(ctx, b)
}

func (s *watchedStore) DrainBackend(ctx context.Context, id, target meta.BackendID) error {
	defer s.changes.count()
	return s.Store.DrainBackend(ctx, id, target)
}

func (s *watchedStore) CancelDrain(ctx context.Context, id meta.BackendID) error {
	defer s.changes.count()
	return s.Store.CancelDrain(ctx, id)
}

func (s *watchedStore) RetireBackend(ctx context.Context, l meta.Lease, id meta.BackendID, round int64) error {
	defer s.changes.count()
	return s.Store.RetireBackend(ctx, l, id, round)
}

func (s *watchedStore) MoveBuckets(ctx context.Context, from, to meta.BackendID, limit int) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.MoveBuckets(ctx, from, to, limit)
}

func (s *watchedStore) MoveBlob(ctx context.Context, m meta.Move) error {
	defer s.changes.count()
	return s.Store.MoveBlob(ctx, m)
}

func (s *watchedStore) CreateBucket(ctx context.Context, b meta.Bucket, seed meta.BucketSeed) error {
	defer s.changes.count()
	return s.Store.CreateBucket(ctx, b, seed)
}

func (s *watchedStore) SetVersioning(ctx context.Context, id meta.ID, c meta.Change, v meta.Versioning, lock bool) error {
	defer s.changes.count()
	return s.Store.SetVersioning(ctx, id, c, v, lock)
}

func (s *watchedStore) SetSetting(ctx context.Context, id meta.ID, c meta.Change, setting meta.Setting) error {
	defer s.changes.count()
	return s.Store.SetSetting(ctx, id, c, setting)
}

func (s *watchedStore) DeleteBucket(ctx context.Context, id meta.ID) error {
	defer s.changes.count()
	return s.Store.DeleteBucket(ctx, id)
}

func (s *watchedStore) CommitObject(ctx context.Context, c meta.Commit) error {
	defer s.changes.count()
	return s.Store.CommitObject(ctx, c)
}

func (s *watchedStore) RemoveObjects(ctx context.Context, bucket meta.ID, v meta.Versioning, rs []meta.Removal, now time.Time) ([]meta.Removed, error) {
	defer s.changes.count()
	return s.Store.RemoveObjects(ctx, bucket, v, rs, now)
}

func (s *watchedStore) AmendVersion(ctx context.Context, bucket meta.ID, a meta.Amendment) error {
	defer s.changes.count()
	return s.Store.AmendVersion(ctx, bucket, a)
}

func (s *watchedStore) RenameObject(ctx context.Context, r meta.Rename) error {
	defer s.changes.count()
	return s.Store.RenameObject(ctx, r)
}

func (s *watchedStore) ResealVersions(ctx context.Context, rs []meta.Reseal) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.ResealVersions(ctx, rs)
}

func (s *watchedStore) CreateUpload(ctx context.Context, u meta.Upload) error {
	defer s.changes.count()
	return s.Store.CreateUpload(ctx, u)
}

func (s *watchedStore) PutPart(ctx context.Context, p meta.PutPart) error {
	defer s.changes.count()
	return s.Store.PutPart(ctx, p)
}

func (s *watchedStore) CompleteUpload(ctx context.Context, c meta.Complete) error {
	defer s.changes.count()
	return s.Store.CompleteUpload(ctx, c)
}

func (s *watchedStore) ResealUpload(ctx context.Context, id meta.ID, old, settings []byte) error {
	defer s.changes.count()
	return s.Store.ResealUpload(ctx, id, old, settings)
}

func (s *watchedStore) AbortUpload(ctx context.Context, id meta.ID) error {
	defer s.changes.count()
	return s.Store.AbortUpload(ctx, id)
}

func (s *watchedStore) ExpireUploads(ctx context.Context, t time.Time, limit int) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.ExpireUploads(ctx, t, limit)
}

func (s *watchedStore) Sweep(ctx context.Context, limit int, ended, now time.Time) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.Sweep(ctx, limit, ended, now)
}

func (s *watchedStore) TrimUploads(ctx context.Context, uploads []meta.Trim, limit int, now time.Time) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.TrimUploads(ctx, uploads, limit, now)
}

func (s *watchedStore) Reserve(ctx context.Context, holder meta.ID, at meta.BackendID, ids []meta.BlobID, now time.Time) error {
	defer s.changes.count()
	return s.Store.Reserve(ctx, holder, at, ids, now)
}

func (s *watchedStore) Release(ctx context.Context, holder meta.ID, ids []meta.BlobID, now time.Time) error {
	defer s.changes.count()
	return s.Store.Release(ctx, holder, ids, now)
}

func (s *watchedStore) ReserveCopy(ctx context.Context, holder meta.ID, id meta.BlobID, from, to meta.BackendID, now time.Time) error {
	defer s.changes.count()
	return s.Store.ReserveCopy(ctx, holder, id, from, to, now)
}

func (s *watchedStore) ReleaseCopy(ctx context.Context, holder meta.ID, id meta.BlobID, at meta.BackendID, now time.Time) error {
	defer s.changes.count()
	return s.Store.ReleaseCopy(ctx, holder, id, at, now)
}

func (s *watchedStore) Inherit(ctx context.Context, h meta.Holder, dead, kept []meta.Blob, heir meta.ID, now time.Time) (int, error) {
	defer s.changes.count()
	return s.Store.Inherit(ctx, h, dead, kept, heir, now)
}

func (s *watchedStore) CreateTenant(ctx context.Context, t meta.Tenant, k meta.AccessKey) error {
	defer s.changes.count()
	return s.Store.CreateTenant(ctx, t, k)
}

func (s *watchedStore) UpdateTenant(ctx context.Context, was, now meta.Tenant) error {
	defer s.changes.count()
	return s.Store.UpdateTenant(ctx, was, now)
}

func (s *watchedStore) DeleteTenant(ctx context.Context, id meta.ID) error {
	defer s.changes.count()
	return s.Store.DeleteTenant(ctx, id)
}

func (s *watchedStore) CreateAccessKey(ctx context.Context, k meta.AccessKey) error {
	defer s.changes.count()
	return s.Store.CreateAccessKey(ctx, k)
}

func (s *watchedStore) UpdateAccessKey(ctx context.Context, was, now meta.AccessKey) error {
	defer s.changes.count()
	return s.Store.UpdateAccessKey(ctx, was, now)
}

func (s *watchedStore) DeleteAccessKey(ctx context.Context, id string) error {
	defer s.changes.count()
	return s.Store.DeleteAccessKey(ctx, id)
}

func (s *watchedStore) CreateIdentity(ctx context.Context, i meta.Identity) error {
	defer s.changes.count()
	return s.Store.CreateIdentity(ctx, i)
}

func (s *watchedStore) UpdateIdentity(ctx context.Context, i meta.Identity) error {
	defer s.changes.count()
	return s.Store.UpdateIdentity(ctx, i)
}

func (s *watchedStore) DeleteIdentity(ctx context.Context, id meta.ID, revision int64) error {
	defer s.changes.count()
	return s.Store.DeleteIdentity(ctx, id, revision)
}

func (s *watchedStore) SetSealing(ctx context.Context, from meta.Sealing, d meta.Deployment, gone []meta.Holder) error {
	defer s.changes.count()
	return s.Store.SetSealing(ctx, from, d, gone)
}

func (s *watchedStore) SetBucketRecord(ctx context.Context, id meta.ID, c meta.Change) error {
	defer s.changes.count()
	return s.Store.SetBucketRecord(ctx, id, c)
}
