package metatest

import (
	"fmt"
	"sync"

	"github.com/sanctum-storage/gateway/meta"
)

func testBuckets(f *fixture) {
	_, err := f.s.Bucket(f.ctx, "photos")
	f.is(err, meta.ErrNoBucket)
	b := meta.Bucket{ID: meta.NewID(), Name: "photos", Owner: f.root, Region: "eu-west-1", Residency: []string{"eu", "here"}, Backend: here, Created: f.now, Generation: 3}
	seed := meta.BucketSeed{Bucket: b.ID, Generation: 3, Wrapped: []byte("wrapped")}
	f.ok(f.s.CreateBucket(f.ctx, b, seed, meta.MaxBucketCount))
	got, err := f.s.Bucket(f.ctx, "photos")
	f.ok(err)
	same(f, got, b)
	seeds, err := f.s.BucketSeeds(f.ctx, b.ID)
	f.ok(err)
	same(f, seeds, meta.BucketSeeds{Bucket: b, Seeds: []meta.BucketSeed{seed}})
	_, err = f.s.BucketSeeds(f.ctx, meta.NewID())
	f.is(err, meta.ErrNoBucket)

	taken := b
	taken.ID = meta.NewID()
	f.is(f.s.CreateBucket(f.ctx, taken, meta.BucketSeed{Bucket: taken.ID}, meta.MaxBucketCount), meta.ErrExists)
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
	f.is(f.s.CreateBucket(f.ctx, b, seed, meta.MaxBucketCount), meta.ErrExists) // its id stays taken until Sweep

	f.sweepAll()
	_, err = f.s.BucketSeeds(f.ctx, b.ID)
	f.is(err, meta.ErrNoBucket)
}

// However many buckets are created at once, their owner has no more than it may. One whose
// name is taken is none more.
func testMostBuckets(f *fixture) {
	const most, at = 3, 12
	tenant, _ := f.tenant("bob")
	create := func(owner meta.ID, name string, most int) error {
		id := meta.NewID()
		return f.s.CreateBucket(f.ctx, meta.Bucket{ID: id, Name: name, Owner: owner, Backend: here, Created: f.now}, meta.BucketSeed{Bucket: id}, most)
	}
	f.ok(create(f.root, "another's", most))
	made := make([]error, at)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { made[i] = create(tenant.ID, fmt.Sprint("bob-", i), most) })
	}
	all.Wait()
	var name string
	for i, err := range made {
		if err == nil {
			name = fmt.Sprint("bob-", i)
		} else {
			f.is(err, meta.ErrTooMany)
		}
	}
	list, err := f.s.ListBuckets(f.ctx, meta.BucketQuery{Owner: tenant.ID, Limit: at})
	if f.ok(err); len(list) != most {
		f.Fatalf("%d buckets, want %d", len(list), most)
	}
	f.is(create(tenant.ID, name, most), meta.ErrExists)
	f.is(create(tenant.ID, "one more", most), meta.ErrTooMany)
	f.is(create(tenant.ID, "fewer than there are", 1), meta.ErrTooMany)
	f.ok(create(tenant.ID, "allowed", most+1))
	for _, most := range []int{0, -1, meta.MaxBucketCount + 1} {
		f.is(create(tenant.ID, "out of bounds", most), meta.ErrLimit)
	}
}

// A bucket has an owner: of a tenant that is removed and one of its buckets that is created
// at once, both are there or neither.
func testBucketsOfRemovedTenants(f *fixture) {
	for i := range 20 {
		tenant, _ := f.tenant(fmt.Sprint("tenant-", i))
		b := meta.Bucket{ID: meta.NewID(), Name: fmt.Sprint("bucket-", i), Owner: tenant.ID, Backend: here, Created: f.now}
		var created, removed error
		var both sync.WaitGroup
		both.Go(func() { created = f.s.CreateBucket(f.ctx, b, meta.BucketSeed{Bucket: b.ID}, 1) })
		both.Go(func() { removed = f.s.DeleteTenant(f.ctx, tenant.ID) })
		both.Wait()
		if created == nil {
			f.is(removed, meta.ErrNotEmpty)
		} else {
			f.is(created, meta.ErrNotFound)
			f.ok(removed)
		}
	}
}

func testListBuckets(f *fixture) {
	tenant, _ := f.tenant("bob")
	ann, bob := f.root, tenant.ID
	for i, name := range []string{"b", "a-1", "a.1", "a", "c", "ab", "z"} {
		owner := ann
		if i%2 == 1 {
			owner = bob
		}
		id := meta.NewID()
		f.ok(f.s.CreateBucket(f.ctx, meta.Bucket{ID: id, Name: name, Owner: owner, Backend: here, Created: f.now}, meta.BucketSeed{Bucket: id}, meta.MaxBucketCount))
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

// A bucket that is created again under the same name inherits nothing.
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
