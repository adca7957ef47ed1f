package meta

import "context"

// SeedPosition is the place of a seed in the order of ScanSeeds. The zero value is before
// all of them.
type SeedPosition struct {
	Bucket     ID
	Generation uint32
}

// SeedChange is another wrap of the seed that a row has wrapped as Was.
type SeedChange struct {
	Bucket     ID
	Generation uint32
	Was        []byte
	Wrapped    []byte // 1..MaxWrappedSeed bytes
}

// MaxWrappedSeed is the longest wrapped seed in bytes: an envelope of several providers.
const MaxWrappedSeed = 64 << 10

// Seeds changes how seeds are wrapped. The seeds themselves never change, so a change
// may be lost or made twice without harm.
type Seeds interface {
	// ScanSeeds returns at most limit seeds of buckets above a position, ordered by bucket
	// and generation. Seeds of deleted buckets are among them until Sweep removes them.
	ScanSeeds(ctx context.Context, after SeedPosition, limit int) ([]BucketSeed, error)
	// RewrapSeeds replaces the wraps of at most MaxBatch seeds, and returns how many it
	// replaced: a seed that is gone, or is not wrapped as Was any more, is passed over.
	// ErrConflict unless the lease is still l's.
	RewrapSeeds(ctx context.Context, l Lease, cs []SeedChange) (done int, err error)
	// RewrapSystemSeed replaces the wrap of the deployment's seed. ErrConflict unless it is
	// wrapped as was and the lease is still l's.
	RewrapSystemSeed(ctx context.Context, l Lease, was, wrapped []byte) error
}

// Limits of jobs.
const (
	MaxJobName = 64       // bytes
	MaxJob     = 16 << 10 // bytes of a job's document
)

// Jobs keeps how far background jobs are that somebody asked for. A document is for
// people and saves time. Nothing is decided by it that an edit of it could make wrong, or it
// is sealed, and an edit of it fails closed.
type Jobs interface {
	// Job returns the document of a job, or nil where there is none.
	Job(ctx context.Context, name string) ([]byte, error)
	// SetJob replaces the document of a job; nil stands for none, as was and as now.
	// ErrConflict where it is not was: of two writers, one succeeds.
	SetJob(ctx context.Context, name string, was, now []byte) error
}
