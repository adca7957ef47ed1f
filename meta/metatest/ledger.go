package metatest

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

func testLedger(f *fixture) {
	id := newBlob()
	f.wantBlob(id, 0, 0)
	f.ok(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{id}, f.now))
	b, err := f.s.Blob(f.ctx, id)
	f.ok(err)
	same(f, b, meta.Blob{ID: id, Backend: here, State: meta.BlobReserved, Holder: f.holder, Changed: f.now})
	f.is(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{id}, f.now), meta.ErrExists)
	f.is(f.s.Reserve(f.ctx, meta.NewID(), here, []meta.BlobID{id}, f.now), meta.ErrExists)
	twice := newBlob()
	f.is(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{twice, twice}, f.now), meta.ErrExists)

	// Release ignores blobs of other holders, and blobs that are not reserved.
	f.ok(f.s.Release(f.ctx, meta.NewID(), []meta.BlobID{id}, f.now))
	f.wantBlob(id, meta.BlobReserved, 0)
	v := f.put(f.bucket("b"), "k")
	f.ok(f.s.Release(f.ctx, f.holder, []meta.BlobID{v.Body.Blob, newBlob()}, f.now))
	f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
	f.ok(f.s.Forget(f.ctx, here, []meta.BlobID{id, v.Body.Blob, newBlob()}))
	f.wantBlob(id, meta.BlobReserved, 0)
	f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
	f.is(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{v.Body.Blob}, f.now), meta.ErrExists)

	condemned := f.now.Add(time.Minute)
	f.ok(f.s.Release(f.ctx, f.holder, []meta.BlobID{id}, condemned))
	b, err = f.s.Blob(f.ctx, id)
	f.ok(err)
	if b.State != meta.BlobDead || !b.Changed.Equal(condemned) {
		f.Fatalf("released blob is %+v", b)
	}
	f.is(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{id}, f.now), meta.ErrExists)
	f.ok(f.s.Forget(f.ctx, here, []meta.BlobID{id}))
	f.wantBlob(id, 0, 0)
	f.ok(f.s.Forget(f.ctx, here, []meta.BlobID{id})) // a second time is no error
}

func (f *fixture) beatOf(id meta.ID) (int64, bool) {
	f.Helper()
	hs, err := f.s.Holders(f.ctx)
	f.ok(err)
	for _, h := range hs {
		if h.ID == id {
			return h.Beat, true
		}
	}
	return 0, false
}

// CondemnHolder condemns at most limit of the remaining rows of a holder whose beat
// is still h.Beat.
func CondemnHolder(ctx context.Context, s meta.Store, h meta.Holder, limit int, now time.Time) (int, error) {
	held, err := s.Held(ctx, h.ID, meta.BlobPosition{}, limit)
	if err != nil {
		return 0, err
	}
	return s.Reclaim(ctx, h, held, nil, meta.ID{}, now)
}

func testHolders(f *fixture) {
	f.reserve(3)
	before, known := f.beatOf(f.holder)
	if !known {
		f.Fatal("a reservation does not make its holder known")
	}
	f.ok(f.s.Beat(f.ctx, f.holder, meta.SealingWhole))
	if after, _ := f.beatOf(f.holder); after != before+1 {
		f.Fatalf("beat is %d, want %d", after, before+1)
	}
	_, err := CondemnHolder(f.ctx, f.s, meta.Holder{ID: f.holder, Beat: before}, 10, f.now)
	f.is(err, meta.ErrConflict)
	_, err = CondemnHolder(f.ctx, f.s, meta.Holder{ID: meta.NewID()}, 10, f.now)
	f.is(err, meta.ErrConflict)

	other := meta.NewID()
	f.ok(f.s.Beat(f.ctx, other, meta.SealingWhole))
	kept := newBlob()
	f.ok(f.s.Reserve(f.ctx, other, here, []meta.BlobID{kept}, f.now))

	dead := meta.Holder{ID: f.holder, Beat: before + 1}
	n, err := CondemnHolder(f.ctx, f.s, dead, 2, f.now)
	f.ok(err)
	if _, known := f.beatOf(f.holder); n != 2 || !known {
		f.Fatalf("condemned %d, known %t; want 2 and true: one is left", n, known)
	}
	n, err = CondemnHolder(f.ctx, f.s, dead, 2, f.now)
	f.ok(err)
	if _, known := f.beatOf(f.holder); n != 1 || known {
		f.Fatalf("condemned %d, known %t; want 1 and false", n, known)
	}
	f.wantBlob(kept, meta.BlobReserved, 0)

	// A forgotten holder that is still alive starts again.
	f.reserve(1)
	if _, known := f.beatOf(f.holder); !known {
		f.Fatal("a forgotten holder's reservation does not make it known")
	}
}

// Kept rows of a dead holder belong to the keeper, which is never taken for dead. The
// holder can commit none of them, and the keeper can condemn them.
func testReclaim(f *fixture) {
	b := f.bucket("bucket")
	f.addBackend(there)
	moved := f.reserve(1)[0]
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "moved", blobBody(moved)), Holder: f.holder}))
	ids := f.reserve(4)
	slices.SortFunc(ids, func(a, b meta.BlobID) int { return bytes.Compare(a[:], b[:]) })
	f.ok(f.s.ReserveCopy(f.ctx, f.holder, moved, here, there, f.now))
	var held []meta.Blob
	for after := (meta.BlobPosition{}); ; { // in pages
		page, err := f.s.Held(f.ctx, f.holder, after, 2)
		f.ok(err)
		if held = append(held, page...); len(page) < 2 {
			break
		}
		after = meta.BlobPosition{ID: page[1].ID, Backend: page[1].Backend}
	}
	if len(held) != 5 || !slices.IsSortedFunc(held, func(a, b meta.Blob) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
		f.Fatalf("held: %+v", held)
	}
	var copied meta.Blob
	states := make(map[meta.BlobID]meta.Blob)
	for _, h := range held {
		if states[h.ID] = h; h.State == meta.BlobCopy {
			copied = h
		}
	}
	same(f, copied, meta.Blob{ID: moved, Backend: there, State: meta.BlobCopy, Holder: f.holder, Changed: f.now})

	keeper, beat := meta.NewID(), int64(0)
	dead := []meta.Blob{states[ids[0]], {ID: newBlob(), Backend: here, State: meta.BlobReserved}}
	kept := []meta.Blob{states[ids[1]], states[ids[2]], copied}
	_, err := f.s.Reclaim(f.ctx, meta.Holder{ID: f.holder, Beat: beat + 1}, dead, kept, keeper, f.now)
	f.is(err, meta.ErrConflict)
	f.wantBlob(ids[0], meta.BlobReserved, 0)
	n, err := f.s.Reclaim(f.ctx, meta.Holder{ID: f.holder, Beat: beat}, dead, kept, keeper, f.now)
	f.ok(err)
	same(f, n, 1)
	f.wantBlob(ids[0], meta.BlobDead, 0)
	if _, known := f.beatOf(f.holder); !known {
		f.Fatal("a holder was forgotten that has a reservation")
	}
	if _, known := f.beatOf(keeper); known {
		f.Fatal("the keeper is known, and could be taken for dead")
	}
	commit := func(id meta.BlobID) error {
		return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "k", blobBody(id)), Holder: f.holder})
	}
	f.is(commit(ids[1]), meta.ErrReservationLost)
	f.is(f.s.MoveBlob(f.ctx, meta.Move{ID: moved, From: here, To: there, Holder: f.holder, Now: f.now}), meta.ErrReservationLost)
	f.ok(commit(ids[3])) // this one was not divided
	f.is(f.s.Reserve(f.ctx, f.holder, here, ids[1:2], f.now), meta.ErrExists)
	f.ok(f.s.Release(f.ctx, f.holder, ids[1:2], f.now))
	b1, err := f.s.Blob(f.ctx, ids[1])
	f.ok(err)
	same(f, b1, meta.Blob{ID: ids[1], Backend: here, State: meta.BlobReserved, Holder: keeper, Changed: f.now})
	f.checkLedger()

	// A later holder takes a place over, and the keeper condemns the rest.
	f.ok(f.s.ReserveCopy(f.ctx, f.holder, moved, here, there, f.now))
	f.ok(f.s.MoveBlob(f.ctx, meta.Move{ID: moved, From: here, To: there, Holder: f.holder, Now: f.now}))
	f.ok(f.s.Release(f.ctx, keeper, ids[1:3], f.now))
	f.wantBlob(ids[1], meta.BlobDead, 0)
	f.wantBlob(ids[2], meta.BlobDead, 0)
	if held, err := f.s.Held(f.ctx, keeper, meta.BlobPosition{}, meta.MaxPage); err != nil || len(held) != 0 {
		f.Fatalf("the keeper has %+v, %v", held, err)
	}
	_, err = f.s.Reclaim(f.ctx, meta.Holder{ID: f.holder, Beat: beat}, nil, nil, keeper, f.now)
	f.ok(err)
	if _, known := f.beatOf(f.holder); known {
		f.Fatal("a holder that has none left is not forgotten")
	}
	f.checkLedger()
}

func testDeadBlobs(f *fixture) {
	ids := f.reserve(5)
	for i, id := range ids {
		f.ok(f.s.Release(f.ctx, f.holder, []meta.BlobID{id}, f.now.Add(time.Duration(5-i)*time.Second)))
	}
	got, err := f.s.DeadBlobs(f.ctx, here, f.later(), 3)
	f.ok(err)
	same(f, got, []meta.BlobID{ids[4], ids[3], ids[2]})
	got, err = f.s.DeadBlobs(f.ctx, here, f.now.Add(2*time.Second), 10) // exclusive
	f.ok(err)
	same(f, got, []meta.BlobID{ids[4]})
	f.ok(f.s.Forget(f.ctx, here, ids[2:]))
	got, err = f.s.DeadBlobs(f.ctx, here, f.later(), 10)
	f.ok(err)
	same(f, got, []meta.BlobID{ids[1], ids[0]})
	f.ok(f.s.Defer(f.ctx, there, ids[1:2], f.now.Add(6*time.Second))) // not dead there
	f.ok(f.s.Defer(f.ctx, here, ids[1:3], f.now.Add(6*time.Second)))  // one is unknown to the ledger
	got, err = f.s.DeadBlobs(f.ctx, here, f.now.Add(6*time.Second), 10)
	f.ok(err)
	same(f, got, []meta.BlobID{ids[0]})
	got, err = f.s.DeadBlobs(f.ctx, here, f.later(), 10)
	f.ok(err)
	same(f, got, []meta.BlobID{ids[0], ids[1]})
}

// Rows that a clock years ahead condemned or ended are dated again, so that they do
// not stay until then.
func testAheadOfTime(f *fixture) {
	years := f.now.AddDate(50, 0, 0)
	ids := f.reserve(3)
	f.ok(f.s.Release(f.ctx, f.holder, ids[:1], years))
	f.ok(f.s.Release(f.ctx, f.holder, ids[1:2], f.now.Add(meta.MaxClockSkew)))
	f.ok(f.s.Release(f.ctx, f.holder, ids[2:], f.now.Add(-time.Second)))
	u := f.upload(f.bucket("b"), "k")
	part := f.putPart(u.ID, 1)
	f.ok(f.s.AbortUpload(f.ctx, u.ID))
	_, err := f.s.Sweep(f.ctx, 100, years.Add(-time.Hour), years, nil) // dates it, and removes it later
	f.ok(err)
	f.sweepAll()
	got, err := f.s.DeadBlobs(f.ctx, here, f.now.Add(time.Second), 10)
	f.ok(err)
	same(f, got, append([]meta.BlobID{ids[2]}, slices.SortedFunc(slices.Values([]meta.BlobID{ids[0], part.Blobs[0]}),
		func(a, b meta.BlobID) int { return bytes.Compare(a[:], b[:]) })...))
	if refs, err := f.s.ScanUploads(f.ctx, meta.ID{}, 10); err != nil || len(refs) > 0 {
		f.Errorf("%d uploads are left, %v", len(refs), err)
	}
	f.checkLedger()
}

func testScanBlobs(f *fixture) {
	want := f.reserve(7)
	f.ok(f.s.Release(f.ctx, f.holder, want[:3], f.now))
	b := f.bucket("b")
	for _, k := range []string{"1", "2", "3"} {
		want = append(want, f.put(b, k).Body.Blob)
	}
	slices.SortFunc(want, func(a, b meta.BlobID) int { return bytes.Compare(a[:], b[:]) })
	var got []meta.BlobID
	states := make(map[meta.BlobState]int)
	for after := (meta.BlobPosition{}); ; after.ID = got[len(got)-1] {
		page, err := f.s.ScanBlobs(f.ctx, after, 3)
		f.ok(err)
		for _, b := range page {
			got = append(got, b.ID)
			after.Backend = b.Backend
			states[b.State]++
		}
		if len(page) < 3 {
			break
		}
	}
	same(f, got, want)
	same(f, states, map[meta.BlobState]int{meta.BlobReserved: 4, meta.BlobLive: 3, meta.BlobDead: 3})
}
