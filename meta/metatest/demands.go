package metatest

import (
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// demanding creates a bucket with a residency.
func (f *fixture) demanding(name string) meta.ID {
	f.Helper()
	id := meta.NewID()
	f.ok(f.s.CreateBucket(f.ctx, meta.Bucket{ID: id, Name: name, Owner: f.root, Residency: []string{"eu"}, Backend: here, Created: f.now},
		meta.BucketSeed{Bucket: id, Generation: 1}, meta.MaxBucketCount))
	return id
}

// copying reserves a place and returns the end of the move.
func (f *fixture) copying(id meta.BlobID) meta.Move {
	f.Helper()
	demands, err := f.s.Demands(f.ctx)
	f.ok(err)
	f.ok(f.s.ReserveCopy(f.ctx, f.holder, id, here, there, f.now))
	return meta.Move{ID: id, From: here, To: there, Holder: f.holder, Demands: demands, Now: f.now}
}

func (f *fixture) share(bucket meta.ID, key string, id meta.BlobID, at meta.BackendID) error {
	return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(bucket, key, blobBody(id)), Share: true, At: at})
}

// A move that was judged by the only version is refused once another version refers
// to the blob, even if that one has replaced the first.
func testMoveOnly(f *fixture) {
	f.addBackend(there)
	b := f.bucket("b")
	of := func(v meta.Version) *meta.Referrer {
		return &meta.Referrer{Bucket: v.Bucket, Key: v.Key, Version: v.ID}
	}
	v := f.put(b, "k")
	m := f.copying(v.Body.Blob)
	m.Only = of(v)
	refused := func(why string) {
		f.Helper()
		if err := f.s.MoveBlob(f.ctx, m); !errors.Is(err, meta.ErrDemands) {
			f.Fatalf("%s: %v", why, err)
		}
		f.wantAt(v.Body.Blob, here)
	}
	other := f.demanding("other")
	f.ok(f.share(other, "copy", v.Body.Blob, here))
	refused("a second version")
	f.remove(b, "k")
	refused("another version")
	f.remove(other, "copy")
	f.is(f.s.MoveBlob(f.ctx, m), meta.ErrConflict) // no such place
	f.ok(f.s.ReleaseCopy(f.ctx, f.holder, v.Body.Blob, there, f.now))

	v = f.put(b, "k")
	u := f.upload(other, "parts")
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, v.Body.Blob), Share: true}))
	m = f.copying(v.Body.Blob)
	m.Only = of(v)
	refused("a part")
	f.remove(b, "k")
	refused("a part alone")

	// With a single reference, other demands do not count, even when the version is
	// no longer current.
	v = f.put(b, "k")
	m = f.copying(v.Body.Blob)
	m.Only = of(v)
	f.demanding("third")
	f.ok(f.s.MoveBlob(f.ctx, m))
	f.wantAt(v.Body.Blob, there)
	f.ok(f.setVersioning(b, meta.VersioningEnabled, false))
	v = f.version(b, "versions", blobBody(f.reserve(1)[0]))
	v.Null = false
	for _, v := range []meta.Version{v, f.version(b, "versions", meta.Body{})} {
		v.Null = false
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: meta.VersioningEnabled, Holder: f.holder}))
	}
	m = f.copying(v.Body.Blob)
	m.Only = of(v)
	f.ok(f.s.MoveBlob(f.ctx, m))
	f.wantAt(v.Body.Blob, there)
	f.checkLedger()
}

// A move that was judged by all buckets is refused after another bucket with a
// residency was created.
func testMoveDemands(f *fixture) {
	f.addBackend(there)
	b := f.bucket("b")
	id := f.put(b, "k").Body.Blob
	m := f.copying(id)
	f.bucket("free")
	strict := f.demanding("strict")
	f.is(f.s.MoveBlob(f.ctx, m), meta.ErrDemands)
	f.wantAt(id, here)
	// A deleted bucket counts too, because its objects may have been copied.
	m = f.copying(id)
	f.ok(f.s.DeleteBucket(f.ctx, strict))
	f.ok(f.s.MoveBlob(f.ctx, m))
	f.wantAt(id, there)
	n, err := f.s.Demands(f.ctx)
	f.ok(err)
	same(f, n, m.Demands)
}

// A body is shared only at the place where it was found.
func testShareAt(f *fixture) {
	f.addBackend(there)
	b := f.bucket("b")
	id, second := f.put(b, "k").Body.Blob, f.put(b, "l").Body.Blob
	strict := f.demanding("strict")
	f.ok(f.move(id, here, there))
	u := f.upload(strict, "parts")
	f.is(f.share(strict, "copy", id, here), meta.ErrBodyGone)
	put := func(at ...meta.BackendID) error {
		return f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, second, id), Share: true, At: at})
	}
	f.is(put(here, here), meta.ErrBodyGone)
	f.wantBlob(id, meta.BlobLive, 1)
	f.wantBlob(second, meta.BlobLive, 1)
	if put(here) == nil {
		f.Fatal("places of one blob pass for those of two")
	}
	f.ok(f.share(strict, "copy", id, there))
	f.ok(put(here, there))
	f.ok(f.share(strict, "anywhere", id, 0))
	f.wantBlob(id, meta.BlobLive, 4)
	f.checkLedger()
}

// In whatever order a copy into a demanding bucket and a move of the same blob
// happen, the bucket's bytes stay where they were found.
func testDemandsRaced(f *fixture) {
	f.addBackend(there)
	b, strict := f.bucket("b"), f.demanding("strict")
	const blobs = 16
	moves := make([]meta.Move, blobs)
	for i := range moves {
		v := f.put(b, fmt.Sprint("k", i))
		moves[i] = f.copying(v.Body.Blob)
		moves[i].Only = &meta.Referrer{Bucket: b, Key: v.Key, Version: v.ID}
	}
	errs := make([]error, 2*blobs)
	together(len(errs), func(n int) {
		if m := moves[n/2]; n%2 == 0 {
			errs[n] = f.s.MoveBlob(f.ctx, m)
		} else {
			errs[n] = f.share(strict, fmt.Sprint("copy ", n/2), m.ID, here)
		}
	})
	for i, m := range moves {
		moved, copied := errs[2*i], errs[2*i+1]
		if copied == nil {
			f.is(moved, meta.ErrDemands)
			f.wantAt(m.ID, here)
		} else {
			f.is(copied, meta.ErrBodyGone)
			f.ok(moved)
			f.wantAt(m.ID, there)
		}
	}
	f.checkLedger()
}
