package buckets

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// A bucket's record vouches for which generations its keys have, and which of them is
// written with. So nobody who may edit the store can have writes go by an older
// generation, bring back one that was destroyed, or remove one unseen.

func seedFactsOf(s *meta.BucketSeed) seedFacts {
	f := seedFacts{Generation: s.Generation, Key: s.Key, Former: s.Former}
	if !s.Created.IsZero() {
		f.Created = s.Created.UnixMicro()
	}
	return f
}

// proveSeeds holds the rows of a bucket's generations against its record. A bucket that was
// deleted has no record any more, and nothing is written to it.
func (bs *Buckets) proveSeeds(rows *meta.BucketSeeds) error {
	b := &rows.Bucket
	if b.ID.IsZero() {
		return nil
	}
	r, err := bs.proof(b)
	if err != nil {
		return err
	}
	var have []seedFacts
	for i := range rows.Seeds {
		have = append(have, seedFactsOf(&rows.Seeds[i]))
	}
	want := r.seeds
	if len(want) == 0 { // also where there is no record yet: then there is one generation
		want = []seedFacts{{Generation: FirstGeneration}}
	}
	if !slices.Equal(have, want) || b.Generation != want[0].Generation {
		return records.Edited("the generations of the keys of bucket "+b.ID.String(), errors.New("they are not those that its record names"))
	}
	return nil
}

// Generations returns the generations of a bucket's keys, the newest first, without their
// wraps. b must be proven.
func (bs *Buckets) Generations(ctx context.Context, b meta.Bucket) ([]meta.BucketSeed, error) {
	rows, err := bs.Store.BucketSeeds(ctx, b.ID)
	if errors.Is(err, meta.ErrNoBucket) || err == nil && rows.Bucket.ID.IsZero() {
		return nil, NoSuch(b.Name)
	} else if err != nil {
		return nil, meta.Coded(err)
	}
	if err := bs.proveSeeds(&rows); err != nil {
		return nil, err
	}
	for i := range rows.Seeds {
		rows.Seeds[i].Wrapped = nil
		if rows.Seeds[i].Created.IsZero() {
			rows.Seeds[i].Created = b.Created
		}
	}
	return rows.Seeds, nil
}

// Rotate gives the bucket a new generation of its keys and returns its number. Every
// write that is committed from then on, on any gateway, goes by it. Objects keep the
// generation that they have, and stay readable. Errors: InvalidRequest where the bucket
// has as many generations as it may, or the store's rows are not all sealed yet, and
// those of the key provider.
func (bs *Buckets) Rotate(ctx context.Context, b meta.Bucket) (generation uint32, err error) {
	if bs.Records.Sealing() < meta.SealingWhole {
		return 0, errNotWhole
	}
	for c := (meta.Contest{}); ; {
		if generation, err = bs.rotate(ctx, b); !errors.Is(err, meta.ErrConflict) {
			return generation, meta.Coded(err)
		}
		if err = c.Again(ctx); err == nil {
			b, err = bs.Reread(ctx, b)
		}
		if err != nil {
			return 0, meta.Coded(err)
		}
	}
}

// rotate is Rotate of a bucket as it was read; meta.ErrConflict where it has changed since.
func (bs *Buckets) rotate(ctx context.Context, b meta.Bucket) (generation uint32, err error) {
	sums, seeds, err := bs.recordOf(ctx, b)
	if err != nil {
		return 0, err
	}
	if len(seeds) == 0 {
		seeds = []seedFacts{{Generation: FirstGeneration}}
	}
	if len(seeds) >= meta.MaxGenerations {
		return 0, errGenerations
	}
	if bs.Revocations != nil {
		if err := bs.Revocations.Refused(b.ID); err != nil {
			return 0, OfProvider("make a bucket's keys", err)
		}
	}
	secret := encrypt.NewSeed()
	defer clear(secret[:])
	seed := meta.BucketSeed{Bucket: b.ID, Generation: b.Generation + 1, Created: bs.Now().UTC()}
	if seed.Wrapped, err = bs.Provider.Wrap(ctx, bs.seedContext(b.ID, seed.Generation), secret[:]); err != nil {
		return 0, OfProvider("wrap a bucket seed", err)
	}
	now := []seedFacts{seedFactsOf(&seed)}
	for _, s := range seeds {
		s.Former = s.Former || s.Key == seed.Key
		now = append(now, s)
	}
	next := b
	next.Generation = seed.Generation
	err = bs.change(ctx, next, sums, now, func(ctx context.Context, c meta.Change) error { return bs.Store.AddGeneration(ctx, c, seed) })
	switch {
	case errors.Is(err, meta.ErrTooMany):
		err = errGenerations
	case errors.Is(err, meta.ErrUnknown):
		err = bs.settleRotation(ctx, seed, err)
	}
	return seed.Generation, err
}

// settleRotation learns whether a generation whose answer was lost is there. Wraps are
// random, so an equal one is that of this call.
func (bs *Buckets) settleRotation(ctx context.Context, seed meta.BucketSeed, unknown error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	rows, err := bs.Store.BucketSeeds(ctx, seed.Bucket)
	if err != nil {
		return errors.Join(unknown, err)
	}
	for _, s := range rows.Seeds {
		if s.Generation == seed.Generation && bytes.Equal(s.Wrapped, seed.Wrapped) {
			return nil
		}
	}
	return unknown
}

var (
	errNotWhole    = s3err.New(s3err.InvalidRequest, "Rows of an earlier release are being sealed. The keys of a bucket can be rotated when that has ended.")
	errGenerations = s3err.New(s3err.InvalidRequest, "The bucket has %d generations of its keys. Destroy those that nothing refers to.", meta.MaxGenerations)
)

// OfID finds a bucket by its id, and whether its keys have several generations.
// NoSuchBucket; an error that wraps records.ErrEdited where its row, or a row of its
// generations, is not what its record says.
func (bs *Buckets) OfID(ctx context.Context, id meta.ID) (b meta.Bucket, several bool, err error) {
	rows, err := bs.Store.BucketSeeds(ctx, id)
	if errors.Is(err, meta.ErrNoBucket) || err == nil && rows.Bucket.ID.IsZero() {
		return b, false, NoSuch(id.String())
	} else if err != nil {
		return b, false, meta.Coded(err)
	}
	if err := bs.proveSeeds(&rows); err != nil {
		return b, false, err
	}
	return rows.Bucket, len(rows.Seeds) > 1, nil
}

// Several returns the first id above another of a bucket whose keys have former
// generations; false: there is none. The bucket may have been deleted.
func (bs *Buckets) Several(ctx context.Context, after meta.ID) (id meta.ID, ok bool, err error) {
	page, err := bs.Store.FormerSeeds(ctx, meta.SeedPosition{Bucket: after, Generation: math.MaxUint32}, 1)
	if err != nil || len(page) == 0 {
		return id, false, meta.Coded(err)
	}
	return page[0].Bucket, true, nil
}

// Destroy removes a former generation of a bucket's keys for good. The caller has made
// sure that nothing refers to it; nothing can come to. Gateways forget it within KeysTTL,
// this one too: a request under way may have read a row before the row was brought under
// the newest. Errors: NoSuchEntity where there is no such former generation.
func (bs *Buckets) Destroy(ctx context.Context, b meta.Bucket, generation uint32) error {
	for c := (meta.Contest{}); ; {
		// The caller may have read the bucket before its generations were made.
		b, err := bs.Reread(ctx, b)
		if err == nil {
			err = bs.destroy(ctx, b, generation)
		}
		if !errors.Is(err, meta.ErrConflict) {
			return meta.Coded(err)
		}
		if err := c.Again(ctx); err != nil {
			return meta.Coded(err)
		}
	}
}

func (bs *Buckets) destroy(ctx context.Context, b meta.Bucket, generation uint32) error {
	sums, seeds, err := bs.recordOf(ctx, b)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(seeds, func(s seedFacts) bool { return s.Generation == generation && s.Former })
	if at < 0 {
		return s3err.New(s3err.NoSuchEntity, "Bucket %s has no former generation %d of its keys.", b.Name, generation)
	}
	left := slices.Delete(slices.Clone(seeds), at, at+1)
	return bs.change(ctx, b, sums, left, func(ctx context.Context, c meta.Change) error {
		return bs.Store.DropGeneration(ctx, b.ID, c, generation)
	})
}
