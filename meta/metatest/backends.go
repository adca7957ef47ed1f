package metatest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/meta"
)

// backendRow returns the backend's row.
func (f *fixture) backendRow(id meta.BackendID) meta.Backend {
	f.Helper()
	bs, err := f.s.ListBackends(f.ctx)
	f.ok(err)
	for _, b := range bs {
		if b.ID == id {
			return b
		}
	}
	f.Fatalf("backend %d is not listed", id)
	return meta.Backend{}
}

func (f *fixture) wantState(id meta.BackendID, want meta.BackendState) {
	f.Helper()
	if b := f.backendRow(id); b.State != want {
		f.Fatalf("backend %d is in state %d, want %d", id, b.State, want)
	}
}

// place creates a bucket on a backend.
func (f *fixture) place(at meta.BackendID) (meta.Bucket, error) {
	id := meta.NewID()
	b := meta.Bucket{ID: id, Name: id.String(), Owner: f.root, Backend: at, Created: f.now}
	return b, f.s.CreateBucket(f.ctx, b, meta.BucketSeed{Bucket: id, Generation: 1}, meta.MaxBucketCount)
}

func (f *fixture) reserveAt(at meta.BackendID) (meta.BlobID, error) {
	id := newBlob()
	return id, f.s.Reserve(f.ctx, f.holder, at, []meta.BlobID{id}, f.now)
}

func (f *fixture) lease(name string) meta.Lease {
	f.Helper()
	seen, err := f.s.Lease(f.ctx, name)
	f.ok(err)
	l, err := f.s.TakeLease(f.ctx, seen, meta.NewID())
	f.ok(err)
	return l
}

func testBackends(f *fixture) {
	second := meta.Backend{ID: 7, Name: "second", Created: f.now, Epoch: 3}
	given := second
	given.State, given.Drain = meta.BackendRetired, meta.Drain{Target: here, Blobs: 1} // the store must ignore these
	f.ok(f.s.AddBackend(f.ctx, given))
	second.State = meta.BackendActive
	same(f, f.backendRow(7), second)

	f.is(f.s.AddBackend(f.ctx, f.backend(7, "third")), meta.ErrExists)
	f.is(f.s.AddBackend(f.ctx, f.backend(8, "second")), meta.ErrExists)
	f.ok(f.s.AddBackend(f.ctx, f.backend(3, "Second"))) // names compare as bytes
	bs, err := f.s.ListBackends(f.ctx)
	f.ok(err)
	var ids []meta.BackendID
	for _, b := range bs {
		ids = append(ids, b.ID)
	}
	same(f, ids, []meta.BackendID{here, 3, 7})

	// Each backend has an epoch of its own.
	f.is(f.s.AdvanceEpoch(f.ctx, 7, 2, 3), meta.ErrConflict)
	f.ok(f.s.AdvanceEpoch(f.ctx, 7, 3, 4))
	f.is(f.s.AdvanceEpoch(f.ctx, 7, 3, 4), meta.ErrConflict)
	f.ok(f.s.AdvanceEpoch(f.ctx, 7, 4, 1<<40))
	f.is(f.s.AdvanceEpoch(f.ctx, 9, 1, 2), meta.ErrConflict)
	for _, to := range []int64{1 << 40, 7} {
		if err := f.s.AdvanceEpoch(f.ctx, 7, 1<<40, to); err == nil {
			f.Fatalf("an epoch went from %d to %d", int64(1<<40), to)
		}
	}
	if a, b := f.backendRow(here).Epoch, f.backendRow(7).Epoch; a != 1 || b != 1<<40 {
		f.Fatalf("epochs are %d and %d, want 1 and %d", a, b, int64(1<<40))
	}

	for _, at := range []meta.BackendID{0, 2, 9} {
		_, err := f.reserveAt(at)
		f.is(err, meta.ErrConflict)
		_, err = f.place(at)
		f.is(err, meta.ErrConflict)
	}
}

func testBackendNumbers(f *fixture) {
	for id := there; id <= meta.MaxBackends; id++ {
		f.addBackend(id)
	}
	f.is(f.s.AddBackend(f.ctx, f.backend(meta.MaxBackends+1, "one more")), meta.ErrLimit)
	l := f.lease("drain")
	f.ok(f.s.DrainBackend(f.ctx, there, here))
	f.ok(f.s.RetireBackend(f.ctx, l, there, 1)) // makes no room
	f.is(f.s.AddBackend(f.ctx, f.backend(meta.MaxBackends+1, "one more")), meta.ErrLimit)
}

func testDraining(f *fixture) {
	f.addBackend(there)
	f.addBackend(3)
	reserved, err := f.reserveAt(there)
	f.ok(err)
	b, err := f.place(there)
	f.ok(err)
	f.is(f.s.CancelDrain(f.ctx, there), meta.ErrConflict)
	f.is(f.s.CancelDrain(f.ctx, 9), meta.ErrNotFound)
	f.ok(f.s.DrainBackend(f.ctx, there, here))
	f.wantState(there, meta.BackendDraining)

	// It takes no new blobs; reservations made before can still be committed.
	_, err = f.reserveAt(there)
	f.is(err, meta.ErrConflict)
	_, err = f.place(there)
	f.is(err, meta.ErrConflict)
	v := f.version(b.ID, "k", blobBody(reserved))
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Holder: f.holder}))
	copied := f.version(b.ID, "copy", blobBody(reserved))
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: copied, Share: true}))

	l := f.lease("drain")
	d := meta.Drain{Target: here, Round: 1, After: newBlob(), Left: true, Blobs: 5, Bytes: 1 << 40}
	f.ok(f.s.NoteDrain(f.ctx, l, there, d))
	same(f, f.backendRow(there).Drain, d)
	stale := meta.Drain{Target: 3, Round: 2, Blobs: 9}
	f.is(f.s.NoteDrain(f.ctx, l, there, stale), meta.ErrConflict)
	f.is(f.s.NoteDrain(f.ctx, l, here, d), meta.ErrConflict)
	f.is(f.s.NoteDrain(f.ctx, l, 9, d), meta.ErrConflict)
	for _, other := range f.notLease(l) {
		f.is(f.s.NoteDrain(f.ctx, other, there, meta.Drain{Target: here, Round: 1}), meta.ErrConflict)
	}
	same(f, f.backendRow(there).Drain, d)

	f.ok(f.s.DrainBackend(f.ctx, there, 3)) // again, to another target
	same(f, f.backendRow(there).Drain, meta.Drain{Target: 3, Round: 2})
	f.is(f.s.NoteDrain(f.ctx, l, there, d), meta.ErrConflict)
	f.ok(f.s.NoteDrain(f.ctx, l, there, stale))
	f.ok(f.s.CancelDrain(f.ctx, there))
	same(f, f.backendRow(there).Drain, meta.Drain{})
	f.wantState(there, meta.BackendActive)
	f.is(f.s.NoteDrain(f.ctx, l, there, stale), meta.ErrConflict)
	_, err = f.reserveAt(there)
	f.ok(err)

	// The draining is cancelled and begun again, and a new blob arrives meanwhile.
	// A mover that read the rows before does not know of it.
	f.ok(f.s.DrainBackend(f.ctx, there, 3))
	f.is(f.s.NoteDrain(f.ctx, l, there, stale), meta.ErrConflict)
	f.is(f.s.RetireBackend(f.ctx, l, there, 2), meta.ErrConflict)
	f.ok(f.s.CancelDrain(f.ctx, there))
	f.checkLedger()
}

// notLease returns leases that differ from the given one, or are outdated.
func (f *fixture) notLease(l meta.Lease) []meta.Lease {
	f.Helper()
	older, newer, another, nobody, unknown := l, l, l, l, l
	older.Fence--
	newer.Fence++
	another.Holder = meta.NewID()
	nobody.Holder = meta.ID{}
	unknown.Name = "another"
	dropped := f.lease("dropped")
	f.ok(f.s.DropLease(f.ctx, dropped))
	free, err := f.s.Lease(f.ctx, "dropped")
	f.ok(err)
	return []meta.Lease{{}, older, newer, another, nobody, unknown, dropped, free}
}

func testDrainRules(f *fixture) {
	for id := there; id <= 4; id++ {
		f.addBackend(id)
	}
	f.ok(f.s.DrainBackend(f.ctx, 2, 1))
	for _, c := range []struct {
		id, target meta.BackendID
		want       error
	}{
		{9, 1, meta.ErrNotFound},
		{3, 9, meta.ErrConflict}, // no backend
		{3, 0, meta.ErrConflict},
		{3, 3, meta.ErrConflict}, // itself
		{2, 2, meta.ErrConflict},
		{3, 2, meta.ErrConflict}, // draining
		{1, 3, meta.ErrConflict}, // is the target of 2
		{2, 3, nil},              // another target
		{3, 4, meta.ErrConflict},
		{1, 4, nil}, // no longer a target
		{2, 1, meta.ErrConflict},
		{2, 4, nil},
		{4, 3, meta.ErrConflict},
		{2, 4, nil}, // begun again
	} {
		if err := f.s.DrainBackend(f.ctx, c.id, c.target); !errors.Is(err, c.want) {
			f.Errorf("drain %d into %d: %v, want %v", c.id, c.target, err, c.want)
		}
	}
	l := f.lease("drain")
	f.ok(f.s.RetireBackend(f.ctx, l, 2, f.backendRow(2).Drain.Round))
	f.is(f.s.DrainBackend(f.ctx, 2, 3), meta.ErrConflict) // retired
	f.is(f.s.DrainBackend(f.ctx, 3, 2), meta.ErrConflict)
	f.is(f.s.CancelDrain(f.ctx, 2), meta.ErrConflict)
}

// Concurrent DrainBackend calls never form a chain or a ring.
func testDrainRulesRaced(f *fixture) {
	f.addBackend(2)
	f.addBackend(3)
	for range 5 {
		errs := make([]error, 3)
		together(3, func(i int) {
			errs[i] = f.s.DrainBackend(f.ctx, meta.BackendID(1+i), meta.BackendID(1+(i+1)%3))
		})
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				f.wantState(meta.BackendID(1+i), meta.BackendDraining)
				f.wantState(meta.BackendID(1+(i+1)%3), meta.BackendActive)
				f.ok(f.s.CancelDrain(f.ctx, meta.BackendID(1+i)))
				continue
			}
			f.is(err, meta.ErrConflict)
		}
		if won != 1 {
			f.Fatalf("%d of a ring of drainings began", won)
		}
	}
}

// After DrainBackend has returned, nothing new appears on the backend, not even
// from intents that began before: a pass that finds nothing is final.
func testDrainRaced(f *fixture) {
	b := f.bucket("b")
	for at := there; at < there+3; at++ {
		f.addBackend(at)
		const fillers, most = 6, 20
		began, enough := new(atomic.Int64), make(chan struct{})
		var found int
		together(fillers+1, func(i int) {
			if i == fillers {
				<-enough
				if err := f.s.DrainBackend(f.ctx, at, here); err != nil {
					f.Error(err)
				}
				found = f.countAt(at)
				return
			}
			for range most {
				err := f.fill(i, b, at)
				if began.Add(1) == fillers {
					close(enough)
				}
				if err != nil {
					if !errors.Is(err, meta.ErrConflict) {
						f.Error(err)
					}
					return
				}
			}
		})
		if n := f.countAt(at); n != found {
			f.Fatalf("%d rows at a backend when its draining began, %d later", found, n)
		}
		f.is(f.fill(0, b, at), meta.ErrConflict)
		f.is(f.fill(1, b, at), meta.ErrConflict)
		f.is(f.fill(2, b, at), meta.ErrConflict)
	}
	f.checkLedger()
}

// fill adds one of three kinds of rows to a backend; i selects the kind.
func (f *fixture) fill(i int, bucket meta.ID, at meta.BackendID) error {
	switch i % 3 {
	case 0:
		_, err := f.place(at)
		return err
	case 1:
		id, err := f.reserveAt(here)
		if err == nil {
			v := f.version(bucket, fmt.Sprintf("%x", id), blobBody(id))
			err = f.s.CommitObject(f.ctx, meta.Commit{Version: v, Holder: f.holder})
		}
		if err != nil {
			return err
		}
		return f.move(id, here, at)
	}
	ids := make([]meta.BlobID, 20) // some, so that the intent takes a while
	for i := range ids {
		ids[i] = newBlob()
	}
	return f.s.Reserve(f.ctx, f.holder, at, ids, f.now)
}

// countAt counts the blobs and buckets at a backend.
func (f *fixture) countAt(at meta.BackendID) (n int) {
	bs, err := f.s.ListBuckets(f.ctx, meta.BucketQuery{Limit: meta.MaxPage})
	for _, b := range bs {
		if b.Backend == at {
			n++
		}
	}
	var after meta.BlobPosition
	for err == nil {
		var page []meta.Blob
		if page, err = f.s.ScanBlobs(f.ctx, after, meta.MaxPage); err != nil || len(page) == 0 {
			break
		}
		for _, b := range page {
			if b.Backend == at {
				n++
			}
			after = meta.BlobPosition{ID: b.ID, Backend: b.Backend}
		}
	}
	if err != nil {
		f.Error(err)
	}
	return n
}

func testRetire(f *fixture) {
	f.addBackend(there)
	l := f.lease("drain")
	f.is(f.s.RetireBackend(f.ctx, l, there, 1), meta.ErrConflict) // active
	f.is(f.s.RetireBackend(f.ctx, l, 9, 1), meta.ErrConflict)
	b, err := f.place(there)
	f.ok(err)
	reserved, err := f.reserveAt(there)
	f.ok(err)
	f.ok(f.s.DrainBackend(f.ctx, there, here))
	f.is(f.s.RetireBackend(f.ctx, l, there, 1), meta.ErrNotEmpty)
	f.ok(f.s.Release(f.ctx, f.holder, []meta.BlobID{reserved}, f.now))
	f.is(f.s.RetireBackend(f.ctx, l, there, 1), meta.ErrNotEmpty) // the bucket
	n, err := f.s.MoveBuckets(f.ctx, there, here, 10)
	f.ok(err)
	same(f, n, 1)
	for _, other := range f.notLease(l) {
		f.is(f.s.RetireBackend(f.ctx, other, there, 1), meta.ErrConflict)
	}
	f.wantState(there, meta.BackendDraining)
	f.ok(f.s.Forget(f.ctx, there, []meta.BlobID{reserved}))
	f.ok(f.s.CancelDrain(f.ctx, there))
	copied := f.put(b.ID, "copied").Body.Blob
	f.ok(f.s.ReserveCopy(f.ctx, f.holder, copied, here, there, f.now))
	f.ok(f.s.DrainBackend(f.ctx, there, here))
	f.is(f.s.RetireBackend(f.ctx, l, there, 2), meta.ErrNotEmpty)
	f.ok(f.s.ReleaseCopy(f.ctx, f.holder, copied, there, f.now))
	f.ok(f.s.Forget(f.ctx, there, []meta.BlobID{copied}))
	f.is(f.s.RetireBackend(f.ctx, l, there, 1), meta.ErrConflict)
	f.ok(f.s.RetireBackend(f.ctx, l, there, 2))

	want := f.backend(there, fmt.Sprint("backend ", there))
	want.State = meta.BackendRetired
	same(f, f.backendRow(there), want)
	f.is(f.s.RetireBackend(f.ctx, l, there, 1), meta.ErrConflict)
	_, err = f.reserveAt(there)
	f.is(err, meta.ErrConflict)
	_, err = f.place(there)
	f.is(err, meta.ErrConflict)
	v := f.put(b.ID, "k")
	f.is(f.move(v.Body.Blob, here, there), meta.ErrConflict)

	// Its name is free, its number is not.
	f.is(f.s.AddBackend(f.ctx, f.backend(there, "fresh")), meta.ErrExists)
	f.ok(f.s.AddBackend(f.ctx, f.backend(3, want.Name)))
	f.is(f.s.AddBackend(f.ctx, f.backend(4, want.Name)), meta.ErrExists)
	f.checkLedger()
}
