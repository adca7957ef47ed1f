package engine

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// DefaultMaxBuckets is how many buckets a tenant may have: as many as on AWS.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html
const DefaultMaxBuckets = 10_000

// refuseMoreBuckets fails with TooManyBuckets where a tenant has as many buckets as it
// may. Requests at the same moment may each make one beyond that.
func (e *Engine) refuseMoreBuckets(ctx context.Context, owner meta.ID) error {
	l, err := e.accounts.Limits(ctx, owner)
	if err != nil {
		return err
	}
	most := e.maxBuckets
	if l.Buckets > 0 {
		most = int(min(l.Buckets, meta.MaxBucketCount))
	}
	has, err := e.store.CountBuckets(ctx, owner, most)
	if err != nil {
		return meta.Coded(err)
	}
	if has >= most {
		return s3err.TooManyBuckets
	}
	return nil
}
