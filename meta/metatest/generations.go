package metatest

import (
	"errors"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// rotate adds the next generation of a bucket's keys.
func (f *fixture) rotate(name string) meta.Bucket {
	f.Helper()
	b, err := f.s.Bucket(f.ctx, name)
	f.ok(err)
	f.ok(f.s.AddGeneration(f.ctx, meta.Change{Revision: b.Revision}, nextSeed(f, b)))
	b, err = f.s.Bucket(f.ctx, name)
	f.ok(err)
	return b
}

func nextSeed(f *fixture, b meta.Bucket) meta.BucketSeed {
	return meta.BucketSeed{Bucket: b.ID, Generation: b.Generation + 1, Wrapped: []byte{byte(b.Generation + 1)}, Created: f.now.Truncate(time.Microsecond).UTC()}
}

func (f *fixture) seedsOf(id meta.ID) []meta.BucketSeed {
	f.Helper()
	rows, err := f.s.BucketSeeds(f.ctx, id)
	f.ok(err)
	return rows.Seeds
}

// A generation is added after the newest, and former ones are removed. Each is a
// compare-and-swap on the bucket's revision.
func testGenerations(f *fixture) {
	id := f.bucket("photos")
	b, err := f.s.Bucket(f.ctx, "photos")
	f.ok(err)
	second := nextSeed(f, b)
	for name, refuse := range map[string]struct {
		c    meta.Change
		seed func(*meta.BucketSeed)
		want error
	}{
		"another revision": {meta.Change{Revision: b.Revision + 1}, func(*meta.BucketSeed) {}, meta.ErrConflict},
		"no bucket":        {meta.Change{}, func(s *meta.BucketSeed) { s.Bucket = meta.NewID() }, meta.ErrNoBucket},
		"one skipped":      {meta.Change{Revision: b.Revision}, func(s *meta.BucketSeed) { s.Generation++ }, meta.ErrConflict},
		"the same":         {meta.Change{Revision: b.Revision}, func(s *meta.BucketSeed) { s.Generation-- }, meta.ErrConflict},
		"no wrap":          {meta.Change{Revision: b.Revision}, func(s *meta.BucketSeed) { s.Wrapped = nil }, meta.ErrLimit},
		"a long record":    {meta.Change{Revision: b.Revision, Record: make([]byte, meta.MaxRecord+1)}, func(*meta.BucketSeed) {}, meta.ErrLimit},
	} {
		seed := second
		refuse.seed(&seed)
		if err := f.s.AddGeneration(f.ctx, refuse.c, seed); !errors.Is(err, refuse.want) {
			f.Fatalf("%s: %v, want %v", name, err, refuse.want)
		}
	}
	first := f.seedsOf(id)[0]
	f.ok(f.s.AddGeneration(f.ctx, meta.Change{Revision: b.Revision, Record: []byte("record")}, second))
	first.Former = true
	want := b
	want.Revision, want.Generation, want.Record = b.Revision+1, 2, []byte("record")
	all, err := f.s.BucketSeeds(f.ctx, id)
	f.ok(err)
	same(f, all, meta.BucketSeeds{Bucket: want, Seeds: []meta.BucketSeed{second, first}})
	formers, err := f.s.FormerSeeds(f.ctx, meta.SeedPosition{}, meta.MaxPage)
	f.ok(err)
	same(f, formers, []meta.BucketSeed{first})
	formers, err = f.s.FormerSeeds(f.ctx, meta.SeedPosition{Bucket: id, Generation: 1}, 1)
	f.ok(err)
	same(f, len(formers), 0)

	f.is(f.s.DropGeneration(f.ctx, id, meta.Change{Revision: b.Revision}, 1), meta.ErrConflict)
	f.is(f.s.DropGeneration(f.ctx, id, meta.Change{Revision: want.Revision}, 2), meta.ErrNotFound) // the newest
	f.is(f.s.DropGeneration(f.ctx, id, meta.Change{Revision: want.Revision}, 3), meta.ErrNotFound)
	f.is(f.s.DropGeneration(f.ctx, meta.NewID(), meta.Change{}, 1), meta.ErrNoBucket)
	f.ok(f.s.DropGeneration(f.ctx, id, meta.Change{Revision: want.Revision}, 1))
	same(f, f.seedsOf(id), []meta.BucketSeed{second})
	for range meta.MaxGenerations - 1 {
		b = f.rotate("photos")
	}
	f.is(f.s.AddGeneration(f.ctx, meta.Change{Revision: b.Revision}, nextSeed(f, b)), meta.ErrTooMany)
}

// A generation belongs to a key, and takes the place of the former one of the same key.
func testNamedGenerations(f *fixture) {
	id := f.bucket("photos")
	add := func(key string) {
		f.Helper()
		b, err := f.s.Bucket(f.ctx, "photos")
		f.ok(err)
		seed := nextSeed(f, b)
		seed.Key = key
		f.ok(f.s.AddGeneration(f.ctx, meta.Change{Revision: b.Revision}, seed))
	}
	add("payroll")
	add("")
	add("payroll")
	type fact struct {
		generation uint32
		key        string
		former     bool
	}
	var got []fact
	for _, s := range f.seedsOf(id) {
		got = append(got, fact{s.Generation, s.Key, s.Former})
	}
	same(f, got, []fact{{4, "payroll", false}, {3, "", false}, {2, "payroll", true}, {1, "", true}})
}

// No write goes by an older generation than the bucket's newest, whatever kind it is.
func testWritesGoByTheNewest(f *fixture) {
	id := f.bucket("photos")
	writes := map[string]func(newest uint32) error{
		"commit": func(n uint32) error {
			return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(id, "k", meta.Body{}), Newest: n})
		},
		"commit of a vacant key": func(n uint32) error {
			return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(id, meta.NewID().String(), meta.Body{}), Newest: n, Vacant: true})
		},
		"upload": func(n uint32) error {
			return f.s.CreateUpload(f.ctx, meta.Upload{ID: meta.NewID(), Bucket: id, Key: "u", Created: f.now, Generation: n})
		},
		"completion": func(n uint32) error {
			u := meta.Upload{ID: meta.NewID(), Bucket: id, Key: "u", Created: f.now}
			f.ok(f.s.CreateUpload(f.ctx, u))
			v := f.version(id, "u", meta.Body{Kind: meta.BodyUpload, Upload: u.ID})
			return f.s.CompleteUpload(f.ctx, meta.Complete{Upload: u.ID, Version: v, Newest: n})
		},
		"removal": func(n uint32) error {
			_, err := f.s.RemoveObjects(f.ctx, id, meta.VersioningOff, []meta.Removal{{Key: "absent", Newest: n}}, f.now)
			return err
		},
		"rename": func(n uint32) error {
			from := f.putInline(id, "from")
			v := f.version(id, "to", meta.Body{})
			return f.s.RenameObject(f.ctx, meta.Rename{Bucket: id, From: "from", To: "to", Source: from.ID, Version: v, Newest: n, Now: f.now})
		},
	}
	all := func(newest uint32, want error) {
		f.Helper()
		for name, write := range writes {
			if err := write(newest); !errors.Is(err, want) {
				f.Errorf("%s by generation %d: %v, want %v", name, newest, err, want)
			}
		}
	}
	all(1, nil)
	f.rotate("photos")
	all(1, meta.ErrVersioning)
	all(2, nil)
	all(3, meta.ErrVersioning)
	all(0, nil)
	_, err := f.s.RemoveObjects(f.ctx, id, meta.VersioningOff, []meta.Removal{{Key: "a", Newest: 2}, {Key: "b", Newest: 1}}, f.now)
	if err == nil {
		f.Error("removals by two generations were taken together")
	}
}

// Writers of the former generation meet its rotation: each is in the bucket before it, or is
// refused.
func testRotationRaced(f *fixture) {
	const writers = 8
	id := f.bucket("photos")
	var all sync.WaitGroup
	late := make([]bool, writers)
	for i := range writers {
		all.Go(func() {
			for n := range 10 {
				key := string(rune('a'+i)) + string(rune('0'+n))
				err := f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(id, key, meta.Body{}), Newest: 1, Vacant: n%2 == 0})
				if err == nil && late[i] {
					f.Error("a write went by the former generation after one was refused")
				} else if err != nil && !errors.Is(err, meta.ErrVersioning) {
					f.Error(err)
				}
				late[i] = err != nil
			}
		})
	}
	f.rotate("photos")
	before, err := f.s.ScanObjects(f.ctx, meta.ObjectPosition{}, meta.MaxPage)
	f.ok(err)
	all.Wait()
	after, err := f.s.ScanObjects(f.ctx, meta.ObjectPosition{}, meta.MaxPage)
	f.ok(err)
	same(f, len(after), len(before))
}
