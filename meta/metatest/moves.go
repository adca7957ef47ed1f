package metatest

import (
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// rowsOf returns the ledger's rows of a blob, by backend.
func (f *fixture) rowsOf(id meta.BlobID) (rows []meta.Blob) {
	f.Helper()
	var after meta.BlobPosition
	for {
		page, err := f.s.ScanBlobs(f.ctx, after, 5)
		f.ok(err)
		for _, b := range page {
			after = meta.BlobPosition{ID: b.ID, Backend: b.Backend}
			if b.ID == id {
				rows = append(rows, b)
			}
		}
		if len(page) == 0 {
			return rows
		}
	}
}

func (f *fixture) wantDead(at meta.BackendID, want ...meta.BlobID) {
	f.Helper()
	ids, err := f.s.DeadBlobs(f.ctx, at, f.later(), meta.MaxPage)
	f.ok(err)
	same(f, ids, want)
}

func (f *fixture) wantAt(id meta.BlobID, want meta.BackendID) {
	f.Helper()
	at, err := f.s.BlobBackends(f.ctx, []meta.BlobID{id})
	f.ok(err)
	same(f, at, []meta.BackendID{want})
}

// move reserves a place for the copy and ends the move.
func (f *fixture) move(id meta.BlobID, from, to meta.BackendID) error {
	demands, err := f.s.Demands(f.ctx)
	if err != nil {
		return err
	}
	if err := f.s.ReserveCopy(f.ctx, f.holder, id, from, to, f.now); err != nil {
		return err
	}
	return f.s.MoveBlob(f.ctx, meta.Move{ID: id, From: from, To: to, Holder: f.holder, Demands: demands, Now: f.now})
}

func testMoveBuckets(f *fixture) {
	f.addBackend(there)
	f.addBackend(3)
	for i := range 5 {
		f.bucket(fmt.Sprint("b", i))
	}
	stays, err := f.place(3)
	f.ok(err)
	f.ok(f.s.DrainBackend(f.ctx, 3, here))
	for _, c := range [][2]meta.BackendID{{here, 3}, {here, 9}, {here, here}, {3, 3}} {
		n, err := f.s.MoveBuckets(f.ctx, c[0], c[1], 10)
		f.is(err, meta.ErrConflict)
		same(f, n, 0)
	}
	for _, want := range []int{2, 2, 1, 0} {
		n, err := f.s.MoveBuckets(f.ctx, here, there, 2)
		f.ok(err)
		same(f, n, want)
	}
	bs, err := f.s.ListBuckets(f.ctx, meta.BucketQuery{Limit: 10})
	f.ok(err)
	for _, b := range bs {
		if (b.Backend == there) != (b.ID != stays.ID) {
			f.Errorf("bucket %s is on backend %d", b.Name, b.Backend)
		}
	}
}

func testMoveBlob(f *fixture) {
	f.addBackend(there)
	f.addBackend(3)
	b := f.bucket("b")
	v := f.put(b, "k")
	id := v.Body.Blob
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "copy", v.Body), Share: true}))
	reserved := f.reserve(1)[0]
	f.ok(f.s.DrainBackend(f.ctx, 3, here))
	for name, err := range map[string]error{
		"from where it is not": f.move(id, there, here),
		"onto itself":          f.move(id, here, here),
		"to a draining one":    f.move(id, here, 3),
		"to nowhere":           f.move(id, here, 9),
		"of a reservation":     f.move(reserved, here, there),
		"of nothing":           f.move(newBlob(), here, there),
	} {
		if !errors.Is(err, meta.ErrConflict) {
			f.Errorf("a move %s: %v", name, err)
		}
	}
	same(f, f.rowsOf(id), []meta.Blob{{ID: id, Backend: here, State: meta.BlobLive, Refs: 2}})

	f.ok(f.move(id, here, there))
	same(f, f.rowsOf(id), []meta.Blob{
		{ID: id, Backend: here, State: meta.BlobDead, Changed: f.now},
		{ID: id, Backend: there, State: meta.BlobLive, Refs: 2},
	})
	row, err := f.s.Blob(f.ctx, id)
	f.ok(err)
	same(f, row, meta.Blob{ID: id, Backend: there, State: meta.BlobLive, Refs: 2})
	f.wantAt(id, there)
	f.wantDead(here, id)
	f.wantDead(there)
	f.is(f.move(id, here, there), meta.ErrConflict) // a second time
	// The collector could not tell it from the copy that it must delete.
	f.is(f.move(id, there, here), meta.ErrConflict)
	f.wantAt(id, there)
	f.is(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{id}, f.now), meta.ErrExists)
	f.ok(f.s.Forget(f.ctx, there, []meta.BlobID{id})) // the dead copy is elsewhere
	f.wantDead(here, id)
	f.checkLedger()

	// The last reference is dropped while the first copy still waits for deletion.
	f.remove(b, "k")
	f.remove(b, "copy")
	f.wantDead(here, id)
	f.wantDead(there, id)
	f.wantBlob(id, meta.BlobDead, 0)
	f.wantAt(id, 0)
	f.checkLedger()
	f.ok(f.s.Forget(f.ctx, here, []meta.BlobID{id}))
	f.wantDead(here)
	f.is(f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{id}, f.now), meta.ErrExists)
	f.ok(f.s.Forget(f.ctx, there, []meta.BlobID{id}))
	f.wantBlob(id, 0, 0)

	// There and back, after the copy is deleted.
	id = f.put(b, "k").Body.Blob
	f.ok(f.move(id, here, there))
	f.ok(f.s.Forget(f.ctx, here, []meta.BlobID{id}))
	f.ok(f.move(id, there, here))
	f.wantAt(id, here)
	f.wantDead(there, id)
	f.checkLedger()
}

func testMovePart(f *fixture) {
	f.addBackend(there)
	u := f.upload(f.bucket("b"), "k")
	id := f.reserve(1)[0]
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, id), Holder: f.holder}))
	f.ok(f.move(id, here, there))
	f.ok(f.s.Forget(f.ctx, here, []meta.BlobID{id}))
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 2, id), Share: true}))
	f.wantBlob(id, meta.BlobLive, 2)
	f.ok(f.s.AbortUpload(f.ctx, u.ID))
	f.sweepAll()
	f.wantDead(here)
	f.wantDead(there, id)
	f.checkLedger()
}

// In whatever order a move, copies, overwrites and removals of the same blob
// happen, each place that held it has one row at the end.
func testMovesRaced(f *fixture) {
	f.addBackend(there)
	b := f.bucket("b")
	const blobs = 16
	ids := make([]meta.BlobID, blobs)
	key := func(i int) string { return fmt.Sprint("k", i) }
	for i := range ids {
		ids[i] = f.put(b, key(i)).Body.Blob
	}
	moves := []func(i int) error{
		func(i int) error { return f.move(ids[i], here, there) },
		func(i int) error {
			if i%2 == 0 {
				return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, key(i), meta.Body{})})
			}
			_, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, []meta.Removal{{Key: key(i)}}, f.now)
			return err
		},
		func(i int) error {
			return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "copy of "+key(i), blobBody(ids[i])), Share: true})
		},
	}
	errs := make([]error, len(moves)*blobs)
	together(len(errs), func(n int) { errs[n] = moves[n%len(moves)](n / len(moves)) })
	for i, id := range ids {
		moved, dropped, copied := errs[3*i], errs[3*i+1], errs[3*i+2]
		f.ok(dropped)
		last := meta.Blob{ID: id, Backend: here, State: meta.BlobDead, Changed: f.now}
		var want []meta.Blob
		if moved == nil {
			want = append(want, last)
			last.Backend = there
		} else {
			f.is(moved, meta.ErrConflict)
			f.ok(f.s.ReleaseCopy(f.ctx, f.holder, id, there, f.now))
			rows := f.rowsOf(id)
			if last := rows[len(rows)-1]; last.Backend == there { // its place was reserved when the blob was removed
				same(f, last, meta.Blob{ID: id, Backend: there, State: meta.BlobDead, Changed: f.now})
				f.ok(f.s.Forget(f.ctx, there, []meta.BlobID{id}))
			}
		}
		if copied == nil {
			last = meta.Blob{ID: id, Backend: last.Backend, State: meta.BlobLive, Refs: 1}
		} else {
			f.is(copied, meta.ErrBodyGone)
		}
		same(f, f.rowsOf(id), append(want, last))
	}
	f.checkLedger()
}

func testBlobBackends(f *fixture) {
	f.addBackend(there)
	live := f.put(f.bucket("b"), "k").Body.Blob
	reserved, err := f.reserveAt(there)
	f.ok(err)
	dead := f.reserve(1)
	f.ok(f.s.Release(f.ctx, f.holder, dead, f.now))
	at, err := f.s.BlobBackends(f.ctx, []meta.BlobID{live, dead[0], reserved, newBlob(), live})
	f.ok(err)
	same(f, at, []meta.BackendID{here, 0, there, 0, here})

	at, err = f.s.BlobBackends(f.ctx, nil)
	f.ok(err)
	same(f, len(at), 0)
	many := f.reserve(meta.MaxBatch - 1)
	for n := 1; n <= len(many); n += 7 {
		at, err = f.s.BlobBackends(f.ctx, append([]meta.BlobID{reserved}, many[:n]...))
		f.ok(err)
		want := []meta.BackendID{there}
		for range n {
			want = append(want, here)
		}
		same(f, at, want)
	}
}
