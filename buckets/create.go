package buckets

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// DefaultMax is how many buckets a tenant may have: as many as on AWS.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html
const DefaultMax = 10_000

// mayHaveMore returns how many buckets a tenant may have, or TooManyBuckets where it has
// them. The store counts again when it adds one: this spares a request that will be refused
// a wrapped seed and a transaction.
func (bs *Buckets) mayHaveMore(ctx context.Context, owner meta.ID) (most int, err error) {
	l, err := bs.Accounts.Limits(ctx, owner)
	if err != nil {
		return 0, err
	}
	most = bs.MaxBuckets
	if l.Buckets > 0 {
		// The limit is the tenant's document and may be any number. The store counts no further
		// than this.
		most = int(min(l.Buckets, meta.MaxBucketCount))
	}
	has, err := bs.Store.CountBuckets(ctx, owner, most)
	if err != nil {
		return 0, meta.Coded(err)
	}
	if has >= most {
		return 0, s3err.TooManyBuckets
	}
	return most, nil
}

// Create makes a bucket with a seed of its own, on a backend that
// satisfies what its owner demands and what its LocationConstraint does: where
// that names a configured backend, region or jurisdiction, it is a demand that
// stays with the bucket. Errors: InvalidBucketName, InvalidLocationConstraint,
// AccessDenied where the owner's demand cannot be met, BucketAlreadyOwnedByYou,
// BucketAlreadyExists.
func (bs *Buckets) Create(ctx context.Context, name, constraint string, owner meta.ID) (meta.Bucket, error) {
	return bs.create(ctx, meta.Bucket{Name: name, Owner: owner, Region: constraint})
}

// CreateLocked is Create for a bucket whose versions can be locked, with
// versioning enabled.
func (bs *Buckets) CreateLocked(ctx context.Context, name, constraint string, owner meta.ID) (meta.Bucket, error) {
	return bs.create(ctx, meta.Bucket{Name: name, Owner: owner, Region: constraint, Versioning: meta.VersioningEnabled, Lock: true})
}

// maxPlaceTries is how often a new bucket looks for a place because the backends
// changed meanwhile.
const maxPlaceTries = 4

// A tenant that has reached its limit is still told that a bucket of this name is its own: clients
// create theirs at each start.
func (bs *Buckets) create(ctx context.Context, b meta.Bucket) (meta.Bucket, error) {
	if err := CheckName(b.Name); err != nil {
		return meta.Bucket{}, err
	}
	b.ID, b.Created, b.Generation = meta.NewID(), bs.Now(), FirstGeneration
	most, err := bs.mayHaveMore(ctx, b.Owner)
	if errors.Is(err, s3err.TooManyBuckets) {
		return bs.unlessThere(ctx, &b, err)
	} else if err != nil {
		return meta.Bucket{}, err
	}
	own, err := bs.demands(ctx, &b)
	if err != nil {
		return meta.Bucket{}, err
	}
	if bs.Revocations != nil {
		if err := bs.Revocations.Refused(meta.ID{}); err != nil {
			return meta.Bucket{}, OfProvider("make a bucket's keys", err)
		}
	}
	seed := encrypt.NewSeed()
	defer clear(seed[:])
	// Before SealAs: the call of the key provider may take long, and a write under way keeps
	// the sealing from being raised.
	wrapped, err := bs.Provider.Wrap(ctx, bs.seedContext(b.ID, b.Generation), seed[:])
	if err != nil {
		return meta.Bucket{}, OfProvider("wrap a bucket seed", err)
	}
	ctx, sealing, done, err := bs.SealAs(ctx)
	if err != nil {
		return meta.Bucket{}, err
	}
	defer done()
	if err := bs.seal(sealing, &b, nil, nil); err != nil {
		return meta.Bucket{}, err
	}
	for try := 1; ; try++ {
		// The record does not cover the backend, so the row need not be sealed again for
		// another try.
		if b.Backend, err = bs.Blobs.Pick(&b, own); err == nil {
			err = bs.Store.CreateBucket(ctx, b, meta.BucketSeed{Bucket: b.ID, Generation: b.Generation, Wrapped: wrapped}, most)
			if !errors.Is(err, meta.ErrConflict) {
				return bs.created(ctx, b, err)
			}
		}
		if try == maxPlaceTries && blobs.IsUnregistered(err) {
			return bs.unlessThere(ctx, &b, err)
		} else if try == maxPlaceTries {
			return meta.Bucket{}, meta.Coded(err)
		}
		if err = bs.Blobs.Refresh(ctx); err != nil {
			return meta.Bucket{}, meta.Coded(err)
		}
	}
}

// unlessThere is why no bucket can be made now, unless it is there: it would be none more,
// and clients make sure of theirs at each start.
func (bs *Buckets) unlessThere(ctx context.Context, b *meta.Bucket, why error) (meta.Bucket, error) {
	now, err := bs.Get(ctx, b.Name)
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
		return meta.Bucket{}, why
	case err != nil:
		return meta.Bucket{}, err
	}
	return taken(b, now)
}

// created says what became of a new bucket.
// After ErrExists or a lost answer the row is read, under a context that the client cannot end.
func (bs *Buckets) created(ctx context.Context, b meta.Bucket, err error) (meta.Bucket, error) {
	switch {
	case errors.Is(err, meta.ErrTooMany):
		return meta.Bucket{}, s3err.TooManyBuckets
	case errors.Is(err, meta.ErrNotFound):
		return meta.Bucket{}, s3err.InvalidAccessKeyID // removed since the request was signed
	}
	unknown := errors.Is(err, meta.ErrUnknown)
	if !unknown && !errors.Is(err, meta.ErrExists) {
		return b, meta.Coded(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	// The id was drawn by this call, so the row tells whether it is the one that this call
	// made.
	now, again := bs.Store.Bucket(ctx, b.Name)
	if again == nil {
		again = bs.Prove(&now)
	}
	switch {
	case again == nil && now.ID == b.ID:
		return b, nil
	case unknown && errors.Is(again, meta.ErrNoBucket): // which is no proof that it stays so
		return meta.Bucket{}, meta.Coded(err)
	case unknown && again != nil:
		return meta.Bucket{}, meta.Coded(errors.Join(err, again))
	case again != nil:
		now = meta.Bucket{} // whose it is is not proven
	}
	return taken(&b, now)
}

// taken is what is said of a new bucket whose name is now's already.
// An owner that is not proven is nobody's, so that the answer says no more than that the name is
// taken.
func taken(b *meta.Bucket, now meta.Bucket) (meta.Bucket, error) {
	if now.Owner == b.Owner {
		return now, s3err.New(s3err.BucketAlreadyOwnedByYou, "").With("BucketName", b.Name)
	}
	return meta.Bucket{}, s3err.New(s3err.BucketAlreadyExists, "").With("BucketName", b.Name)
}

// demands fills in the bucket's residency and returns that of its owner.
// The owner's demand comes first, and is not repeated where the constraint names the same.
func (bs *Buckets) demands(ctx context.Context, b *meta.Bucket) (own string, err error) {
	u, err := bs.Accounts.Existing(ctx, b.Owner)
	if errors.Is(err, meta.ErrNotFound) {
		return "", s3err.InvalidAccessKeyID // removed since the request was signed
	} else if err != nil {
		return "", meta.Coded(err)
	}
	if u.Residency != "" {
		b.Residency = append(b.Residency, u.Residency)
	}
	switch {
	case b.Region == "" || b.Region == bs.Region:
	case bs.Blobs.HasPlace(b.Region):
		if b.Region != u.Residency {
			b.Residency = append(b.Residency, b.Region)
		}
	// Where no backend has a region, any constraint is accepted and only shown again: clients
	// send the region of their configuration.
	case bs.Blobs.Placed():
		return "", invalidLocation(b.Region, "")
	}
	return u.Residency, nil
}

func invalidLocation(constraint, message string) error {
	return s3err.New(s3err.InvalidLocationConstraint, "%s", message).With("LocationConstraint", constraint)
}
