package metatest

import (
	"fmt"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// upload creates an open upload and returns it as the store returns it.
func (f *fixture) upload(bucket meta.ID, key string) meta.Upload {
	f.Helper()
	u := meta.Upload{
		ID: meta.NewID(), Bucket: bucket, Key: key, Owner: meta.NewID(), Created: f.now, Generation: 1,
		WrappedKey: []byte("parts key"), Settings: []byte("settings"), State: meta.UploadOpen,
	}
	f.ok(f.s.CreateUpload(f.ctx, u))
	got, err := f.s.Upload(f.ctx, u.ID)
	f.ok(err)
	return got
}

func (f *fixture) part(upload meta.ID, number int, blobs ...meta.BlobID) meta.Part {
	return meta.Part{
		Upload: upload, Number: number, Attempt: meta.NewID(), Size: int64(100 * number), Modified: f.now,
		Record: fmt.Append(nil, "record ", number), Blobs: blobs,
	}
}

// putPart stores a part with one new blob.
func (f *fixture) putPart(upload meta.ID, number int) meta.Part {
	f.Helper()
	p := f.part(upload, number, f.reserve(1)...)
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: p, Holder: f.holder}))
	return p
}

// completion returns a Complete of the upload's current state with the chosen runs.
func (f *fixture) completion(id meta.ID, chosen ...meta.PartRun) meta.Complete {
	f.Helper()
	u, err := f.s.Upload(f.ctx, id)
	f.ok(err)
	return meta.Complete{
		Upload: id, Revision: u.Revision, Chosen: chosen, Settings: []byte("completed"),
		Version: f.version(u.Bucket, u.Key, meta.Body{Kind: meta.BodyUpload, Upload: id}),
	}
}

func (f *fixture) numbers(id meta.ID) (ns []int) {
	f.Helper()
	ps, err := f.s.Parts(f.ctx, id, 0, meta.MaxPage)
	f.ok(err)
	for _, p := range ps {
		ns = append(ns, p.Number)
	}
	return ns
}

func testUpload(f *fixture) {
	b := f.bucket("b")
	f.is(f.s.CreateUpload(f.ctx, meta.Upload{ID: meta.NewID(), Bucket: meta.NewID(), Key: "k"}), meta.ErrNoBucket)
	_, err := f.s.Upload(f.ctx, meta.NewID())
	f.is(err, meta.ErrNotFound)
	u := meta.Upload{
		ID: meta.NewID(), Bucket: b, Key: "k\xff", Owner: meta.NewID(), Created: f.now, Generation: 1,
		WrappedKey: []byte("wrapped"), Settings: []byte("settings"), State: meta.UploadOpen,
	}
	f.ok(f.s.CreateUpload(f.ctx, u))
	got, err := f.s.Upload(f.ctx, u.ID)
	f.ok(err)
	got.Revision = 0 // the store chooses where it starts
	same(f, got, u)
	page, err := f.s.ListUploads(f.ctx, meta.UploadQuery{Bucket: b, Limit: 10})
	f.ok(err)
	if len(page.Entries) != 1 || page.More {
		f.Fatalf("got %+v", page)
	}
	got = page.Entries[0].Upload
	got.Revision = 0
	same(f, got, u)
}

func testParts(f *fixture) {
	u := f.upload(f.bucket("b"), "k")
	if ns := f.numbers(u.ID); ns != nil {
		f.Fatalf("a new upload has parts %v", ns)
	}
	var want []meta.Part
	for _, n := range []int{10000, 1, 7, 3, 5} {
		want = append(want, f.putPart(u.ID, n))
	}
	empty := f.part(u.ID, 2)
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: empty, Holder: f.holder}))
	many := f.part(u.ID, 4, f.reserve(meta.MaxPartBlobs)...)
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: many, Holder: f.holder}))
	want = append(want, empty, many)
	slices.SortFunc(want, func(a, b meta.Part) int { return a.Number - b.Number })

	var got []meta.Part
	for after := 0; ; after = got[len(got)-1].Number {
		page, err := f.s.Parts(f.ctx, u.ID, after, 2)
		f.ok(err)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	same(f, got, want)
	scanned, err := f.s.ScanParts(f.ctx, u.ID, 3, 2)
	f.ok(err)
	same(f, scanned, want[3:5])

	after, err := f.s.Upload(f.ctx, u.ID)
	f.ok(err)
	if after.Revision != u.Revision+int64(len(want)) {
		f.Fatalf("revision went from %d to %d over %d parts", u.Revision, after.Revision, len(want))
	}
	f.is(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(meta.NewID(), 1), Holder: f.holder}), meta.ErrNotFound)
	f.checkLedger()
}

func testReplacePart(f *fixture) {
	u := f.upload(f.bucket("b"), "k")
	first := f.putPart(u.ID, 1)
	second := f.putPart(u.ID, 1)
	f.wantBlob(first.Blobs[0], meta.BlobDead, 0)
	f.wantBlob(second.Blobs[0], meta.BlobLive, 1)
	got, err := f.s.Parts(f.ctx, u.ID, 0, 10)
	f.ok(err)
	same(f, got, []meta.Part{second})

	// Many writers store the same part at once: one complete attempt stays.
	const writers = 8
	ids := f.reserve(writers)
	together(writers, func(i int) {
		if err := f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, ids[i]), Holder: f.holder}); err != nil {
			f.Error(err)
		}
	})
	live := 0
	for _, id := range ids {
		b, err := f.s.Blob(f.ctx, id)
		f.ok(err)
		if b.State == meta.BlobLive {
			live++
		}
	}
	if live != 1 {
		f.Fatalf("%d attempts of one part are live", live)
	}
	f.checkLedger()
}

func testSharedParts(f *fixture) {
	b := f.bucket("b")
	v := f.put(b, "source")
	id := v.Body.Blob
	u := f.upload(b, "k")
	share := func(n int, ids ...meta.BlobID) error {
		return f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, n, ids...), Share: true})
	}
	f.ok(share(1, id))
	f.ok(share(2, id, id))
	f.wantBlob(id, meta.BlobLive, 4)
	f.ok(share(2, id)) // replaced by a part of the same blob
	f.wantBlob(id, meta.BlobLive, 3)
	f.is(share(3, f.reserve(1)...), meta.ErrBodyGone)
	f.remove(b, "source")
	f.wantBlob(id, meta.BlobLive, 2)
	f.ok(f.s.AbortUpload(f.ctx, u.ID))
	f.sweepAll()
	f.wantBlob(id, meta.BlobDead, 0)
	f.is(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(f.upload(b, "k").ID, 1, id), Share: true}), meta.ErrBodyGone)
	f.checkLedger()
}

func testComplete(f *fixture) {
	b := f.bucket("b")
	displaced := f.put(b, "k")
	u := f.upload(b, "k")
	p1, p2 := f.putPart(u.ID, 1), f.putPart(u.ID, 2)
	c := f.completion(u.ID, meta.PartRun{First: 1, Count: 2})

	stale := c
	stale.Revision--
	f.is(f.s.CompleteUpload(f.ctx, stale), meta.ErrConflict)
	refused := c
	refused.Expect = meta.Expect{Kind: meta.ExpectAbsent}
	f.is(f.s.CompleteUpload(f.ctx, refused), meta.ErrConflict)
	still, err := f.s.Upload(f.ctx, u.ID)
	f.ok(err)
	if still.State != meta.UploadOpen {
		f.Fatal("a completion that was refused ended the upload")
	}

	c.Expect = meta.Expect{Kind: meta.ExpectVersion, Version: displaced.ID}
	f.ok(f.s.CompleteUpload(f.ctx, c))
	f.wantBlob(displaced.Body.Blob, meta.BlobDead, 0)
	got, err := f.s.Object(f.ctx, b, "k")
	f.ok(err)
	same(f, got, c.Version)
	done, err := f.s.Upload(f.ctx, u.ID)
	f.ok(err)
	if done.State != meta.UploadCompleted || done.Version != c.Version.ID {
		f.Fatalf("completed upload is %+v", done)
	}
	f.is(f.s.CompleteUpload(f.ctx, c), meta.ErrNotFound)
	f.is(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 3), Holder: f.holder}), meta.ErrNotFound)
	f.is(f.s.AbortUpload(f.ctx, u.ID), meta.ErrNotFound)
	page, err := f.s.ListUploads(f.ctx, meta.UploadQuery{Bucket: b, Limit: 10})
	f.ok(err)
	same(f, page, meta.UploadPage{})
	f.sweepAll()
	f.wantBlob(p1.Blobs[0], meta.BlobLive, 1)
	f.wantBlob(p2.Blobs[0], meta.BlobLive, 1)
	f.checkLedger()

	f.putInline(b, "k")
	f.sweepAll()
	f.wantBlob(p1.Blobs[0], meta.BlobDead, 0)
	_, err = f.s.Upload(f.ctx, u.ID)
	f.is(err, meta.ErrNotFound)
	f.checkLedger()
}

func testCompleteOnce(f *fixture) {
	b := f.bucket("b")
	u := f.upload(b, "k")
	f.putPart(u.ID, 1)
	const callers = 8
	errs := make([]error, callers)
	c := f.completion(u.ID, meta.PartRun{First: 1, Count: 1})
	together(callers, func(i int) {
		mine := c
		mine.Version.ID = meta.NewID()
		errs[i] = f.s.CompleteUpload(f.ctx, mine)
	})
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		f.is(err, meta.ErrNotFound)
	}
	if won != 1 {
		f.Fatalf("%d completions succeeded", won)
	}
	f.checkLedger()

	gone := f.upload(b, "k")
	last := f.completion(gone.ID)
	f.remove(b, "k")
	f.ok(f.s.DeleteBucket(f.ctx, b))
	f.is(f.s.CompleteUpload(f.ctx, last), meta.ErrNoBucket)
}

func testUnchosen(f *fixture) {
	u := f.upload(f.bucket("b"), "k")
	parts := make(map[int]meta.Part)
	for n := 1; n <= 9; n++ {
		parts[n] = f.putPart(u.ID, n)
	}
	f.ok(f.s.CompleteUpload(f.ctx, f.completion(u.ID, meta.PartRun{First: 2, Count: 2}, meta.PartRun{First: 6, Count: 1})))
	for _, p := range parts {
		f.wantBlob(p.Blobs[0], meta.BlobLive, 1)
	}
	f.checkLedger()
	_, err := f.s.Sweep(f.ctx, 100, f.later(), f.now, nil)
	f.ok(err)
	same(f, len(f.numbers(u.ID)), 9)
	f.sweepAll()
	same(f, f.numbers(u.ID), []int{2, 3, 6})
	for n, p := range parts {
		if n == 2 || n == 3 || n == 6 {
			f.wantBlob(p.Blobs[0], meta.BlobLive, 1)
		} else {
			f.wantBlob(p.Blobs[0], meta.BlobDead, 0)
		}
	}
	f.checkLedger()

	more := f.upload(f.bucket("c"), "k")
	f.putPart(more.ID, 1)
	f.is(f.s.CompleteUpload(f.ctx, f.completion(more.ID, meta.PartRun{First: 1, Count: 2})), meta.ErrConflict)
}

// The parts that the caller names stay, whatever choice the ledger has.
func testTrim(f *fixture) {
	b := f.bucket("b")
	var ids []meta.ID
	blobs, start := make(map[meta.ID][]meta.BlobID), f.now
	for i := range 4 {
		f.now = start.Add(time.Duration(i) * time.Second)
		u := f.upload(b, fmt.Sprint("k", i))
		for n := 1; n <= 3; n++ {
			blobs[u.ID] = append(blobs[u.ID], f.putPart(u.ID, n).Blobs...)
		}
		ids = append(ids, u.ID)
	}
	chosen := []meta.PartRun{{First: 1, Count: 1}, {First: 3, Count: 1}}
	for _, id := range ids[:3] {
		f.ok(f.s.CompleteUpload(f.ctx, f.completion(id, chosen...)))
	}
	first, err := f.s.Untrimmed(f.ctx, meta.TrimPosition{}, 2)
	f.ok(err)
	rest, err := f.s.Untrimmed(f.ctx, first[1].At, 2)
	f.ok(err)
	for i, u := range append(first, rest...) {
		got, err := f.s.Upload(f.ctx, ids[i])
		f.ok(err)
		same(f, u.Upload, got)
		same(f, u.At, meta.TrimPosition{Since: got.Created, ID: got.ID})
		same(f, u.Chosen, chosen)
		same(f, u.Settings, []byte("completed"))
	}
	same(f, len(first)+len(rest), 3)

	two := []meta.PartRun{{First: 1, Count: 2}}
	trim := func(limit int, all ...meta.Trim) int {
		f.Helper()
		n, err := f.s.TrimUploads(f.ctx, all, limit, f.now)
		f.ok(err)
		return n
	}
	same(f, trim(10, meta.Trim{Upload: ids[3], Chosen: two}, meta.Trim{Upload: meta.NewID(), Chosen: two}), 0) // open; unknown
	same(f, trim(2, meta.Trim{Upload: ids[0], Chosen: two}), 2)                                                // the part and its blob
	same(f, trim(10, meta.Trim{Upload: ids[0], Chosen: two}, meta.Trim{Upload: ids[1]}), 2)
	same(f, trim(10, meta.Trim{Upload: ids[0], Chosen: two[:0]}, meta.Trim{Upload: ids[1], Chosen: two}), 0)
	for i, want := range [][]int{{1, 2}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}} {
		same(f, f.numbers(ids[i]), want)
	}
	f.wantBlob(blobs[ids[0]][2], meta.BlobDead, 0)
	f.wantBlob(blobs[ids[0]][1], meta.BlobLive, 1)
	left, err := f.s.Untrimmed(f.ctx, meta.TrimPosition{}, 10)
	f.ok(err)
	if len(left) != 1 || left[0].ID != ids[2] {
		f.Fatalf("untrimmed are %+v", left)
	}
	f.checkLedger()
}

func testSharedUpload(f *fixture) {
	b := f.bucket("b")
	u := f.upload(b, "k")
	p := f.putPart(u.ID, 1)
	body := meta.Body{Kind: meta.BodyUpload, Upload: u.ID}
	f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "early", body), Share: true}), meta.ErrBodyGone)
	f.ok(f.s.CompleteUpload(f.ctx, f.completion(u.ID, meta.PartRun{First: 1, Count: 1})))
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "copy", body), Share: true}))
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "copy", body), Share: true})) // onto itself
	f.checkLedger()
	f.remove(b, "k")
	f.sweepAll()
	f.wantBlob(p.Blobs[0], meta.BlobLive, 1)
	same(f, f.numbers(u.ID), []int{1})
	f.remove(b, "copy")
	f.is(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "late", body), Share: true}), meta.ErrBodyGone)
	f.sweepAll()
	f.wantBlob(p.Blobs[0], meta.BlobDead, 0)
	f.checkLedger()
}

func testAbort(f *fixture) {
	b := f.bucket("b")
	u := f.upload(b, "k")
	p := f.putPart(u.ID, 1)
	c := f.completion(u.ID, meta.PartRun{First: 1, Count: 1})
	f.is(f.s.AbortUpload(f.ctx, meta.NewID()), meta.ErrNotFound)
	f.ok(f.s.AbortUpload(f.ctx, u.ID))
	f.is(f.s.AbortUpload(f.ctx, u.ID), meta.ErrNotFound)
	_, err := f.s.Upload(f.ctx, u.ID)
	f.is(err, meta.ErrNotFound)
	f.is(f.s.CompleteUpload(f.ctx, c), meta.ErrNotFound)
	f.is(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 2), Holder: f.holder}), meta.ErrNotFound)
	if ns := f.numbers(u.ID); ns != nil {
		f.Fatalf("an aborted upload shows parts %v", ns)
	}
	refs, err := f.s.ScanUploads(f.ctx, meta.ID{}, 10)
	f.ok(err)
	same(f, refs, []meta.UploadRef{{ID: u.ID, Bucket: b, Key: "k", State: meta.UploadDying}})
	f.checkLedger()
	f.sweepAll()
	f.wantBlob(p.Blobs[0], meta.BlobDead, 0)
	refs, err = f.s.ScanUploads(f.ctx, meta.ID{}, 10)
	f.ok(err)
	if len(refs) != 0 {
		f.Fatalf("sweep left %+v", refs)
	}
	f.checkLedger()
}

func testExpire(f *fixture) {
	b := f.bucket("b")
	start := f.now
	var ids []meta.ID
	for i := range 4 {
		f.now = start.Add(time.Duration(i) * time.Hour)
		ids = append(ids, f.upload(b, "k").ID)
	}
	f.ok(f.s.CompleteUpload(f.ctx, f.completion(ids[0])))
	n, err := f.s.ExpireUploads(f.ctx, start.Add(3*time.Hour), 1)
	f.ok(err)
	if n != 1 {
		f.Fatalf("expired %d, want 1", n)
	}
	n, err = f.s.ExpireUploads(f.ctx, start.Add(3*time.Hour), 10)
	f.ok(err)
	if n != 1 {
		f.Fatalf("expired %d, want 1: completed and younger ones stay", n)
	}
	for i, want := range []error{nil, meta.ErrNotFound, meta.ErrNotFound, nil} {
		_, err := f.s.Upload(f.ctx, ids[i])
		f.is(err, want)
	}
}

// Readers of an overwritten body still find its parts for a while.
func testEndedWait(f *fixture) {
	b := f.bucket("b")
	u := f.upload(b, "k")
	p := f.putPart(u.ID, 1)
	f.ok(f.s.CompleteUpload(f.ctx, f.completion(u.ID, meta.PartRun{First: 1, Count: 1})))
	f.remove(b, "k") // ends at f.now
	aborted := f.upload(b, "k")
	q := f.putPart(aborted.ID, 1)
	f.ok(f.s.AbortUpload(f.ctx, aborted.ID))
	for range 5 {
		_, err := f.s.Sweep(f.ctx, 100, f.now, f.now, nil)
		f.ok(err)
	}
	same(f, f.numbers(u.ID), []int{1})
	f.wantBlob(p.Blobs[0], meta.BlobLive, 1)
	f.wantBlob(q.Blobs[0], meta.BlobLive, 1)
	f.sweepAll()
	if ns := f.numbers(u.ID); ns != nil {
		f.Fatalf("sweep left parts %v", ns)
	}
	f.wantBlob(p.Blobs[0], meta.BlobDead, 0)
	f.wantBlob(q.Blobs[0], meta.BlobDead, 0)
}

func testSweepBucket(f *fixture) {
	b, other := f.bucket("b"), f.bucket("other")
	var blobs []meta.BlobID
	for i := range 5 {
		u := f.upload(b, fmt.Sprint("k", i))
		for n := 1; n <= 3; n++ {
			blobs = append(blobs, f.putPart(u.ID, n).Blobs...)
		}
	}
	kept := f.putPart(f.upload(other, "k").ID, 1)
	f.ok(f.s.DeleteBucket(f.ctx, b))
	f.sweepAll()
	for _, id := range blobs {
		f.wantBlob(id, meta.BlobDead, 0)
	}
	f.wantBlob(kept.Blobs[0], meta.BlobLive, 1)
	refs, err := f.s.ScanUploads(f.ctx, meta.ID{}, 10)
	f.ok(err)
	if len(refs) != 1 {
		f.Fatalf("%d uploads are left, want 1", len(refs))
	}
	f.checkLedger()
}

func testSweepBounded(f *fixture) {
	b := f.bucket("b")
	const limit = 1 + meta.MaxPartBlobs
	for range 3 {
		u := f.upload(b, "k")
		for n := 1; n <= 8; n++ {
			p := f.part(u.ID, n, f.reserve(1+7*n)...)
			f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: p, Holder: f.holder}))
		}
		f.ok(f.s.AbortUpload(f.ctx, u.ID))
	}
	dead := 0
	for {
		n, err := f.s.Sweep(f.ctx, limit, f.later(), f.now, nil)
		f.ok(err)
		f.checkLedger()
		ids, err := f.s.DeadBlobs(f.ctx, here, f.later(), meta.MaxPage)
		f.ok(err)
		if n > limit || len(ids)-dead > n {
			f.Fatalf("a sweep of %d rows reports %d and condemned %d blobs", limit, n, len(ids)-dead)
		}
		dead = len(ids)
		if n == 0 {
			break
		}
	}
	if want := 3 * (8 + 7*36); dead != want {
		f.Fatalf("%d blobs are dead, want %d", dead, want)
	}
}

// ResealUpload replaces the settings if they are still the ones that were read, and
// changes nothing else.
func testResealUpload(f *fixture) {
	u := f.upload(f.bucket("b"), "k")
	f.ok(f.s.ResealUpload(f.ctx, u.ID, u.Settings, []byte("resealed")))
	f.is(f.s.ResealUpload(f.ctx, u.ID, u.Settings, []byte("again")), meta.ErrConflict)
	f.is(f.s.ResealUpload(f.ctx, meta.NewID(), []byte("resealed"), []byte("again")), meta.ErrConflict)
	got, err := f.s.Upload(f.ctx, u.ID)
	f.ok(err)
	u.Settings = []byte("resealed")
	same(f, got, u)
}
