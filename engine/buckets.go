package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Bucket finds a bucket, or NoSuchBucket.
func (e *Engine) Bucket(ctx context.Context, name string) (meta.Bucket, error) {
	b, err := e.store.Bucket(ctx, name)
	if errors.Is(err, meta.ErrNoBucket) {
		return b, noSuchBucket(name)
	}
	if err == nil {
		err = e.ProveBucket(&b)
	}
	return b, meta.Coded(err)
}

// Vacant returns the bucket, and whether the key is without an object, for
// PutObject.Vacant. Errors: NoSuchBucket.
func (e *Engine) Vacant(ctx context.Context, bucket, key string) (meta.Bucket, bool, error) {
	b, vacant, err := e.store.Vacant(ctx, bucket, key)
	if errors.Is(err, meta.ErrNoBucket) {
		return b, false, noSuchBucket(bucket)
	}
	if err == nil {
		err = e.ProveBucket(&b)
	}
	return b, vacant, meta.Coded(err)
}

// ListBuckets returns buckets in the order of their names.
func (e *Engine) ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error) {
	bs, err := e.store.ListBuckets(ctx, q)
	if err != nil {
		return nil, meta.Coded(err)
	}
	for i := range bs {
		if err := e.ProveBucket(&bs[i]); err != nil {
			return nil, err
		}
	}
	return bs, nil
}

// SameBucket reads a bucket's row anew; one of the same name is another.
func (e *Engine) SameBucket(ctx context.Context, b meta.Bucket) (meta.Bucket, error) {
	now, err := e.Bucket(ctx, b.Name)
	if err == nil && now.ID != b.ID {
		return now, noSuchBucket(b.Name)
	}
	return now, err
}

// DeleteBucket removes a bucket without versions and delete markers; its uploads in
// progress end with it.
func (e *Engine) DeleteBucket(ctx context.Context, b meta.Bucket) error {
	err := e.store.DeleteBucket(ctx, b.ID)
	switch {
	case errors.Is(err, meta.ErrNotEmpty) && b.Versioning != meta.VersioningOff:
		return s3err.New(s3err.BucketNotEmpty, "The bucket you tried to delete is not empty. You must delete all versions in the bucket.").
			With("BucketName", b.Name)
	case errors.Is(err, meta.ErrNotEmpty):
		return s3err.New(s3err.BucketNotEmpty, "").With("BucketName", b.Name)
	case errors.Is(err, meta.ErrNoBucket):
		return noSuchBucket(b.Name)
	}
	if err == nil {
		e.keys.Drop(b.ID)
		e.proven.Drop(b.ID)
		e.settings.Drop(b.ID)
	}
	return meta.Coded(err)
}

func noSuchBucket(name string) error {
	return s3err.New(s3err.NoSuchBucket, "").With("BucketName", name)
}

func (e *Engine) bucketContext(bucket meta.ID, generation uint32) encrypt.Context {
	return encrypt.Context{Deployment: e.deployment, Purpose: "bucket", ID: bucket, Generation: generation}
}

// bucketKeys returns the keys of the newest generation, for sealing.
func (e *Engine) bucketKeys(ctx context.Context, bucket meta.ID) (*encrypt.BucketKeys, error) {
	all, err := e.bucketGenerations(ctx, bucket)
	if err != nil {
		return nil, err
	}
	var newest *encrypt.BucketKeys
	for _, k := range all {
		if newest == nil || k.Generation() > newest.Generation() {
			newest = k
		}
	}
	return newest, nil
}

// bucketKeysOf returns the keys of exactly one generation, for opening.
func (e *Engine) bucketKeysOf(ctx context.Context, bucket meta.ID, generation uint32) (*encrypt.BucketKeys, error) {
	all, err := e.bucketGenerations(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if k := all[generation]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w: generation %d of bucket %v", errNoGeneration, generation, bucket)
}

// errNoGeneration: a row names a generation of its bucket's keys that there is not.
var errNoGeneration = fmt.Errorf("%w: a bucket has no key of that generation", records.ErrEdited)

func (e *Engine) bucketGenerations(ctx context.Context, bucket meta.ID) (map[uint32]*encrypt.BucketKeys, error) {
	if all, ok := e.keys.Get(bucket); ok {
		return all, nil
	}
	seeds, err := e.store.BucketSeeds(ctx, bucket)
	if errors.Is(err, meta.ErrNoBucket) {
		return nil, s3err.NoSuchBucket
	} else if err != nil {
		return nil, meta.Coded(err)
	}
	all := make(map[uint32]*encrypt.BucketKeys, len(seeds))
	for _, s := range seeds {
		raw, err := e.provider.Unwrap(ctx, e.bucketContext(bucket, s.Generation), s.Wrapped)
		if err != nil {
			return nil, internal("unwrap a bucket seed", err)
		}
		if len(raw) != len(encrypt.Seed{}) {
			return nil, fmt.Errorf("the key provider returned a seed of %d bytes", len(raw))
		}
		all[s.Generation] = encrypt.DeriveBucketKeys(encrypt.Seed(raw), e.deployment, bucket, s.Generation)
	}
	e.keys.Put(bucket, all)
	return all, nil
}
