package engine

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// DefaultMaxBuckets is how many buckets a tenant may have: as many as on AWS.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html
const DefaultMaxBuckets = 10_000

// mayHaveMore returns how many buckets a tenant may have, or TooManyBuckets where it has
// them. The store counts again when it adds one: this spares a request that will be refused
// a wrapped seed and a transaction.
func (e *Engine) mayHaveMore(ctx context.Context, owner meta.ID) (most int, err error) {
	l, err := e.accounts.Limits(ctx, owner)
	if err != nil {
		return 0, err
	}
	most = e.maxBuckets
	if l.Buckets > 0 {
		most = int(min(l.Buckets, meta.MaxBucketCount))
	}
	has, err := e.store.CountBuckets(ctx, owner, most)
	if err != nil {
		return 0, meta.Coded(err)
	}
	if has >= most {
		return 0, s3err.TooManyBuckets
	}
	return most, nil
}
