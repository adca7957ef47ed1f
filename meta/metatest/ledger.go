package metatest

import (
	"bytes"
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

	// Release leaves alone what is not the holder's, and what is not reserved.
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
	_, err := f.s.CondemnHolder(f.ctx, meta.Holder{ID: f.holder, Beat: before}, 10, f.now)
	f.is(err, meta.ErrConflict)
	_, err = f.s.CondemnHolder(f.ctx, meta.Holder{ID: meta.NewID()}, 10, f.now)
	f.is(err, meta.ErrConflict)

	other := meta.NewID()
	f.ok(f.s.Beat(f.ctx, other, meta.SealingWhole))
	kept := newBlob()
	f.ok(f.s.Reserve(f.ctx, other, here, []meta.BlobID{kept}, f.now))

	dead := meta.Holder{ID: f.holder, Beat: before + 1}
	n, err := f.s.CondemnHolder(f.ctx, dead, 2, f.now)
	f.ok(err)
	if _, known := f.beatOf(f.holder); n != 2 || !known {
		f.Fatalf("condemned %d, known %t; want 2 and true: one is left", n, known)
	}
	n, err = f.s.CondemnHolder(f.ctx, dead, 2, f.now)
	f.ok(err)
	if _, known := f.beatOf(f.holder); n != 1 || known {
		f.Fatalf("condemned %d, known %t; want 1 and false", n, known)
	}
	f.wantBlob(kept, meta.BlobReserved, 0)

	// Who was forgotten and lives on starts anew.
	f.reserve(1)
	if _, known := f.beatOf(f.holder); !known {
		f.Fatal("a forgotten holder's reservation does not make it known")
	}
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
