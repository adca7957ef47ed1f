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
	// Residency is the bucket's demand on every backend that holds bytes of its
	// objects: each entry is the name, the region or the jurisdiction of the
	// backend. At most MaxResidency entries; none demands nothing.
	Residency  []string
	Backend    BackendID // where new blobs of its objects go
	Created    time.Time
	Versioning Versioning
	// Lock says that versions may be locked. It is never reset, and keeps
	// versioning enabled.
	Lock bool
	// Revision grows with every change of the bucket's settings and with every change of
	// its generations, so that what was read under a revision is valid as long as the
	// bucket has it.
	Revision int64
	// Generation is the newest generation of the bucket's keys: from 1, never reduced.
	Generation uint32
	// Record seals the row, except Backend, and the lists of settings and of generations
	// of the revision, under the system keys; nil while rows have none. At most MaxRecord
	// bytes.
	Record []byte
}

// Setting is one sub-resource of a bucket, for example its policy. The store does
// not interpret it.
type Setting struct {
	Name     string // 1..MaxSettingName bytes
	Document []byte // sealed under the bucket's keys; 1..MaxSetting bytes
}

// BucketSettings are a bucket and all its settings at one moment.
type BucketSettings struct {
	Bucket   Bucket
	Settings []Setting // in the order of names
}

// BucketSeed is one generation of a bucket's seed, wrapped by the key provider.
type BucketSeed struct {
	Bucket     ID
	Generation uint32
	Wrapped    []byte
	Key        string    // of which key it is a generation; empty: the deployment's default
	Created    time.Time // zero: with the bucket
	Former     bool      // a newer generation of its key has taken its place for writes
}

// BucketSeeds are a bucket and all generations of its seed at one moment.
type BucketSeeds struct {
	// Bucket is the zero value for a bucket that was deleted and that Sweep has not
	// finished with.
	Bucket Bucket
	Seeds  []BucketSeed // the newest first
}

// MaxGenerations is how many generations a bucket has at the same time.
const MaxGenerations = 16

// BucketQuery asks for buckets in the order of their names' bytes.
type BucketQuery struct {
	Owner  ID // zero: of every owner
	Prefix string
	After  string // exclusive
	Limit  int    // 1..MaxPage
}

// MaxBucketCount is the highest number up to which an owner's buckets are counted.
const MaxBucketCount = 1_000_000

// Buckets keeps buckets and their wrapped seeds.
type Buckets interface {
	// CreateBucket adds the bucket with its first seed, whose generation is the bucket's,
	// unless its owner has most buckets or more: ErrTooMany, however many are created at
	// once. ErrExists when the name is taken; ErrNotFound when the owner is no tenant;
	// ErrConflict when its backend is not active; ErrLimit unless most is 1 to
	// MaxBucketCount.
	CreateBucket(ctx context.Context, b Bucket, seed BucketSeed, most int) error
	// Bucket finds a bucket by name, or ErrNoBucket.
	Bucket(ctx context.Context, name string) (Bucket, error)
	// ListBuckets returns at most q.Limit buckets.
	ListBuckets(ctx context.Context, q BucketQuery) ([]Bucket, error)
	// CountBuckets returns how many buckets an owner has, but at most most: it
	// counts no further. ErrLimit unless most is 1 to MaxBucketCount.
	CountBuckets(ctx context.Context, owner ID, most int) (int, error)
	// SetVersioning changes the bucket's versioning; with lock, it also permits
	// locks in the bucket. VersioningOff cannot be set. ErrNoBucket; ErrConflict
	// when the bucket has locks and v is not VersioningEnabled, or the revision is
	// not c's.
	SetVersioning(ctx context.Context, id ID, c Change, v Versioning, lock bool) error
	// BucketSettings reads all settings of one revision; ErrNoBucket.
	BucketSettings(ctx context.Context, id ID) (BucketSettings, error)
	// SetSetting stores a setting, or removes it when Document is empty. The
	// bucket's revision must still be c's: ErrConflict, ErrNoBucket, ErrUnknown,
	// ErrLimit.
	SetSetting(ctx context.Context, id ID, c Change, s Setting) error
	// DeleteBucket removes a bucket that holds no version: ErrNotEmpty, ErrNoBucket.
	// Its open uploads and its seeds are removed later by Sweep.
	DeleteBucket(ctx context.Context, id ID) error
	// BucketSeeds returns all generations; ErrNoBucket when there is none.
	BucketSeeds(ctx context.Context, id ID) (BucketSeeds, error)
	// AddGeneration adds the seed of the generation after the bucket's newest. From then
	// on no write goes by an older generation: see Commit.Newest. The former generation
	// of the same key becomes Former. ErrNoBucket; ErrConflict when the revision is not
	// c's or the seed's generation is not the next; ErrTooMany when the bucket has
	// MaxGenerations.
	AddGeneration(ctx context.Context, c Change, seed BucketSeed) error
	// DropGeneration removes a former generation. The caller has made sure that no row
	// refers to it: none can from then on, because writes go by the newest. ErrNoBucket;
	// ErrConflict when the revision is not c's; ErrNotFound when there is no such former
	// generation.
	DropGeneration(ctx context.Context, id ID, c Change, generation uint32) error
	// FormerSeeds returns at most limit former generations of buckets above a position,
	// ordered by bucket and generation.
	FormerSeeds(ctx context.Context, after SeedPosition, limit int) ([]BucketSeed, error)
}
