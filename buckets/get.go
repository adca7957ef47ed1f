package buckets

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Get finds a bucket, or NoSuchBucket.
// The row is read anew each time and proven; nothing of it is remembered but the proof.
func (bs *Buckets) Get(ctx context.Context, name string) (meta.Bucket, error) {
	b, err := bs.Store.Bucket(ctx, name)
	if errors.Is(err, meta.ErrNoBucket) {
		return b, NoSuch(name)
	}
	if err == nil {
		err = bs.Prove(&b)
	}
	return b, meta.Coded(err)
}

// Reread reads a bucket's row again. NoSuchBucket also where the name is now that of
// another bucket.
// The id is compared, because a bucket may have been deleted and made again under the same name.
func (bs *Buckets) Reread(ctx context.Context, b meta.Bucket) (meta.Bucket, error) {
	now, err := bs.Get(ctx, b.Name)
	if err == nil && now.ID != b.ID {
		return now, NoSuch(b.Name)
	}
	return now, err
}

// List returns buckets in the order of their names.
// One row that is not proven fails the page: to leave it out would hide a bucket.
func (bs *Buckets) List(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error) {
	page, err := bs.Store.ListBuckets(ctx, q)
	if err != nil {
		return nil, meta.Coded(err)
	}
	for i := range page {
		if err := bs.Prove(&page[i]); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// Delete removes a bucket without versions and delete markers; its uploads in
// progress end with it.
// Errors: BucketNotEmpty, NoSuchBucket.
func (bs *Buckets) Delete(ctx context.Context, b meta.Bucket) error {
	err := bs.Store.DeleteBucket(ctx, b.ID)
	switch {
	case errors.Is(err, meta.ErrNotEmpty) && b.Versioning != meta.VersioningOff:
		return s3err.New(s3err.BucketNotEmpty, "The bucket you tried to delete is not empty. You must delete all versions in the bucket.").
			With("BucketName", b.Name)
	case errors.Is(err, meta.ErrNotEmpty):
		return s3err.New(s3err.BucketNotEmpty, "").With("BucketName", b.Name)
	case errors.Is(err, meta.ErrNoBucket):
		return NoSuch(b.Name)
	}
	if err == nil {
		// Nothing can be made of them any more, and the id never comes back. Other gateways
		// forget them with Config.KeysTTL.
		bs.keys.Drop(b.ID)
		bs.proven.Drop(b.ID)
		bs.settings.Drop(b.ID)
	}
	return meta.Coded(err)
}

// NoSuch is NoSuchBucket for a bucket of this name.
func NoSuch(name string) error {
	return s3err.New(s3err.NoSuchBucket, "").With("BucketName", name)
}
