package engine

import (
	"context"
	"crypto/subtle"
	"fmt"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// Seed is a wrapped seed: the system's, if Bucket is zero, or one generation of a bucket's.
type Seed struct {
	Bucket     meta.ID
	Generation uint32
	Wrapped    []byte
}

// String names the seed for people.
func (s *Seed) String() string {
	if s.Bucket.IsZero() {
		return "the system's seed"
	}
	return fmt.Sprintf("the seed of bucket %s, generation %d", s.Bucket, s.Generation)
}

// Seeds are the wrapped seeds of a deployment, and how they come under another key. The
// seed itself never changes here. Seeds serve any number of goroutines at once.
type Seeds struct {
	store      *blobs.CountedStore
	provider   encrypt.Provider
	deployment encrypt.Deployment
}

// Seeds are those of the deployment, for as long as the Engine is open.
func (e *Engine) Seeds() *Seeds { return &Seeds{e.store, e.provider, e.deployment} }

// CurrentKey is the id of the key that wraps new seeds. It costs a call of the provider.
func (s *Seeds) CurrentKey(ctx context.Context) (string, error) {
	id, err := encrypt.CurrentKeyID(ctx, s.provider)
	if err != nil {
		return "", internal("ask for the current key", err)
	}
	return id, nil
}

// Key is the id of the key that a seed is under.
func (s *Seeds) Key(seed *Seed) (string, error) { return s.provider.KeyID(seed.Wrapped) }

// System returns the system's seed as it is wrapped now.
func (s *Seeds) System(ctx context.Context) (Seed, error) {
	d, err := s.store.Deployment(ctx)
	return Seed{Wrapped: d.Seed}, err
}

// Page returns at most limit seeds of buckets above a position.
func (s *Seeds) Page(ctx context.Context, after meta.SeedPosition, limit int) ([]Seed, error) {
	rows, err := s.store.ScanSeeds(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	page := make([]Seed, len(rows))
	for i, r := range rows {
		page[i] = Seed{r.Bucket, r.Generation, r.Wrapped}
	}
	return page, nil
}

func (s *Seeds) context(seed *Seed) encrypt.Context {
	if seed.Bucket.IsZero() {
		return SystemContext(meta.ID(s.deployment))
	}
	return encrypt.Context{Deployment: s.deployment, Purpose: "bucket", ID: seed.Bucket, Generation: seed.Generation}
}

// eachOpener is a provider over several: see providers.Set.
type eachOpener interface {
	OpenEach(ctx context.Context, c encrypt.Context, wrapped []byte) (map[string]error, error)
}

// Rewrap returns the seed wrapped under the current key, and stores nothing. The result
// opens to the same seed, by each provider that wrapped it: whatever an answer of the
// provider was worth, the seed is not lost to it.
func (s *Seeds) Rewrap(ctx context.Context, seed *Seed) ([]byte, error) {
	c := s.context(seed)
	again, err := s.provider.Rewrap(ctx, c, seed.Wrapped)
	if err != nil {
		return nil, err
	}
	was, err := s.provider.Unwrap(ctx, c, seed.Wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(was)
	now, err := s.provider.Unwrap(ctx, c, again)
	if err != nil {
		return nil, fmt.Errorf("open what was rewrapped: %w", err)
	}
	defer clear(now)
	if subtle.ConstantTimeCompare(was, now) != 1 {
		return nil, fmt.Errorf("%w: what was rewrapped is another seed", encrypt.ErrWrongKey)
	}
	if several, ok := s.provider.(eachOpener); ok {
		opened, err := several.OpenEach(ctx, c, again)
		if err != nil {
			return nil, err
		}
		for name, err := range opened {
			if err != nil {
				return nil, fmt.Errorf("provider %s does not open what it has just wrapped: %w", name, err)
			}
		}
	}
	return again, nil
}

// Put stores at most meta.MaxBatch seeds of buckets that were rewrapped, under a lease, and
// returns how many were still wrapped as they were read.
func (s *Seeds) Put(ctx context.Context, l meta.Lease, seeds []Seed, wrapped [][]byte) (done int, err error) {
	if len(seeds) == 0 {
		return 0, nil
	}
	changes := make([]meta.SeedChange, len(seeds))
	for i := range seeds {
		changes[i] = meta.SeedChange{Bucket: seeds[i].Bucket, Generation: seeds[i].Generation, Was: seeds[i].Wrapped, Wrapped: wrapped[i]}
	}
	return s.store.RewrapSeeds(ctx, l, changes)
}

// PutSystem stores the system's seed, rewrapped. meta.ErrConflict: it is not wrapped as was
// any more, or the lease is another's.
func (s *Seeds) PutSystem(ctx context.Context, l meta.Lease, was *Seed, wrapped []byte) error {
	return s.store.RewrapSystemSeed(ctx, l, was.Wrapped, wrapped)
}

// Job returns the document of a job over the seeds; SetJob replaces it: see meta.Jobs.
func (s *Seeds) Job(ctx context.Context, name string) ([]byte, error) { return s.store.Job(ctx, name) }

// SetJob replaces the document of a job: see meta.Jobs.
func (s *Seeds) SetJob(ctx context.Context, name string, was, now []byte) error {
	return s.store.SetJob(ctx, name, was, now)
}
