package metatest

import (
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// The ledger has the place of a copy from before its first byte until the blob has
// moved there or the bytes are deleted. No other query counts it as a place of the
// blob.
func testCopies(f *fixture) {
	f.addBackend(there)
	f.addBackend(3)
	b := f.bucket("b")
	id := f.put(b, "k").Body.Blob
	reserved := f.reserve(1)[0]
	f.ok(f.s.DrainBackend(f.ctx, 3, here))
	for name, err := range map[string]error{
		"of a reservation":     f.s.ReserveCopy(f.ctx, f.holder, reserved, here, there, f.now),
		"of nothing":           f.s.ReserveCopy(f.ctx, f.holder, newBlob(), here, there, f.now),
		"from where it is not": f.s.ReserveCopy(f.ctx, f.holder, id, there, here, f.now),
		"where it is":          f.s.ReserveCopy(f.ctx, f.holder, id, here, here, f.now),
		"at a draining one":    f.s.ReserveCopy(f.ctx, f.holder, id, here, 3, f.now),
	} {
		if !errors.Is(err, meta.ErrConflict) {
			f.Errorf("a place for a copy %s: %v", name, err)
		}
	}
	copying := func(holder meta.ID) []meta.Blob {
		return []meta.Blob{{ID: id, Backend: here, State: meta.BlobLive, Refs: 1}, {ID: id, Backend: there, State: meta.BlobCopy, Holder: holder, Changed: f.now}}
	}
	f.ok(f.s.ReserveCopy(f.ctx, f.holder, id, here, there, f.now))
	f.ok(f.s.ReserveCopy(f.ctx, f.holder, id, here, there, f.now)) // again, to continue
	same(f, f.rowsOf(id), copying(f.holder))
	f.wantAt(id, here)
	f.wantBlob(id, meta.BlobLive, 1)
	f.checkLedger()

	// Another holder takes it over; the first one no longer has it.
	other := meta.NewID()
	f.ok(f.s.ReserveCopy(f.ctx, other, id, here, there, f.now))
	same(f, f.rowsOf(id), copying(other))
	move := meta.Move{ID: id, From: here, To: there, Holder: f.holder, Now: f.now}
	f.is(f.s.MoveBlob(f.ctx, move), meta.ErrReservationLost)
	f.ok(f.s.ReleaseCopy(f.ctx, f.holder, id, there, f.now))
	f.ok(f.s.Release(f.ctx, other, []meta.BlobID{id}, f.now)) // of reservations
	same(f, f.rowsOf(id), copying(other))

	// After the release it waits for the collector, and cannot be reserved before
	// that.
	f.ok(f.s.ReleaseCopy(f.ctx, other, id, there, f.now))
	f.wantDead(there, id)
	f.wantAt(id, here)
	f.is(f.s.ReserveCopy(f.ctx, f.holder, id, here, there, f.now), meta.ErrConflict)
	f.is(f.s.MoveBlob(f.ctx, move), meta.ErrReservationLost)
	f.ok(f.s.Forget(f.ctx, there, []meta.BlobID{id}))

	// When its holder dies, it is condemned with the holder's reservations.
	f.ok(f.s.ReserveCopy(f.ctx, other, id, here, there, f.now))
	beat, _ := f.beatOf(other)
	kept := newBlob()
	f.ok(f.s.Reserve(f.ctx, other, there, []meta.BlobID{kept}, f.now))
	for _, known := range []bool{true, false} {
		if n, err := CondemnHolder(f.ctx, f.s, meta.Holder{ID: other, Beat: beat}, 1, f.now); err != nil || n != 1 {
			f.Fatalf("condemned %d: %v", n, err)
		}
		if _, still := f.beatOf(other); still != known {
			f.Fatalf("the holder is known: %t", still)
		}
	}
	condemned, err := f.s.DeadBlobs(f.ctx, there, f.later(), meta.MaxPage)
	f.ok(err)
	same(f, len(condemned), 2)
	f.ok(f.s.Forget(f.ctx, there, []meta.BlobID{id, kept}))

	// The blob is removed; the copy stays in the ledger until it is released.
	f.ok(f.s.ReserveCopy(f.ctx, f.holder, id, here, there, f.now))
	f.remove(b, "k")
	f.wantAt(id, 0)
	f.is(f.s.MoveBlob(f.ctx, move), meta.ErrConflict)
	f.ok(f.s.Forget(f.ctx, here, []meta.BlobID{id}))
	f.checkLedger()
	f.ok(f.s.ReleaseCopy(f.ctx, f.holder, id, there, f.now))
	f.wantDead(there, id)
	f.checkLedger()
}

// In whatever order takers, releases and the end of a move happen, the place is in
// one state.
func testCopiesRaced(f *fixture) {
	f.addBackend(there)
	b := f.bucket("b")
	const blobs = 12
	ids := make([]meta.BlobID, blobs)
	for i := range ids {
		ids[i] = f.put(b, fmt.Sprint("k", i)).Body.Blob
		f.ok(f.s.ReserveCopy(f.ctx, f.holder, ids[i], here, there, f.now))
	}
	other := meta.NewID()
	f.ok(f.s.Beat(f.ctx, other, meta.SealingWhole))
	races := []func(i int) error{
		func(i int) error {
			return f.s.MoveBlob(f.ctx, meta.Move{ID: ids[i], From: here, To: there, Holder: f.holder, Now: f.now})
		},
		func(i int) error { return f.s.ReserveCopy(f.ctx, other, ids[i], here, there, f.now) },
		func(i int) error { return f.s.ReleaseCopy(f.ctx, f.holder, ids[i], there, f.now) },
	}
	errs := make([]error, len(races)*blobs)
	together(len(errs), func(n int) { errs[n] = races[n%len(races)](n / len(races)) })
	for i, id := range ids {
		moved, taken, released := errs[3*i], errs[3*i+1], errs[3*i+2]
		f.ok(released)
		rows := f.rowsOf(id)
		switch {
		case moved == nil:
			f.is(taken, meta.ErrConflict)
			same(f, rows, []meta.Blob{{ID: id, Backend: here, State: meta.BlobDead, Changed: f.now}, {ID: id, Backend: there, State: meta.BlobLive, Refs: 1}})
		case taken == nil:
			f.is(moved, meta.ErrReservationLost)
			same(f, rows[1], meta.Blob{ID: id, Backend: there, State: meta.BlobCopy, Holder: other, Changed: f.now})
		default:
			f.is(moved, meta.ErrReservationLost)
			f.is(taken, meta.ErrConflict)
			same(f, rows[1], meta.Blob{ID: id, Backend: there, State: meta.BlobDead, Changed: f.now})
		}
	}
	f.checkLedger()
}
