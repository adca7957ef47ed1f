package blobs

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

// Count returns a store that counts the changes that are made by it, so that the epochs
// move on after them. All of a process go by one.
func Count(s meta.Store) *CountedStore { return &CountedStore{s, new(changes)} }

// Changes is how many there were.
func (s *CountedStore) Changes() int64 { return s.changes.n.Load() }

// countSome counts unless it is known that nothing was changed, and when the intent
// did not return at all.
func (c *changes) countSome(n *int, err *error) {
	if *n != 0 || *err != nil {
		c.count()
	}
}

// CountedStore is a store that counts changes, after they were made and also where they failed: what
// is told may differ from what is. Signs of life, leases, epochs, progress and sums
// that can be made anew are none.
type CountedStore struct {
	meta.Store
	changes *changes
}

func (s *CountedStore) AddBackend(ctx context.Context, b meta.Backend) error {
	defer s.changes.count()
	return s.Store.AddBackend(ctx, b)
}

func (s *CountedStore) DrainBackend(ctx context.Context, id, target meta.BackendID) error {
	defer s.changes.count()
	return s.Store.DrainBackend(ctx, id, target)
}

func (s *CountedStore) CancelDrain(ctx context.Context, id meta.BackendID) error {
	defer s.changes.count()
	return s.Store.CancelDrain(ctx, id)
}

func (s *CountedStore) RetireBackend(ctx context.Context, l meta.Lease, id meta.BackendID, round int64) error {
	defer s.changes.count()
	return s.Store.RetireBackend(ctx, l, id, round)
}

func (s *CountedStore) MoveBuckets(ctx context.Context, from, to meta.BackendID, limit int) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.MoveBuckets(ctx, from, to, limit)
}

func (s *CountedStore) MoveBlob(ctx context.Context, m meta.Move) error {
	defer s.changes.count()
	return s.Store.MoveBlob(ctx, m)
}

func (s *CountedStore) CreateBucket(ctx context.Context, b meta.Bucket, seed meta.BucketSeed, most int) error {
	defer s.changes.count()
	return s.Store.CreateBucket(ctx, b, seed, most)
}

func (s *CountedStore) SetVersioning(ctx context.Context, id meta.ID, c meta.Change, v meta.Versioning, lock bool) error {
	defer s.changes.count()
	return s.Store.SetVersioning(ctx, id, c, v, lock)
}

func (s *CountedStore) SetSetting(ctx context.Context, id meta.ID, c meta.Change, setting meta.Setting) error {
	defer s.changes.count()
	return s.Store.SetSetting(ctx, id, c, setting)
}

func (s *CountedStore) AddGeneration(ctx context.Context, c meta.Change, seed meta.BucketSeed) error {
	defer s.changes.count()
	return s.Store.AddGeneration(ctx, c, seed)
}

func (s *CountedStore) DropGeneration(ctx context.Context, id meta.ID, c meta.Change, generation uint32) error {
	defer s.changes.count()
	return s.Store.DropGeneration(ctx, id, c, generation)
}

func (s *CountedStore) DeleteBucket(ctx context.Context, id meta.ID) error {
	defer s.changes.count()
	return s.Store.DeleteBucket(ctx, id)
}

func (s *CountedStore) CommitObject(ctx context.Context, c meta.Commit) error {
	defer s.changes.count()
	return s.Store.CommitObject(ctx, c)
}

func (s *CountedStore) RemoveObjects(ctx context.Context, bucket meta.ID, v meta.Versioning, rs []meta.Removal, now time.Time) ([]meta.Removed, error) {
	defer s.changes.count()
	return s.Store.RemoveObjects(ctx, bucket, v, rs, now)
}

func (s *CountedStore) AmendVersion(ctx context.Context, bucket meta.ID, a meta.Amendment) error {
	defer s.changes.count()
	return s.Store.AmendVersion(ctx, bucket, a)
}

func (s *CountedStore) RenameObject(ctx context.Context, r meta.Rename) error {
	defer s.changes.count()
	return s.Store.RenameObject(ctx, r)
}

func (s *CountedStore) ResealVersions(ctx context.Context, rs []meta.Reseal) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.ResealVersions(ctx, rs)
}

func (s *CountedStore) CreateUpload(ctx context.Context, u meta.Upload) error {
	defer s.changes.count()
	return s.Store.CreateUpload(ctx, u)
}

func (s *CountedStore) PutPart(ctx context.Context, p meta.PutPart) error {
	defer s.changes.count()
	return s.Store.PutPart(ctx, p)
}

func (s *CountedStore) CompleteUpload(ctx context.Context, c meta.Complete) error {
	defer s.changes.count()
	return s.Store.CompleteUpload(ctx, c)
}

func (s *CountedStore) ResealUpload(ctx context.Context, id meta.ID, old, settings []byte) error {
	defer s.changes.count()
	return s.Store.ResealUpload(ctx, id, old, settings)
}

func (s *CountedStore) AbortUpload(ctx context.Context, id meta.ID) error {
	defer s.changes.count()
	return s.Store.AbortUpload(ctx, id)
}

func (s *CountedStore) ExpireUploads(ctx context.Context, t time.Time, limit int) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.ExpireUploads(ctx, t, limit)
}

func (s *CountedStore) Sweep(ctx context.Context, limit int, ended, now time.Time, judge meta.JudgeParts) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.Sweep(ctx, limit, ended, now, judge)
}

func (s *CountedStore) TrimUploads(ctx context.Context, uploads []meta.Trim, limit int, now time.Time) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.TrimUploads(ctx, uploads, limit, now)
}

func (s *CountedStore) Reserve(ctx context.Context, holder meta.ID, at meta.BackendID, ids []meta.BlobID, now time.Time) error {
	defer s.changes.count()
	return s.Store.Reserve(ctx, holder, at, ids, now)
}

func (s *CountedStore) Release(ctx context.Context, holder meta.ID, ids []meta.BlobID, now time.Time) error {
	defer s.changes.count()
	return s.Store.Release(ctx, holder, ids, now)
}

func (s *CountedStore) ReserveCopy(ctx context.Context, holder meta.ID, id meta.BlobID, from, to meta.BackendID, now time.Time) error {
	defer s.changes.count()
	return s.Store.ReserveCopy(ctx, holder, id, from, to, now)
}

func (s *CountedStore) ReleaseCopy(ctx context.Context, holder meta.ID, id meta.BlobID, at meta.BackendID, now time.Time) error {
	defer s.changes.count()
	return s.Store.ReleaseCopy(ctx, holder, id, at, now)
}

func (s *CountedStore) Reclaim(ctx context.Context, h meta.Holder, dead, kept []meta.Blob, keeper meta.ID, now time.Time) (int, error) {
	defer s.changes.count()
	return s.Store.Reclaim(ctx, h, dead, kept, keeper, now)
}

func (s *CountedStore) CreateTenant(ctx context.Context, t meta.Tenant, k meta.AccessKey) error {
	defer s.changes.count()
	return s.Store.CreateTenant(ctx, t, k)
}

func (s *CountedStore) UpdateTenant(ctx context.Context, was, now meta.Tenant) error {
	defer s.changes.count()
	return s.Store.UpdateTenant(ctx, was, now)
}

func (s *CountedStore) DeleteTenant(ctx context.Context, id meta.ID) error {
	defer s.changes.count()
	return s.Store.DeleteTenant(ctx, id)
}

func (s *CountedStore) CreateAccessKey(ctx context.Context, k meta.AccessKey) error {
	defer s.changes.count()
	return s.Store.CreateAccessKey(ctx, k)
}

func (s *CountedStore) UpdateAccessKey(ctx context.Context, was, now meta.AccessKey) error {
	defer s.changes.count()
	return s.Store.UpdateAccessKey(ctx, was, now)
}

func (s *CountedStore) DeleteAccessKey(ctx context.Context, id string) error {
	defer s.changes.count()
	return s.Store.DeleteAccessKey(ctx, id)
}

func (s *CountedStore) CreateIdentity(ctx context.Context, i meta.Identity) error {
	defer s.changes.count()
	return s.Store.CreateIdentity(ctx, i)
}

func (s *CountedStore) UpdateIdentity(ctx context.Context, i meta.Identity) error {
	defer s.changes.count()
	return s.Store.UpdateIdentity(ctx, i)
}

func (s *CountedStore) DeleteIdentity(ctx context.Context, id meta.ID, revision int64) error {
	defer s.changes.count()
	return s.Store.DeleteIdentity(ctx, id, revision)
}

func (s *CountedStore) SetSealing(ctx context.Context, from meta.Sealing, d meta.Deployment, gone []meta.Holder) error {
	defer s.changes.count()
	return s.Store.SetSealing(ctx, from, d, gone)
}

func (s *CountedStore) SetBucketRecord(ctx context.Context, id meta.ID, c meta.Change) error {
	defer s.changes.count()
	return s.Store.SetBucketRecord(ctx, id, c)
}

func (s *CountedStore) RewrapSeeds(ctx context.Context, l meta.Lease, cs []meta.SeedChange) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.RewrapSeeds(ctx, l, cs)
}

func (s *CountedStore) RenewVersions(ctx context.Context, l meta.Lease, rs []meta.Renewal) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.RenewVersions(ctx, l, rs)
}

func (s *CountedStore) RenewUploads(ctx context.Context, l meta.Lease, rs []meta.UploadRenewal) (n int, err error) {
	n = -1
	defer s.changes.countSome(&n, &err)
	return s.Store.RenewUploads(ctx, l, rs)
}

func (s *CountedStore) RenewSettings(ctx context.Context, l meta.Lease, id meta.ID, c meta.Change, settings []meta.Setting) error {
	defer s.changes.count()
	return s.Store.RenewSettings(ctx, l, id, c, settings)
}

func (s *CountedStore) RewrapSystemSeed(ctx context.Context, l meta.Lease, was, wrapped []byte) error {
	defer s.changes.count()
	return s.Store.RewrapSystemSeed(ctx, l, was, wrapped)
}
