package metatest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/meta"
)

func testObject(f *fixture) {
	b := f.bucket("b")
	_, err := f.s.Object(f.ctx, b, "k")
	f.is(err, meta.ErrNotFound)
	v := f.put(b, "k")
	got, err := f.s.Object(f.ctx, b, "k")
	f.ok(err)
	same(f, got, v)
	_, err = f.s.Object(f.ctx, f.bucket("other"), "k")
	f.is(err, meta.ErrNotFound)

	// Find also returns the bucket.
	_, _, err = f.s.Find(f.ctx, "absent", "k")
	f.is(err, meta.ErrNoBucket)
	want, err := f.s.Bucket(f.ctx, "b")
	f.ok(err)
	in, got, err := f.s.Find(f.ctx, "b", "k")
	f.ok(err)
	same(f, in, want)
	same(f, got, v)
	in, got, err = f.s.Find(f.ctx, "b", "K")
	f.ok(err)
	same(f, in, want)
	if !got.ID.IsZero() {
		f.Fatalf("an absent key holds %+v", got)
	}

	// Vacant also returns the bucket. Its answer does not decide a commit.
	_, _, err = f.s.Vacant(f.ctx, "absent", "k")
	f.is(err, meta.ErrNoBucket)
	for _, key := range []string{"k", "K"} {
		in, vacant, err := f.s.Vacant(f.ctx, "b", key)
		f.ok(err)
		same(f, in, want)
		if vacant != (key == "K") {
			f.Fatalf("key %q is vacant: %t", key, vacant)
		}
		w := f.version(b, key, meta.Body{})
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: w, Vacant: true}))
		got, err := f.s.Object(f.ctx, b, key)
		f.ok(err)
		same(f, got, w)
		f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, key, meta.Body{}), Vacant: true, Expect: meta.Expect{Kind: meta.ExpectAbsent}}), meta.ErrConflict)
		f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, key+"2", blobBody(newBlob())), Vacant: true, Holder: f.holder}), meta.ErrReservationLost)
	}

	// Callers may change their slices afterwards.
	w := f.version(b, "k", meta.Body{})
	w.Manifest = []byte("mine")
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: w}))
	w.Manifest[0] = 'X'
	got, err = f.s.Object(f.ctx, b, "k")
	f.ok(err)
	got.Manifest[1] = 'Y'
	if got, err = f.s.Object(f.ctx, b, "k"); err != nil || string(got.Manifest) != "mine" {
		f.Fatalf("manifest is %q, %v", got.Manifest, err)
	}
}

func testEmptyFields(f *fixture) {
	b := f.bucket("b")
	v := meta.Version{Bucket: b, Key: "k", ID: meta.NewID(), Null: true, Modified: f.now, Manifest: []byte{}}
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v}))
	got, err := f.s.Object(f.ctx, b, "k")
	f.ok(err)
	if len(got.Manifest)+len(got.WrappedKey)+len(got.ListRecord) != 0 || got.Size != 0 || !got.Owner.IsZero() {
		f.Fatalf("got %+v", got)
	}
	v.Key, v.Manifest = "big", []byte(strings.Repeat("m", 1<<20))
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v}))
	if got, err = f.s.Object(f.ctx, b, "big"); err != nil || len(got.Manifest) != 1<<20 {
		f.Fatalf("manifest of %d bytes, %v", len(got.Manifest), err)
	}
}

func testDistinctKeys(f *fixture) {
	b := f.bucket("b")
	keys := []string{
		"a", "A", "a ", " a", "a\x00", "\x00", "\x00\x00", "a/", "a//", "/a", "é", "e\u0301", "ﬁ", "fi",
		"\xff", "\xff\xff", "\xc3", "a\xff", "..", ".", "a/../a", "%61", "a%00", "ß", "ss", "1", "01", "1.0",
		strings.Repeat("k", meta.MaxKeyBytes), strings.Repeat("\xff", meta.MaxKeyBytes), strings.Repeat("k", meta.MaxKeyBytes-1),
	}
	for i, k := range keys {
		v := f.version(b, k, meta.Body{})
		v.Size = int64(i)
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Expect: meta.Expect{Kind: meta.ExpectAbsent}}))
	}
	for i, k := range keys {
		v, err := f.s.Object(f.ctx, b, k)
		f.ok(err)
		if v.Size != int64(i) || v.Key != k {
			f.Errorf("key %q leads to object %d, want %d", k, v.Size, i)
		}
	}
	page, err := f.s.ListObjects(f.ctx, meta.ListQuery{Bucket: b, Limit: meta.MaxPage})
	f.ok(err)
	if len(page.Entries) != len(keys) {
		f.Fatalf("%d entries, want %d", len(page.Entries), len(keys))
	}
}

func testExpectations(f *fixture) {
	b := f.bucket("b")
	commit := func(e meta.Expect) (meta.Version, error) {
		v := f.version(b, "k", meta.Body{})
		return v, f.s.CommitObject(f.ctx, meta.Commit{Version: v, Expect: e})
	}
	_, err := commit(meta.Expect{Kind: meta.ExpectVersion, Version: meta.NewID()})
	f.is(err, meta.ErrConflict)
	_, err = commit(meta.Expect{Kind: meta.ExpectVersion}) // a zero version does not mean that none is expected
	f.is(err, meta.ErrConflict)
	first, err := commit(meta.Expect{Kind: meta.ExpectAbsent})
	f.ok(err)
	_, err = commit(meta.Expect{Kind: meta.ExpectAbsent})
	f.is(err, meta.ErrConflict)
	second, err := commit(meta.Expect{Kind: meta.ExpectVersion, Version: first.ID})
	f.ok(err)
	_, err = commit(meta.Expect{Kind: meta.ExpectVersion, Version: first.ID})
	f.is(err, meta.ErrConflict)
	got, err := f.s.Object(f.ctx, b, "k")
	f.ok(err)
	same(f, got, second)
	_, err = commit(meta.Expect{})
	f.ok(err)
}

// together runs n calls concurrently.
func together(n int, call func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	wg.Wait()
}

func testOneWinner(f *fixture) {
	b := f.bucket("b")
	for round := range 5 {
		const writers = 16
		key := fmt.Sprint("k", round)
		ids := f.reserve(writers)
		errs := make([]error, writers)
		together(writers, func(i int) {
			errs[i] = f.s.CommitObject(f.ctx, meta.Commit{
				Version: f.version(b, key, blobBody(ids[i])), Expect: meta.Expect{Kind: meta.ExpectAbsent}, Holder: f.holder,
			})
		})
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				f.wantBlob(ids[i], meta.BlobLive, 1)
				continue
			}
			f.is(err, meta.ErrConflict)
			f.wantBlob(ids[i], meta.BlobReserved, 0)
		}
		if won != 1 {
			f.Fatalf("%d writers won", won)
		}
	}
}

// Each successful swap counts once.
func testCounter(f *fixture) {
	b := f.bucket("b")
	first := f.version(b, "k", meta.Body{})
	first.Size = 0
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: first}))
	var won atomic.Int64
	together(8, func(int) {
		for range 20 {
			cur, err := f.s.Object(f.ctx, b, "k")
			if err != nil {
				f.Error(err)
				return
			}
			v := f.version(b, "k", meta.Body{})
			v.Size = cur.Size + 1
			err = f.s.CommitObject(f.ctx, meta.Commit{Version: v, Expect: meta.Expect{Kind: meta.ExpectVersion, Version: cur.ID}})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, meta.ErrConflict) {
				f.Error(err)
			}
		}
	})
	v, err := f.s.Object(f.ctx, b, "k")
	f.ok(err)
	if v.Size != won.Load() || v.Size == 0 {
		f.Fatalf("counted to %d in %d swaps", v.Size, won.Load())
	}
}

func testReservationFence(f *fixture) {
	b := f.bucket("b")
	commit := func(id meta.BlobID, holder meta.ID) error {
		return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "k", blobBody(id)), Holder: holder})
	}
	ids := f.reserve(4)
	f.is(commit(newBlob(), f.holder), meta.ErrReservationLost)
	f.is(commit(ids[0], meta.NewID()), meta.ErrReservationLost)
	f.ok(commit(ids[0], f.holder))
	f.is(commit(ids[0], f.holder), meta.ErrReservationLost) // already live

	f.ok(f.s.Release(f.ctx, f.holder, ids[1:2], f.now))
	f.is(commit(ids[1], f.holder), meta.ErrReservationLost)

	hs, err := f.s.Holders(f.ctx)
	f.ok(err)
	n, err := CondemnHolder(f.ctx, f.s, hs[0], 10, f.now)
	f.ok(err)
	if n != 2 {
		f.Fatalf("condemned %d reservations, want 2", n)
	}
	f.is(commit(ids[2], f.holder), meta.ErrReservationLost)
	f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "k", blobBody(ids[3])), Share: true}), meta.ErrBodyGone)
	v, err := f.s.Object(f.ctx, b, "k")
	f.ok(err)
	if v.Body.Blob != ids[0] {
		f.Fatal("a commit that was refused took effect")
	}
	f.checkLedger()
}

func testOverwrite(f *fixture) {
	b := f.bucket("b")
	first := f.put(b, "k")
	second := f.put(b, "k")
	f.wantBlob(first.Body.Blob, meta.BlobDead, 0)
	f.wantBlob(second.Body.Blob, meta.BlobLive, 1)
	f.putInline(b, "k")
	f.wantBlob(second.Body.Blob, meta.BlobDead, 0)
	f.checkLedger()
}

func testSharedBodies(f *fixture) {
	b, c := f.bucket("b"), f.bucket("c")
	v := f.put(b, "source")
	id := v.Body.Blob
	for i := range 3 {
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(c, fmt.Sprint("copy", i), v.Body), Share: true}))
	}
	f.wantBlob(id, meta.BlobLive, 4)
	f.remove(b, "source")
	f.putInline(c, "copy0")
	f.remove(c, "copy1")
	f.wantBlob(id, meta.BlobLive, 1)
	f.checkLedger()
	f.remove(c, "copy2")
	f.wantBlob(id, meta.BlobDead, 0)
	f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "late", v.Body), Share: true}), meta.ErrBodyGone)

	dead, err := f.s.DeadBlobs(f.ctx, here, f.later(), 10)
	f.ok(err)
	same(f, dead, []meta.BlobID{id})
	f.checkLedger()
}

// A copy onto itself replaces metadata: the body must not die meanwhile.
func testCopyOntoItself(f *fixture) {
	b := f.bucket("b")
	v := f.put(b, "k")
	again := f.version(b, "k", v.Body)
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: again, Share: true, Expect: meta.Expect{Kind: meta.ExpectVersion, Version: v.ID}}))
	f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
	f.checkLedger()
}

func testRemoveObjects(f *fixture) {
	b := f.bucket("b")
	k1, k2, k3 := f.put(b, "1"), f.put(b, "2"), f.put(b, "3")
	errs, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, []meta.Removal{
		{Key: "1"},
		{Key: "2", Expect: meta.Expect{Kind: meta.ExpectVersion, Version: meta.NewID()}},
		{Key: "3", Expect: meta.Expect{Kind: meta.ExpectVersion, Version: k3.ID}},
		{Key: "absent"},
		{Key: "absent too", Expect: meta.Expect{Kind: meta.ExpectVersion, Version: k1.ID}},
	}, f.now)
	f.ok(err)
	for i, want := range []error{nil, meta.ErrConflict, nil, nil, meta.ErrConflict} {
		if !errors.Is(errs[i].Err, want) {
			f.Errorf("removal %d: %v, want %v", i, errs[i], want)
		}
	}
	f.wantBlob(k1.Body.Blob, meta.BlobDead, 0)
	f.wantBlob(k2.Body.Blob, meta.BlobLive, 1)
	f.wantBlob(k3.Body.Blob, meta.BlobDead, 0)
	if errs, err = f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, nil, f.now); err != nil || len(errs) != 0 {
		f.Fatalf("no removals: %v, %v", errs, err)
	}
	f.checkLedger()
}

// Removals of one batch that meet: a blob that several keys share dies with the last of
// them, and a key that is named twice is not there the second time. Of a batch of any size
// each key goes.
func testRemoveBatch(f *fixture) {
	b := f.bucket("b")
	shared := f.put(b, "shared 1")
	f.ok(f.share(b, "shared 2", shared.Body.Blob, 0))
	f.ok(f.share(b, "kept", shared.Body.Blob, 0))
	f.putInline(b, "inline")
	rs := []meta.Removal{{Key: "shared 2"}, {Key: "inline"}, {Key: "absent"}, {Key: "shared 1"}, {Key: "shared 2"}}
	done, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, rs, f.now)
	f.ok(err)
	for i, there := range []bool{true, true, false, true, false} {
		if done[i].Err != nil || done[i].Found.ID.IsZero() == there {
			f.Errorf("removal %d of %q: %+v", i, rs[i].Key, done[i])
		}
	}
	f.wantBlob(shared.Body.Blob, meta.BlobLive, 1)
	f.remove(b, "kept")
	f.wantBlob(shared.Body.Blob, meta.BlobDead, 0)

	for _, n := range []int{1, 2, 10, 11, meta.MaxBatch} {
		var vs []meta.Version
		var rs []meta.Removal
		for i := range n {
			vs = append(vs, f.put(b, fmt.Sprint("key ", n-i)))
			rs = append(rs, meta.Removal{Key: vs[i].Key})
		}
		done, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, rs, f.now)
		f.ok(err)
		for i, v := range vs {
			if done[i].Err != nil || done[i].Found.ID != v.ID {
				f.Fatalf("removal %d of %d: %+v, want %s", i, n, done[i], v.ID)
			}
			f.wantBlob(v.Body.Blob, meta.BlobDead, 0)
		}
	}
	if page, err := f.s.ListObjects(f.ctx, meta.ListQuery{Bucket: b, Limit: 1}); err != nil || len(page.Entries) > 0 {
		f.Errorf("%+v, %v are left", page.Entries, err)
	}
	f.checkLedger()
}

// An intent that fails late leaves no trace of its earlier changes.
func testNothingChanged(f *fixture) {
	b := f.bucket("b")
	v := f.put(b, "k")
	good := f.reserve(1)[0]
	u := f.upload(b, "k")
	f.is(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, good, newBlob()), Holder: f.holder}), meta.ErrReservationLost)
	f.wantBlob(good, meta.BlobReserved, 0)
	f.is(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, v.Body.Blob, newBlob()), Share: true}), meta.ErrBodyGone)
	f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
	fresh := newBlob()
	f.is(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{fresh, good}, f.now), meta.ErrExists)
	f.wantBlob(fresh, 0, 0)
	got, err := f.s.Upload(f.ctx, u.ID)
	f.ok(err)
	if got.Revision != u.Revision {
		f.Fatal("a part that was refused raised the revision")
	}
	f.checkLedger()
}

func testScanObjects(f *fixture) {
	want := make(map[string]meta.Version)
	for i := range 3 {
		b := f.bucket(fmt.Sprint("b", i))
		for _, k := range []string{"\x00", "a", "a\x00", "\xff\xff"} {
			want[b.String()+k] = f.put(b, k)
		}
	}
	var last string
	var after meta.ObjectPosition
	for n := 0; ; n++ {
		page, err := f.s.ScanObjects(f.ctx, after, 5)
		f.ok(err)
		for _, o := range page {
			at := o.Bucket.String() + o.Key
			v, ok := want[at]
			if !ok || at <= last || o.ID != v.ID || o.Body != v.Body || o.Size != v.Size {
				f.Fatalf("unexpected row %+v after %q", o, last)
			}
			delete(want, at)
			last, after = at, o.At
		}
		if len(page) == 0 {
			break
		}
	}
	if len(want) != 0 {
		f.Fatalf("%d objects were not scanned", len(want))
	}
}
