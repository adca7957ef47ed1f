package meta

import (
	"context"
	"time"
)

// Bucket is a container of objects. Its ID is never reused; its name may be.
type Bucket struct {
	ID     ID
	Name   string
	Owner  ID
	Region string // the LocationConstraint given at creation; empty for the default
	// Residency is what the bucket demands of every backend that holds bytes of
	// its objects: each entry is the name, the region or the jurisdiction of
	// the backend. At most MaxResidency entries; none demands nothing.
	Residency []string
	Backend   BackendID // where new blobs of its objects go
	Created   time.Time
	Settings  []byte // reserved for bucket sub-resources; nil when none is set
}

// BucketSeed is one generation of a bucket's seed, wrapped by the key provider.
type BucketSeed struct {
	Bucket     ID
	Generation uint32
	Wrapped    []byte
}

// BucketQuery asks for buckets in the order of their names' bytes.
type BucketQuery struct {
	Owner  ID // zero: of every owner
	Prefix string
	After  string // exclusive
	Limit  int    // 1..MaxPage
}

// Buckets keeps buckets and their wrapped seeds.
type Buckets interface {
	// CreateBucket adds the bucket with its first seed. ErrExists when the name is
	// taken; ErrConflict when its backend is not active.
	CreateBucket(ctx context.Context, b Bucket, seed BucketSeed) error
	// Bucket finds a bucket by name, or ErrNoBucket.
	Bucket(ctx context.Context, name string) (Bucket, error)
	// ListBuckets returns at most q.Limit buckets.
	ListBuckets(ctx context.Context, q BucketQuery) ([]Bucket, error)
	// DeleteBucket removes a bucket that holds no object: ErrNotEmpty, ErrNoBucket.
	// Its open uploads and its seeds are removed later by Sweep.
	DeleteBucket(ctx context.Context, id ID) error
	// BucketSeeds returns all generations, the newest first; ErrNoBucket when there is none.
	BucketSeeds(ctx context.Context, id ID) ([]BucketSeed, error)
}
