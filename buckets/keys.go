package buckets

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// seedContext binds a wrapped seed to its bucket and generation, so that a seed that an edit
// has moved to another row does not unwrap.
func (bs *Buckets) seedContext(bucket meta.ID, generation uint32) encrypt.Context {
	return encrypt.Context{Deployment: bs.Deployment, Purpose: "bucket", ID: bucket, Generation: generation}
}

// Keys returns the keys of the newest generation, for sealing.
// Errors: NoSuchBucket, and those of the key provider.
func (bs *Buckets) Keys(ctx context.Context, bucket meta.ID) (*encrypt.BucketKeys, error) {
	all, err := bs.generations(ctx, bucket)
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

// KeysOf returns the keys of exactly one generation, for opening.
// An error for a generation that does not exist wraps records.ErrEdited.
func (bs *Buckets) KeysOf(ctx context.Context, bucket meta.ID, generation uint32) (*encrypt.BucketKeys, error) {
	all, err := bs.generations(ctx, bucket)
	if err != nil {
		return nil, err
	}
	return keyOf(all, bucket, generation)
}

// AllKeys returns KeysOf for one bucket with all its keys at hand: it does not wait.
func (bs *Buckets) AllKeys(ctx context.Context, bucket meta.ID) (func(generation uint32) (*encrypt.BucketKeys, error), error) {
	all, err := bs.generations(ctx, bucket)
	if err != nil {
		return nil, err
	}
	return func(generation uint32) (*encrypt.BucketKeys, error) { return keyOf(all, bucket, generation) }, nil
}

func keyOf(all map[uint32]*encrypt.BucketKeys, bucket meta.ID, generation uint32) (*encrypt.BucketKeys, error) {
	if k := all[generation]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w: generation %d of bucket %v", errNoGeneration, generation, bucket)
}

// errNoGeneration: a row names a generation of its bucket's keys that does not exist.
var errNoGeneration = fmt.Errorf("%w: a bucket has no key of that generation", records.ErrEdited)

// generations returns the keys of all generations. The map is shared by all who get it, and
// never changes. However many ask for a bucket that is not remembered, one of them fetches.
func (bs *Buckets) generations(ctx context.Context, bucket meta.ID) (map[uint32]*encrypt.BucketKeys, error) {
	for {
		if all, ok := bs.keys.Get(bucket); ok {
			return all, nil
		}
		f, mine := bs.fetching.join(bucket)
		if mine {
			bs.fetch(ctx, bucket, f)
			return f.keys, f.err
		}
		select {
		case <-ctx.Done():
			return nil, meta.Coded(context.Cause(ctx))
		case <-f.done:
		}
		// The client of the one that fetched may have left, which is no answer for others.
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return f.keys, f.err
		}
	}
}

// fetch makes a fetch, for all who wait for it.
func (bs *Buckets) fetch(ctx context.Context, bucket meta.ID, f *fetch) {
	defer bs.fetching.end(bucket, f)
	// The fetch before may have ended after the caller looked.
	if all, ok := bs.keys.Get(bucket); ok {
		f.keys, f.err = all, nil
		return
	}
	// All generations or none: a remembered part would make the rows of the others look edited.
	f.keys, f.err = bs.keys.Load(bucket, func() (map[uint32]*encrypt.BucketKeys, error) { return bs.openKeys(ctx, bucket) })
}

// openKeys reads a bucket's seeds, and has the key provider open them, unless they are revoked.
// Keys that are revoked meanwhile are not remembered, because all are forgotten then.
func (bs *Buckets) openKeys(ctx context.Context, bucket meta.ID) (map[uint32]*encrypt.BucketKeys, error) {
	if bs.Revocations != nil {
		if err := bs.Revocations.Refused(bucket); err != nil {
			return nil, OfProvider("fetch a bucket's keys", err)
		}
	}
	seeds, err := bs.Store.BucketSeeds(ctx, bucket)
	if errors.Is(err, meta.ErrNoBucket) {
		return nil, s3err.NoSuchBucket
	} else if err != nil {
		return nil, meta.Coded(err)
	}
	all := make(map[uint32]*encrypt.BucketKeys, len(seeds))
	for _, s := range seeds {
		raw, err := bs.Provider.Unwrap(ctx, bs.seedContext(bucket, s.Generation), s.Wrapped)
		if err != nil {
			return nil, OfProvider("unwrap a bucket seed", err)
		}
		if len(raw) != len(encrypt.Seed{}) {
			return nil, fmt.Errorf("the key provider returned a seed of %d bytes", len(raw))
		}
		all[s.Generation] = encrypt.DeriveBucketKeys(encrypt.Seed(raw), bs.Deployment, bucket, s.Generation)
		clear(raw)
	}
	return all, nil
}

// KeyName is the name of the key-encryption key that SSE-KMS may ask for: that of
// the key provider.
func (bs *Buckets) KeyName() string { return bs.Provider.Name() }
