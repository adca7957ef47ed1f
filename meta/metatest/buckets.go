package metatest

import (
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

func testBuckets(f *fixture) {
	_, err := f.s.Bucket(f.ctx, "photos")
	f.is(err, meta.ErrNoBucket)
	b := meta.Bucket{ID: meta.NewID(), Name: "photos", Owner: meta.NewID(), Region: "eu-west-1", Residency: []string{"eu", "here"}, Backend: here, Created: f.now}
	seed := meta.BucketSeed{Bucket: b.ID, Generation: 3, Wrapped: []byte("wrapped")}
	f.ok(f.s.CreateBucket(f.ctx, b, seed))
	got, err := f.s.Bucket(f.ctx, "photos")
	f.ok(err)
	same(f, got, b)
	seeds, err := f.s.BucketSeeds(f.ctx, b.ID)
	f.ok(err)
	same(f, seeds, []meta.BucketSeed{seed})
	_, err = f.s.BucketSeeds(f.ctx, meta.NewID())
	f.is(err, meta.ErrNoBucket)

	taken := b
	taken.ID = meta.NewID()
	f.is(f.s.CreateBucket(f.ctx, taken, meta.BucketSeed{Bucket: taken.ID}), meta.ErrExists)
	_, err = f.s.BucketSeeds(f.ctx, taken.ID)
	f.is(err, meta.ErrNoBucket)

	f.put(b.ID, "k")
	f.is(f.s.DeleteBucket(f.ctx, b.ID), meta.ErrNotEmpty)
	f.remove(b.ID, "k")
	f.ok(f.s.DeleteBucket(f.ctx, b.ID))
	f.is(f.s.DeleteBucket(f.ctx, b.ID), meta.ErrNoBucket)
	_, err = f.s.Bucket(f.ctx, "photos")
	f.is(err, meta.ErrNoBucket)
	f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b.ID, "k", meta.Body{})}), meta.ErrNoBucket)
	f.is(f.s.CreateUpload(f.ctx, meta.Upload{ID: meta.NewID(), Bucket: b.ID, Key: "k"}), meta.ErrNoBucket)
	f.is(f.s.CreateBucket(f.ctx, b, seed), meta.ErrExists) // its id is taken while Sweep has yet to come

	f.sweepAll()
	_, err = f.s.BucketSeeds(f.ctx, b.ID)
	f.is(err, meta.ErrNoBucket)
}

func testListBuckets(f *fixture) {
	ann, bob := meta.NewID(), meta.NewID()
	for i, name := range []string{"b", "a-1", "a.1", "a", "c", "ab", "z"} {
		owner := ann
		if i%2 == 1 {
			owner = bob
		}
		id := meta.NewID()
		f.ok(f.s.CreateBucket(f.ctx, meta.Bucket{ID: id, Name: name, Owner: owner, Backend: here, Created: f.now}, meta.BucketSeed{Bucket: id}))
	}
	for most, want := range map[int]int{1: 1, 3: 3, 4: 4, 5: 4, meta.MaxBucketCount: 4} {
		n, err := f.s.CountBuckets(f.ctx, ann, most)
		if f.ok(err); n != want {
			f.T.Errorf("%d buckets of at most %d, want %d", n, most, want)
		}
	}
	none, err := f.s.CountBuckets(f.ctx, meta.NewID(), 1)
	if f.ok(err); none != 0 {
		f.T.Errorf("%d buckets of nobody", none)
	}
	for _, most := range []int{0, -1, meta.MaxBucketCount + 1} {
		_, err := f.s.CountBuckets(f.ctx, ann, most)
		f.is(err, meta.ErrLimit)
	}
	for _, c := range []struct {
		q    meta.BucketQuery
		want []string
	}{
		{meta.BucketQuery{Limit: 100}, []string{"a", "a-1", "a.1", "ab", "b", "c", "z"}},
		{meta.BucketQuery{Limit: 2}, []string{"a", "a-1"}},
		{meta.BucketQuery{Limit: 2, After: "a-1"}, []string{"a.1", "ab"}},
		{meta.BucketQuery{Limit: 100, After: "a-"}, []string{"a-1", "a.1", "ab", "b", "c", "z"}},
		{meta.BucketQuery{Limit: 100, Prefix: "a"}, []string{"a", "a-1", "a.1", "ab"}},
		{meta.BucketQuery{Limit: 100, Prefix: "a", After: "a.1"}, []string{"ab"}},
		{meta.BucketQuery{Limit: 100, Prefix: "b", After: "a"}, []string{"b"}},
		{meta.BucketQuery{Limit: 100, Prefix: "b", After: "c"}, nil},
		{meta.BucketQuery{Limit: 100, Owner: ann}, []string{"a.1", "b", "c", "z"}},
		{meta.BucketQuery{Limit: 100, Owner: bob, Prefix: "a"}, []string{"a", "a-1", "ab"}},
		{meta.BucketQuery{Limit: 1, Owner: bob, After: "a"}, []string{"a-1"}},
		{meta.BucketQuery{Limit: 100, Owner: meta.NewID()}, nil},
	} {
		bs, err := f.s.ListBuckets(f.ctx, c.q)
		f.ok(err)
		var names []string
		for _, b := range bs {
			names = append(names, b.Name)
		}
		if fmt.Sprint(names) != fmt.Sprint(c.want) {
			f.Errorf("%+v: got %v, want %v", c.q, names, c.want)
		}
	}
}

// A bucket made again under its name has nothing of the one before.
func testBucketAgain(f *fixture) {
	old := f.bucket("photos")
	f.put(old, "k")
	u := f.upload(old, "k")
	f.remove(old, "k")
	f.ok(f.s.DeleteBucket(f.ctx, old))
	again := f.bucket("photos")

	b, err := f.s.Bucket(f.ctx, "photos")
	f.ok(err)
	if b.ID != again {
		f.Fatal("the name leads to the deleted bucket")
	}
	_, err = f.s.Object(f.ctx, again, "k")
	f.is(err, meta.ErrNotFound)
	page, err := f.s.ListUploads(f.ctx, meta.UploadQuery{Bucket: again, Limit: 10})
	f.ok(err)
	same(f, page, meta.UploadPage{})
	f.sweepAll()
	_, err = f.s.Upload(f.ctx, u.ID)
	f.is(err, meta.ErrNotFound)
	if _, err := f.s.BucketSeeds(f.ctx, again); err != nil {
		f.Fatalf("sweeping the old bucket took the new one's seeds: %v", err)
	}
}
