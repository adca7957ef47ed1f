package metatest

import (
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/meta"
)

// allSeeds reads all seeds page by page.
func (f *fixture) allSeeds(limit int) (all []meta.BucketSeed) {
	f.Helper()
	var at meta.SeedPosition
	for {
		page, err := f.s.ScanSeeds(f.ctx, at, limit)
		f.ok(err)
		all = append(all, page...)
		if len(page) < limit {
			return all
		}
		last := page[len(page)-1]
		at = meta.SeedPosition{Bucket: last.Bucket, Generation: last.Generation}
	}
}

func seedChange(s meta.BucketSeed, wrapped string) meta.SeedChange {
	return meta.SeedChange{Bucket: s.Bucket, Generation: s.Generation, Was: s.Wrapped, Wrapped: []byte(wrapped)}
}

// The wraps of seeds are read page by page and replaced where they are still as they were
// read, by the holder of the lease and by nobody else.
func testSeeds(f *fixture) {
	for i := range 7 {
		b := meta.Bucket{ID: meta.NewID(), Name: fmt.Sprintf("bucket-%d", i), Owner: f.root, Backend: here, Created: f.now}
		f.ok(f.s.CreateBucket(f.ctx, b, meta.BucketSeed{Bucket: b.ID, Generation: uint32(i + 1), Wrapped: []byte{byte(i)}}, meta.MaxBucketCount))
	}
	seeds := f.allSeeds(meta.MaxPage)
	if len(seeds) < 7 {
		f.Fatalf("%d seeds", len(seeds))
	}
	sorted := slices.IsSortedFunc(seeds, func(a, b meta.BucketSeed) int { return slices.Compare(a.Bucket[:], b.Bucket[:]) })
	if !sorted {
		f.Fatal("seeds are not in the order of their buckets")
	}
	for _, limit := range []int{1, 2, 3, len(seeds)} {
		same(f, f.allSeeds(limit), seeds)
	}
	_, err := f.s.ScanSeeds(f.ctx, meta.SeedPosition{}, 0)
	f.is(err, meta.ErrLimit)
	_, err = f.s.ScanSeeds(f.ctx, meta.SeedPosition{}, meta.MaxPage+1)
	f.is(err, meta.ErrLimit)

	l := f.lease("rewrap")
	stale := seedChange(seeds[1], "lost")
	stale.Was = []byte("another")
	gone := meta.SeedChange{Bucket: meta.NewID(), Generation: 1, Was: []byte("x"), Wrapped: []byte("y")}
	n, err := f.s.RewrapSeeds(f.ctx, l, []meta.SeedChange{seedChange(seeds[0], "anew"), stale, gone})
	f.ok(err)
	if n != 1 {
		f.Fatalf("%d seeds were replaced, want 1", n)
	}
	seeds[0].Wrapped = []byte("anew")
	same(f, f.allSeeds(meta.MaxPage), seeds)
	for _, not := range f.notLease(l) {
		_, err := f.s.RewrapSeeds(f.ctx, not, []meta.SeedChange{seedChange(seeds[2], "lost")})
		f.is(err, meta.ErrConflict)
	}
	for _, cs := range [][]meta.SeedChange{nil, make([]meta.SeedChange, meta.MaxBatch+1), {seedChange(seeds[2], "")}, {seedChange(seeds[2], string(make([]byte, meta.MaxWrappedSeed+1)))}} {
		_, err := f.s.RewrapSeeds(f.ctx, l, cs)
		f.is(err, meta.ErrLimit)
	}
	same(f, f.allSeeds(meta.MaxPage), seeds)
	testSystemSeed(f, l)
}

func testSystemSeed(f *fixture, l meta.Lease) {
	d, err := f.s.Deployment(f.ctx)
	f.ok(err)
	for _, not := range f.notLease(l) {
		f.is(f.s.RewrapSystemSeed(f.ctx, not, d.Seed, []byte("lost")), meta.ErrConflict)
	}
	f.is(f.s.RewrapSystemSeed(f.ctx, l, []byte("another"), []byte("lost")), meta.ErrConflict)
	f.is(f.s.RewrapSystemSeed(f.ctx, l, d.Seed, nil), meta.ErrLimit)
	f.ok(f.s.RewrapSystemSeed(f.ctx, l, d.Seed, []byte("anew")))
	f.is(f.s.RewrapSystemSeed(f.ctx, l, d.Seed, []byte("lost")), meta.ErrConflict)
	got, err := f.s.Deployment(f.ctx)
	f.ok(err)
	d.Seed = []byte("anew")
	same(f, got, d)
}

// Of two writers of a job's document that read the same, one succeeds.
func testJobs(f *fixture) {
	want := func(name, document string) {
		f.Helper()
		got, err := f.s.Job(f.ctx, name)
		f.ok(err)
		if string(got) != document || (got == nil) != (document == "") {
			f.Fatalf("job %s has %q, want %q", name, got, document)
		}
	}
	want("rewrap", "")
	f.ok(f.s.SetJob(f.ctx, "rewrap", nil, nil))
	f.is(f.s.SetJob(f.ctx, "rewrap", []byte("x"), []byte("y")), meta.ErrConflict)
	f.is(f.s.SetJob(f.ctx, "rewrap", []byte("x"), nil), meta.ErrConflict)
	f.ok(f.s.SetJob(f.ctx, "rewrap", nil, []byte("one")))
	f.is(f.s.SetJob(f.ctx, "rewrap", nil, []byte("two")), meta.ErrConflict)
	f.is(f.s.SetJob(f.ctx, "rewrap", nil, nil), meta.ErrConflict)
	want("rewrap", "one")
	want("Rewrap", "")
	f.ok(f.s.SetJob(f.ctx, "rewrap", []byte("one"), []byte("two")))
	f.is(f.s.SetJob(f.ctx, "rewrap", []byte("one"), []byte("three")), meta.ErrConflict)
	f.ok(f.s.SetJob(f.ctx, "another", nil, []byte("one")))
	f.is(f.s.SetJob(f.ctx, "rewrap", []byte("one"), nil), meta.ErrConflict)
	f.ok(f.s.SetJob(f.ctx, "rewrap", []byte("two"), nil))
	want("rewrap", "")
	want("another", "one")
	f.is(f.s.SetJob(f.ctx, "", nil, []byte("x")), meta.ErrLimit)
	f.is(f.s.SetJob(f.ctx, "x", nil, []byte{}), meta.ErrLimit)
	f.is(f.s.SetJob(f.ctx, "x", nil, make([]byte, meta.MaxJob+1)), meta.ErrLimit)
	f.is(f.s.SetJob(f.ctx, string(make([]byte, meta.MaxJobName+1)), nil, []byte("x")), meta.ErrLimit)
}
