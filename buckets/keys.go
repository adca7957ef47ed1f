package buckets

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

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

// keyring is all generations of a bucket's keys that there were at one moment. Only sought
// ever changes.
type keyring struct {
	of     map[uint32]*encrypt.BucketKeys
	newest uint32
	// sought: an unknown generation was looked for, and is not there.
	sought atomic.Bool
}

func (k *keyring) key(bucket meta.ID, generation uint32) (*encrypt.BucketKeys, error) {
	if k := k.of[generation]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w: generation %d of bucket %v", ErrNoGeneration, generation, bucket)
}

// ErrNoGeneration: a row names a generation of its bucket's keys that does not exist.
var ErrNoGeneration = fmt.Errorf("%w: a bucket has no key of that generation", records.ErrEdited)

// Keys returns the keys of the newest generation, for sealing, which is that of b or a newer
// one. b must be proven.
// Errors: NoSuchBucket, and those of the key provider.
func (bs *Buckets) Keys(ctx context.Context, b meta.Bucket) (*encrypt.BucketKeys, error) {
	k, err := bs.keysFor(ctx, &b)
	if err != nil {
		return nil, err
	}
	// A request that goes on for long may have read the bucket before a rotation, whose former
	// generation was destroyed since. Its write is refused, and made again for the bucket as
	// it is.
	generation := max(b.Generation, k.newest)
	noteSealed(ctx, generation)
	return k.key(b.ID, generation)
}

// KeysOf returns the keys of exactly one generation, for opening.
// An error for a generation that does not exist wraps ErrNoGeneration.
func (bs *Buckets) KeysOf(ctx context.Context, bucket meta.ID, generation uint32) (*encrypt.BucketKeys, error) {
	k, err := bs.keyring(ctx, bucket)
	if err != nil {
		return nil, err
	}
	// A generation that is newer than what is remembered may be another gateway's. An edited
	// row may name any: what is not there is looked for once in the time that keys are
	// remembered.
	if k.of[generation] == nil && !k.sought.Load() {
		if k, err = bs.withGeneration(ctx, bucket, generation, k); err != nil {
			return nil, err
		}
		k.sought.Store(k.of[generation] == nil)
	}
	noteOpened(ctx, generation)
	return k.key(bucket, generation)
}

// AllKeys returns KeysOf for one bucket with all its keys at hand, up to the generation
// that b has: it does not wait. Of b it reads ID and Generation.
func (bs *Buckets) AllKeys(ctx context.Context, b meta.Bucket) (func(generation uint32) (*encrypt.BucketKeys, error), error) {
	k, err := bs.keysFor(ctx, &b)
	if err != nil {
		return nil, err
	}
	return func(generation uint32) (*encrypt.BucketKeys, error) { return k.key(b.ID, generation) }, nil
}

// keysFor are the generations of a bucket, at least up to that of its row.
func (bs *Buckets) keysFor(ctx context.Context, b *meta.Bucket) (*keyring, error) {
	k, err := bs.keyring(ctx, b.ID)
	if err == nil && k.of[b.Generation] == nil {
		k, err = bs.withGeneration(ctx, b.ID, b.Generation, k)
	}
	return k, err
}

// withGeneration fetches a bucket's keys anew, for a generation that was lacks. If the
// answer lacks it too, it is not there.
func (bs *Buckets) withGeneration(ctx context.Context, bucket meta.ID, generation uint32, was *keyring) (k *keyring, err error) {
	// The second time: the first answer may be that of a fetch which began before the
	// generation was made.
	for range 2 {
		if now, ok := bs.keys.Get(bucket); ok && now == was {
			bs.keys.Drop(bucket)
		}
		if k, err = bs.keyring(ctx, bucket); err != nil || k.of[generation] != nil {
			break
		}
		was = k
	}
	return k, err
}

// keyring returns the keys of all generations. It is shared by all who get it. However many
// ask for a bucket that is not remembered, one of them fetches.
func (bs *Buckets) keyring(ctx context.Context, bucket meta.ID) (*keyring, error) {
	for {
		if k, ok := bs.keys.Get(bucket); ok {
			return k, nil
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
	if k, ok := bs.keys.Get(bucket); ok {
		f.keys, f.err = k, nil
		return
	}
	// All generations or none: a remembered part would make the rows of the others look edited.
	f.keys, f.err = bs.keys.Load(bucket, func() (*keyring, error) { return bs.openKeys(ctx, bucket) })
}

// openKeys reads a bucket's seeds, and has the key provider open them, unless they are revoked.
// Keys that are revoked meanwhile are not remembered, because all are forgotten then.
func (bs *Buckets) openKeys(ctx context.Context, bucket meta.ID) (*keyring, error) {
	if bs.Revocations != nil {
		if err := bs.Revocations.Refused(bucket); err != nil {
			return nil, OfProvider("fetch a bucket's keys", err)
		}
	}
	rows, err := bs.Store.BucketSeeds(ctx, bucket)
	if errors.Is(err, meta.ErrNoBucket) {
		return nil, s3err.NoSuchBucket
	} else if err != nil {
		return nil, meta.Coded(err)
	}
	if err := bs.proveSeeds(&rows); err != nil {
		return nil, err
	}
	k := &keyring{of: make(map[uint32]*encrypt.BucketKeys, len(rows.Seeds))}
	for _, s := range rows.Seeds {
		raw, err := bs.Provider.Unwrap(ctx, bs.seedContext(bucket, s.Generation), s.Wrapped)
		if err != nil {
			return nil, OfProvider("unwrap a bucket seed", err)
		}
		if len(raw) != len(encrypt.Seed{}) {
			return nil, fmt.Errorf("the key provider returned a seed of %d bytes", len(raw))
		}
		k.newest = max(k.newest, s.Generation)
		k.of[s.Generation] = encrypt.DeriveBucketKeys(encrypt.Seed(raw), bs.Deployment, bucket, s.Generation)
		clear(raw)
	}
	return k, nil
}

// KeyName is the name of the key-encryption key that SSE-KMS may ask for: that of
// the key provider.
func (bs *Buckets) KeyName() string { return bs.Provider.Name() }
