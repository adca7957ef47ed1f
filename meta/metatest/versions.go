package metatest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// versioned creates a bucket with versioning enabled.
func (f *fixture) versioned(name string) meta.ID {
	f.Helper()
	b := f.bucket(name)
	f.ok(f.setVersioning(b, meta.VersioningEnabled, false))
	return b
}

// putVersion commits a version with one new blob.
func (f *fixture) putVersion(bucket meta.ID, key string, in meta.Versioning) meta.Version {
	f.Helper()
	v := f.version(bucket, key, blobBody(f.reserve(1)[0]))
	v.Null = in != meta.VersioningEnabled
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: in, Holder: f.holder}))
	return v
}

// removal carries out one removal.
func (f *fixture) removal(bucket meta.ID, in meta.Versioning, r meta.Removal) meta.Removed {
	f.Helper()
	if r.Marker.ID.IsZero() {
		r.Marker = meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: f.now}
	}
	done, err := f.s.RemoveObjects(f.ctx, bucket, in, []meta.Removal{r}, f.now)
	f.ok(err)
	return done[0]
}

// wantVersions fails the test unless the key has these versions, the newest first.
func (f *fixture) wantVersions(bucket meta.ID, key string, want ...meta.ID) {
	f.Helper()
	page, err := f.s.ListVersions(f.ctx, meta.VersionQuery{Bucket: bucket, Prefix: key, Limit: meta.MaxPage})
	f.ok(err)
	var got []meta.ID
	for _, e := range page.Entries {
		got = append(got, e.Version.ID)
	}
	same(f, got, want)
}

// A version's body lives until the version is removed, whatever the number of newer
// ones.
func testVersionBodies(f *fixture) {
	b := f.bucket("b")
	null := f.put(b, "k")
	f.ok(f.setVersioning(b, meta.VersioningEnabled, false))
	first, second := f.putVersion(b, "k", meta.VersioningEnabled), f.putVersion(b, "k", meta.VersioningEnabled)
	f.wantVersions(b, "k", second.ID, first.ID, null.ID)
	for _, v := range []meta.Version{null, first, second} {
		f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
	}
	f.ok(f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k"}).Err)
	f.wantBlob(second.Body.Blob, meta.BlobLive, 1)
	f.ok(f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Version: first.Ref()}).Err)
	f.wantBlob(first.Body.Blob, meta.BlobDead, 0)

	// The null version is replaced by another, wherever it stands.
	f.ok(f.setVersioning(b, meta.VersioningSuspended, false))
	f.wantBlob(null.Body.Blob, meta.BlobLive, 1)
	again := f.putVersion(b, "k", meta.VersioningSuspended)
	f.wantBlob(null.Body.Blob, meta.BlobDead, 0)
	third := f.putVersion(b, "k", meta.VersioningSuspended)
	f.wantBlob(again.Body.Blob, meta.BlobDead, 0)
	done := f.removal(b, meta.VersioningSuspended, meta.Removal{Key: "k"})
	f.ok(done.Err)
	if !done.Marked || done.Found.ID != third.ID {
		f.Fatalf("a null marker took the place of %+v", done)
	}
	f.wantBlob(third.Body.Blob, meta.BlobDead, 0)
	f.wantBlob(second.Body.Blob, meta.BlobLive, 1)
	f.checkLedger()
}

// A completed upload is an ordinary version.
func testCompleteVersion(f *fixture) {
	b := f.versioned("b")
	old := f.putVersion(b, "k", meta.VersioningEnabled)
	u := f.upload(b, "k")
	v := f.version(b, "k", meta.Body{Kind: meta.BodyUpload, Upload: u.ID})
	c := meta.Complete{Upload: u.ID, Settings: u.Settings, Version: v}
	f.is(f.s.CompleteUpload(f.ctx, c), meta.ErrVersioning)
	c.Versioning, c.Version.Null, v.Null = meta.VersioningEnabled, false, false
	f.ok(f.s.CompleteUpload(f.ctx, c))
	f.wantVersions(b, "k", v.ID, old.ID)
	f.ok(f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Version: v.Ref()}).Err)
	f.wantVersions(b, "k", old.ID)
	got, err := f.s.Object(f.ctx, b, "k")
	f.ok(err)
	same(f, got, old)
	f.checkLedger()
}

func testSetVersioning(f *fixture) {
	f.is(f.setVersioning(meta.NewID(), meta.VersioningEnabled, false), meta.ErrNoBucket)
	b := f.bucket("b")
	commit := func(in meta.Versioning) error {
		v := f.version(b, "k", meta.Body{})
		v.Null = in != meta.VersioningEnabled
		return f.s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: in})
	}
	remove := func(bucket meta.ID, in meta.Versioning) error {
		marker := meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: f.now}
		_, err := f.s.RemoveObjects(f.ctx, bucket, in, []meta.Removal{{Key: "k", Marker: marker}}, f.now)
		return err
	}
	f.is(f.setVersioning(b, meta.VersioningOff, false), meta.ErrConflict)
	f.is(f.setVersioning(b, meta.VersioningSuspended, true), meta.ErrConflict)
	for i, v := range []meta.Versioning{meta.VersioningOff, meta.VersioningEnabled, meta.VersioningSuspended, meta.VersioningEnabled} {
		if v != meta.VersioningOff {
			f.ok(f.setVersioning(b, v, false))
		}
		got, err := f.s.Bucket(f.ctx, "b")
		f.ok(err)
		if got.Versioning != v || got.Lock || got.Revision != int64(i) {
			f.Fatalf("versioning %d: %+v", v, got)
		}
		for other := meta.VersioningOff; other <= meta.VersioningSuspended; other++ {
			want := meta.ErrVersioning
			if other == v {
				want = nil
			}
			f.is(commit(other), want)
			f.is(remove(b, other), want)
		}
	}
	f.ok(f.setVersioning(b, meta.VersioningEnabled, true))
	f.is(f.setVersioning(b, meta.VersioningSuspended, false), meta.ErrConflict)
	f.ok(f.setVersioning(b, meta.VersioningEnabled, false)) // the right to locks stays
	got, err := f.s.Bucket(f.ctx, "b")
	f.ok(err)
	if !got.Lock || got.Versioning != meta.VersioningEnabled {
		f.Fatalf("got %+v", got)
	}
	gone := meta.NewID()
	f.is(remove(gone, meta.VersioningOff), meta.ErrNoBucket)
	v := f.version(gone, "k", meta.Body{})
	f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: v}), meta.ErrNoBucket)
	f.checkLedger()

	// A bucket can be created with versioning and locks.
	locked := meta.Bucket{ID: meta.NewID(), Name: "locked", Owner: f.root, Backend: here, Created: f.now, Lock: true, Generation: 1}
	seed := meta.BucketSeed{Bucket: locked.ID, Generation: 1, Wrapped: []byte("seed")}
	f.is(f.s.CreateBucket(f.ctx, locked, seed, meta.MaxBucketCount), meta.ErrConflict)
	locked.Versioning = meta.VersioningEnabled
	f.ok(f.s.CreateBucket(f.ctx, locked, seed, meta.MaxBucketCount))
	got, err = f.s.Bucket(f.ctx, "locked")
	f.ok(err)
	same(f, got, locked)
}

// A write that began before versioning was enabled removes nothing after
// SetVersioning has returned.
func testVersioningRaced(f *fixture) {
	for round := range 10 {
		b := f.bucket(fmt.Sprint("b", round))
		var enabled atomic.Bool
		var kept atomic.Int64
		together(6, func(i int) {
			if i == 0 {
				if err := f.setVersioning(b, meta.VersioningEnabled, false); err != nil {
					f.Error(err)
				}
				enabled.Store(true)
				return
			}
			for range 10 {
				in := meta.VersioningOff
				if enabled.Load() && i%2 == 0 {
					in = meta.VersioningEnabled
				}
				v := f.version(b, "k", meta.Body{})
				v.Null = in == meta.VersioningOff
				err := f.s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: in})
				switch {
				case err == nil && in == meta.VersioningEnabled:
					kept.Add(1)
				case err != nil && !errors.Is(err, meta.ErrVersioning):
					f.Error(err)
				}
			}
		})
		page, err := f.s.ListVersions(f.ctx, meta.VersionQuery{Bucket: b, Limit: meta.MaxPage})
		f.ok(err)
		n := int64(0)
		for _, e := range page.Entries {
			if !e.Version.Null {
				n++
			}
		}
		if n != kept.Load() {
			f.Fatalf("%d versions are kept, %d were committed", n, kept.Load())
		}
	}
	f.checkLedger()
}

// Each of several writers of one key, some of which delete it, leaves a version.
func testVersionsRaced(f *fixture) {
	for round := range 10 {
		b := f.versioned(fmt.Sprint("b", round))
		const writers = 8
		together(writers, func(i int) {
			var err error
			if i%2 == 0 {
				v := f.version(b, "k", meta.Body{})
				v.Null = false
				err = f.s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: meta.VersioningEnabled})
			} else {
				marker := meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: f.now}
				_, err = f.s.RemoveObjects(f.ctx, b, meta.VersioningEnabled, []meta.Removal{{Key: "k", Marker: marker}}, f.now)
			}
			if err != nil {
				f.Error(err)
			}
		})
		page, err := f.s.ListVersions(f.ctx, meta.VersionQuery{Bucket: b, Limit: meta.MaxPage})
		f.ok(err)
		if len(page.Entries) != writers {
			f.Fatalf("%d versions of %d writers", len(page.Entries), writers)
		}
	}
	f.checkLedger()
}

// Concurrent removals of all versions of a key leave none, even while other
// versions become current and are removed.
func testRemovalsRaced(f *fixture) {
	for round := range 40 {
		b := f.versioned(fmt.Sprint("b", round))
		refs := []meta.VersionRef{{ID: f.putVersion(b, "k", meta.VersioningEnabled).ID}}
		for range 1 + round%3 {
			marker := meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: f.now}
			f.ok(f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Marker: marker}).Err)
			refs = append(refs, meta.VersionRef{ID: marker.ID})
		}
		together(len(refs), func(i int) {
			removed, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningEnabled, []meta.Removal{{Key: "k", Version: refs[i]}}, f.now)
			switch {
			case err != nil:
				f.Error(err)
			case removed[0].Err != nil || removed[0].Found.ID != refs[i].ID:
				f.Errorf("round %d: removing version %d of %d found %v, error %v", round, i, len(refs), removed[0].Found.ID, removed[0].Err)
			}
		})
		f.wantVersions(b, "k")
	}
	f.checkLedger()
}

// A lock keeps a version from being removed, and affects nothing else in the same
// call.
func testLocks(f *fixture) {
	b := f.bucket("b")
	f.ok(f.setVersioning(b, meta.VersioningEnabled, true))
	put := func(key string, l meta.Lock) meta.Version {
		v := f.version(b, key, meta.Body{})
		v.Null, v.Lock = false, l
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: meta.VersioningEnabled}))
		return v
	}
	until, past := f.now.Add(time.Hour), f.now.Add(-time.Microsecond)
	for name, c := range map[string]struct {
		lock            meta.Lock
		plain, bypassed error
	}{
		"none":            {meta.Lock{}, nil, nil},
		"hold":            {meta.Lock{Hold: true}, meta.ErrLocked, meta.ErrLocked},
		"governance":      {meta.Lock{Mode: meta.LockGovernance, Until: until}, meta.ErrLocked, nil},
		"compliance":      {meta.Lock{Mode: meta.LockCompliance, Until: until}, meta.ErrLocked, meta.ErrLocked},
		"governance over": {meta.Lock{Mode: meta.LockGovernance, Until: past}, nil, nil},
		"compliance over": {meta.Lock{Mode: meta.LockCompliance, Until: f.now}, nil, nil},
		"over and held":   {meta.Lock{Mode: meta.LockCompliance, Until: past, Hold: true}, meta.ErrLocked, meta.ErrLocked},
	} {
		for _, bypass := range []bool{false, true} {
			want := c.plain
			if bypass {
				want = c.bypassed
			}
			key := fmt.Sprint(name, bypass)
			old, cur, free := put(key, c.lock), put(key, c.lock), put(key+" free", meta.Lock{})
			done, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningEnabled, []meta.Removal{
				{Key: key, Version: old.Ref(), Bypass: bypass}, {Key: key, Version: cur.Ref(), Bypass: bypass}, {Key: free.Key, Version: free.Ref()}}, f.now)
			f.ok(err)
			if !errors.Is(done[0].Err, want) || !errors.Is(done[1].Err, want) || done[2].Err != nil {
				f.Errorf("%s: %v, want %v", key, done, want)
			}
			if want != nil {
				f.wantVersions(b, key, cur.ID, old.ID)
			}
			// A marker hides a locked version, and does not change it.
			if done := f.removal(b, meta.VersioningEnabled, meta.Removal{Key: key}); done.Err != nil || !done.Marked {
				f.Errorf("%s: %+v", key, done)
			}
		}
	}
	// A lock of an amendment protects.
	v := put("k", meta.Lock{})
	put("k", meta.Lock{})
	f.ok(f.s.AmendVersion(f.ctx, b, meta.Amendment{Key: "k", Version: v.ID, Lock: meta.Lock{Hold: true}}))
	f.is(f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Version: v.Ref(), Bypass: true}).Err, meta.ErrLocked)
	f.ok(f.s.AmendVersion(f.ctx, b, meta.Amendment{Key: "k", Version: v.ID, Revision: 1}))
	f.ok(f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Version: v.Ref()}).Err)
}

// Of amendments of one revision, one succeeds, while the version becomes current
// and noncurrent.
func testAmendRaced(f *fixture) {
	b := f.versioned("b")
	v := f.putVersion(b, "k", meta.VersioningEnabled)
	var won atomic.Int64
	together(5, func(i int) {
		for range 20 {
			if i == 0 {
				marker := meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: f.now}
				rs := []meta.Removal{{Key: "k", Marker: marker}}
				if cur, err := f.s.Version(f.ctx, b, "k", meta.VersionRef{}); err == nil && cur.Marker {
					rs[0].Version = cur.Ref()
				}
				if _, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningEnabled, rs, f.now); err != nil {
					f.Error(err)
				}
				continue
			}
			now, err := f.s.Version(f.ctx, b, "k", v.Ref())
			if err != nil {
				f.Error(err)
				return
			}
			err = f.s.AmendVersion(f.ctx, b, meta.Amendment{Key: "k", Version: v.ID, Revision: now.Revision, Marks: []byte("m")})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, meta.ErrConflict) {
				f.Error(err)
			}
		}
	})
	now, err := f.s.Version(f.ctx, b, "k", v.Ref())
	f.ok(err)
	if now.Revision != won.Load() || now.Revision == 0 {
		f.Fatalf("revision %d after %d amendments", now.Revision, won.Load())
	}
	f.checkLedger()
}

// A bucket is empty when it has neither versions nor markers, current or
// noncurrent.
func testDeleteVersioned(f *fixture) {
	b := f.versioned("b")
	v := f.putVersion(b, "k", meta.VersioningEnabled)
	marker := meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: f.now}
	f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Marker: marker})
	f.is(f.s.DeleteBucket(f.ctx, b), meta.ErrNotEmpty)
	f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Version: v.Ref()})
	f.is(f.s.DeleteBucket(f.ctx, b), meta.ErrNotEmpty)
	f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Version: meta.VersionRef{ID: marker.ID}})
	f.ok(f.s.DeleteBucket(f.ctx, b))
	f.sweepAll()
	f.checkLedger()
}

func testUsage(f *fixture) {
	tenant, _ := f.tenant("owner")
	owner := tenant.ID
	make := func(name string) meta.ID {
		id := meta.NewID()
		f.ok(f.s.CreateBucket(f.ctx, meta.Bucket{ID: id, Name: name, Owner: owner, Backend: here, Created: f.now},
			meta.BucketSeed{Bucket: id, Generation: 1}, meta.MaxBucketCount))
		return id
	}
	b, c := make("b"), make("c")
	f.putInline(f.bucket("another's"), "k")
	want := func(id meta.ID, mine, all int64) {
		f.Helper()
		size := f.version(b, "k", meta.Body{}).Size
		got, err := f.s.BucketUsage(f.ctx, id)
		f.ok(err)
		same(f, got, meta.Usage{Bytes: mine * size, Versions: mine})
		got, err = f.s.OwnerUsage(f.ctx, owner)
		f.ok(err)
		same(f, got, meta.Usage{Bytes: all * size, Versions: all})
	}
	want(b, 0, 0)
	together(8, func(i int) { f.putInline(b, fmt.Sprint("k", i)) })
	f.putInline(b, "k1")
	f.putInline(c, "k")
	want(b, 8, 9)
	for limit := 1; ; limit++ {
		n, err := f.s.FoldUsage(f.ctx, limit)
		f.ok(err)
		if n > limit {
			f.Fatalf("%d rows were folded, want at most %d", n, limit)
		}
		want(b, 8, 9)
		want(c, 1, 9)
		if n == 0 {
			break
		}
	}
	f.remove(b, "k1")
	want(b, 7, 8)
	f.remove(c, "k")
	f.ok(f.s.DeleteBucket(f.ctx, c))
	want(b, 7, 7)
	f.sweepAll()
	want(b, 7, 7)
	together(4, func(i int) { // folding beside writers loses nothing
		for j := range 20 {
			if i > 0 {
				f.putInline(b, fmt.Sprint("more", i, j))
			} else if _, err := f.s.FoldUsage(f.ctx, 5); err != nil {
				f.Error(err)
			}
		}
	})
	want(b, 67, 67)
	f.checkLedger()
}

// Uploads and their parts count from their creation to their end, of whatever kind.
func testUploadUsage(f *fixture) {
	b := f.bucket("b")
	want := func(used meta.Usage) {
		f.Helper()
		for range 2 { // before and after folding
			got, err := f.s.BucketUsage(f.ctx, b)
			f.ok(err)
			same(f, got, used)
			_, err = f.s.FoldUsage(f.ctx, meta.MaxPage)
			f.ok(err)
		}
	}
	u := f.upload(b, "k")
	want(meta.Usage{Uploads: 1})
	f.putPart(u.ID, 1)
	f.putPart(u.ID, 3)
	want(meta.Usage{Uploads: 1, Parts: 2, PartBytes: 400})
	larger := f.part(u.ID, 1, f.reserve(1)...)
	larger.Size = 5000
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: larger, Holder: f.holder}))
	want(meta.Usage{Uploads: 1, Parts: 2, PartBytes: 5300})
	lost := f.part(u.ID, 2, f.reserve(1)...)
	f.is(f.s.PutPart(f.ctx, meta.PutPart{Part: lost, Holder: meta.NewID()}), meta.ErrReservationLost)
	want(meta.Usage{Uploads: 1, Parts: 2, PartBytes: 5300})
	done := f.completion(u.ID, meta.PartRun{First: 1, Count: 1})
	f.ok(f.s.CompleteUpload(f.ctx, done))
	f.is(f.s.CompleteUpload(f.ctx, done), meta.ErrNotFound)
	want(meta.Usage{Bytes: done.Version.Size, Versions: 1})
	f.sweepAll()
	want(meta.Usage{Bytes: done.Version.Size, Versions: 1})
	f.remove(b, "k")
	f.sweepAll()
	want(meta.Usage{})
	for _, end := range []func(meta.ID){
		func(id meta.ID) { f.ok(f.s.AbortUpload(f.ctx, id)) },
		func(meta.ID) {
			n, err := f.s.ExpireUploads(f.ctx, f.now.Add(time.Hour), 10)
			f.ok(err)
			same(f, n, 1)
		},
	} {
		u := f.upload(b, "k")
		f.putPart(u.ID, 7)
		want(meta.Usage{Uploads: 1, Parts: 1, PartBytes: 700})
		end(u.ID)
		want(meta.Usage{})
		f.sweepAll()
		want(meta.Usage{})
	}
	f.putPart(f.upload(b, "k").ID, 1)
	f.ok(f.s.DeleteBucket(f.ctx, b))
	f.sweepAll()
	want(meta.Usage{})
	f.checkLedger()
}

// After a position whose version is gone, the page begins with the key's first
// version.
func testVersionPositions(f *fixture) {
	b := f.versioned("b")
	var ids []meta.ID
	for range 4 {
		ids = append(ids, f.putVersion(b, "k", meta.VersioningEnabled).ID)
	}
	last := f.putVersion(b, "l", meta.VersioningEnabled)
	list := func(after meta.VersionRef) (got []meta.ID) {
		page, err := f.s.ListVersions(f.ctx, meta.VersionQuery{Bucket: b, AfterKey: "k", AfterVersion: after, Limit: 10})
		f.ok(err)
		for _, e := range page.Entries {
			got = append(got, e.Version.ID)
		}
		return got
	}
	same(f, list(meta.VersionRef{ID: ids[2]}), []meta.ID{ids[1], ids[0], last.ID})
	f.ok(f.removal(b, meta.VersioningEnabled, meta.Removal{Key: "k", Version: meta.VersionRef{ID: ids[2]}}).Err)
	same(f, list(meta.VersionRef{ID: ids[2]}), []meta.ID{ids[3], ids[1], ids[0], last.ID})
	same(f, list(meta.VersionRef{Null: true}), []meta.ID{ids[3], ids[1], ids[0], last.ID})
	same(f, list(meta.VersionRef{}), []meta.ID{last.ID})
}

// Limits of versions.
func testVersionLimits(f *fixture) {
	b := f.bucket("b")
	only := func(_ any, err error) error { return err }
	commit := func(marks, class int) error {
		v := f.version(b, "k", meta.Body{})
		v.Marks, v.Class = []byte(strings.Repeat("m", marks)), strings.Repeat("C", class)
		return f.s.CommitObject(f.ctx, meta.Commit{Version: v})
	}
	amend := func(marks, class int) error {
		v, err := f.s.Object(f.ctx, b, "k")
		f.ok(err)
		return f.s.AmendVersion(f.ctx, b, meta.Amendment{Key: "k", Version: v.ID, Revision: v.Revision,
			Marks: []byte(strings.Repeat("m", marks)), Class: strings.Repeat("C", class)})
	}
	f.ok(commit(meta.MaxMarks, meta.MaxClass))
	f.ok(amend(meta.MaxMarks, meta.MaxClass))
	f.is(commit(meta.MaxMarks+1, 0), meta.ErrLimit)
	f.is(commit(0, meta.MaxClass+1), meta.ErrLimit)
	f.is(amend(meta.MaxMarks+1, 0), meta.ErrLimit)
	f.is(amend(0, meta.MaxClass+1), meta.ErrLimit)
	for _, n := range []int{0, meta.MaxPage + 1} {
		f.is(only(f.s.ListVersions(f.ctx, meta.VersionQuery{Bucket: b, Limit: n})), meta.ErrLimit)
		f.is(only(f.s.FoldUsage(f.ctx, n)), meta.ErrLimit)
	}
}
