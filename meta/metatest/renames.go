package metatest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// renaming returns a rename of v, sealed again for the other key.
func (f *fixture) renaming(v meta.Version, to string) meta.Rename {
	return meta.Rename{Bucket: v.Bucket, From: v.Key, To: to, Source: v.ID, Revision: v.Revision, Now: f.now.Add(time.Hour),
		Version: meta.Version{ID: meta.NewID(), Generation: 9, WrappedKey: []byte("wrapped for " + to), Manifest: []byte("manifest of " + to),
			ListRecord: []byte("record of " + to), Marks: []byte("marks of " + to)}}
}

// renamed returns v after a rename.
func renamed(v meta.Version, r meta.Rename) meta.Version {
	n := r.Version
	v.Key, v.ID, v.Generation, v.Revision = r.To, n.ID, n.Generation, 0
	v.WrappedKey, v.Manifest, v.ListRecord, v.Marks = n.WrappedKey, n.Manifest, n.ListRecord, n.Marks
	return v
}

// wantObject fails the test unless the key holds v.
func (f *fixture) wantObject(v meta.Version) {
	f.Helper()
	got, err := f.s.Object(f.ctx, v.Bucket, v.Key)
	f.ok(err)
	same(f, got, v)
}

func (f *fixture) wantNone(bucket meta.ID, key string) {
	f.Helper()
	_, err := f.s.Object(f.ctx, bucket, key)
	f.is(err, meta.ErrNotFound)
}

func (f *fixture) wantUsage(bucket meta.ID, want meta.Usage) {
	f.Helper()
	got, err := f.s.BucketUsage(f.ctx, bucket)
	f.ok(err)
	same(f, got, want)
}

// A renamed object is unchanged, except for the fields that are bound to its name.
func testRename(f *fixture) {
	b := f.bucket("b")
	v := f.version(b, "from", blobBody(f.reserve(1)[0]))
	v.Encryption, v.Class, v.Marks = meta.EncryptionCustomer, "GLACIER", []byte("marks")
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Holder: f.holder}))
	other := f.put(b, "other")
	used, err := f.s.BucketUsage(f.ctx, b)
	f.ok(err)
	for _, to := range []string{"to", "a", "from/under", "\xff"} { // later and earlier keys
		r := f.renaming(v, to)
		f.ok(f.s.RenameObject(f.ctx, r))
		f.wantNone(b, v.Key)
		v = renamed(v, r)
		f.wantObject(v)
		f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
		f.wantUsage(b, used)
	}
	f.wantObject(other)
	page, err := f.s.ListObjects(f.ctx, meta.ListQuery{Bucket: b, Limit: 10})
	f.ok(err)
	if len(page.Entries) != 2 || page.Entries[0].Key != "other" || page.Entries[1].Key != "\xff" || page.Entries[1].Version != v.ID {
		f.Fatalf("listed: %+v", page.Entries)
	}
	f.put(b, "from") // the name is free
	f.remove(b, v.Key)
	f.wantBlob(v.Body.Blob, meta.BlobDead, 0)
	f.checkLedger()
}

// The object of the other key is replaced, and its body dies with the last
// reference.
func testRenameOver(f *fixture) {
	b := f.bucket("b")
	from, to := f.put(b, "from"), f.put(b, "to")
	shared := f.version(b, "shares", to.Body)
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: shared, Share: true}))
	r := f.renaming(from, "to")
	r.Expect = meta.Expect{Kind: meta.ExpectVersion, Version: to.ID}
	f.ok(f.s.RenameObject(f.ctx, r))
	f.wantNone(b, "from")
	from = renamed(from, r)
	f.wantObject(from)
	f.wantBlob(to.Body.Blob, meta.BlobLive, 1)
	f.wantUsage(b, meta.Usage{Bytes: 2 * from.Size, Versions: 2})

	r = f.renaming(from, "shares")
	f.ok(f.s.RenameObject(f.ctx, r))
	from = renamed(from, r)
	f.wantObject(from)
	f.wantBlob(to.Body.Blob, meta.BlobDead, 0)
	f.wantUsage(b, meta.Usage{Bytes: from.Size, Versions: 1})
	dead, err := f.s.DeadBlobs(f.ctx, here, r.Now, 10)
	f.ok(err)
	if len(dead) != 0 {
		f.Fatal("a body was condemned by the time of the object that took its name")
	}

	// One body under both names, and a body of parts.
	again := f.version(b, "again", from.Body)
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: again, Share: true}))
	f.ok(f.s.RenameObject(f.ctx, f.renaming(again, "shares")))
	f.wantBlob(from.Body.Blob, meta.BlobLive, 1)
	u := f.upload(b, "parts")
	f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, f.reserve(1)...), Holder: f.holder}))
	done := f.completion(u.ID, meta.PartRun{First: 1, Count: 1})
	done.Version.Bucket, done.Version.Key = b, "parts"
	f.ok(f.s.CompleteUpload(f.ctx, done))
	made, err := f.s.Object(f.ctx, b, "parts")
	f.ok(err)
	r = f.renaming(made, "shares")
	f.ok(f.s.RenameObject(f.ctx, r))
	f.wantObject(renamed(made, r))
	f.wantBlob(from.Body.Blob, meta.BlobDead, 0)
	f.checkLedger()
	f.remove(b, "shares")
	f.sweepAll()
	f.checkLedger()
}

// A refused rename changes nothing.
func testRenameRefused(f *fixture) {
	b := f.bucket("b")
	from, to := f.put(b, "from"), f.put(b, "to")
	token := meta.RenameToken{ID: [32]byte{1}, Digest: [32]byte{2}}
	refuse := func(want error, change func(*meta.Rename)) {
		f.Helper()
		r := f.renaming(from, "to")
		r.Token = token
		change(&r)
		err := f.s.RenameObject(f.ctx, r)
		if want == nil && err == nil {
			f.Fatal("it was taken")
		}
		if want != nil {
			f.is(err, want)
		}
		f.wantObject(from)
		f.wantObject(to)
		_, err = f.s.Renamed(f.ctx, token.ID)
		f.is(err, meta.ErrNotFound)
	}
	refuse(meta.ErrNotFound, func(r *meta.Rename) { r.From = "absent" })
	refuse(meta.ErrNoBucket, func(r *meta.Rename) { r.Bucket = meta.NewID() })
	refuse(meta.ErrConflict, func(r *meta.Rename) { r.Source = meta.NewID() })
	refuse(meta.ErrConflict, func(r *meta.Rename) { r.Revision++ })
	refuse(meta.ErrConflict, func(r *meta.Rename) { r.Expect.Kind = meta.ExpectAbsent })
	refuse(meta.ErrConflict, func(r *meta.Rename) { r.Expect = meta.Expect{Kind: meta.ExpectVersion, Version: from.ID} })
	refuse(meta.ErrConflict, func(r *meta.Rename) {
		r.To, r.Expect = "new", meta.Expect{Kind: meta.ExpectVersion, Version: to.ID}
	})
	f.wantNone(b, "new")
	refuse(meta.ErrLimit, func(r *meta.Rename) { r.To = strings.Repeat("k", meta.MaxKeyBytes+1) })
	refuse(meta.ErrLimit, func(r *meta.Rename) { r.To = "" })
	refuse(meta.ErrLimit, func(r *meta.Rename) { r.Version.Marks = make([]byte, meta.MaxMarks+1) })
	refuse(nil, func(r *meta.Rename) { r.To = r.From })
	refuse(nil, func(r *meta.Rename) { r.Version.ID = meta.ID{} })
	refuse(nil, func(r *meta.Rename) { r.Source = meta.ID{} })

	// Neither key may be locked.
	for _, v := range []*meta.Version{&from, &to} {
		hold := func(on bool) {
			v.Lock.Hold = on
			f.ok(f.s.AmendVersion(f.ctx, b, meta.Amendment{Key: v.Key, Version: v.ID, Revision: v.Revision, Lock: v.Lock, ListRecord: v.ListRecord}))
			v.Revision++
		}
		hold(true)
		refuse(meta.ErrLocked, func(*meta.Rename) {})
		hold(false)
	}
	f.ok(f.setVersioning(b, meta.VersioningEnabled, false))
	refuse(meta.ErrVersioning, func(*meta.Rename) {})
	f.ok(f.setVersioning(b, meta.VersioningSuspended, false))
	refuse(meta.ErrVersioning, func(*meta.Rename) {})
	f.checkLedger()
}

// A token is known after its rename, until it is forgotten.
func testRenameTokens(f *fixture) {
	b := f.bucket("b")
	v := f.put(b, "0")
	token := func(n int) meta.RenameToken {
		return meta.RenameToken{ID: [32]byte{byte(n), 0xff}, Digest: [32]byte{31: byte(n)}}
	}
	for n := 1; n <= 3; n++ {
		r := f.renaming(v, fmt.Sprint(n))
		r.Token, r.Now = token(n), f.now.Add(time.Duration(n)*time.Hour)
		f.ok(f.s.RenameObject(f.ctx, r))
		f.is(f.s.RenameObject(f.ctx, r), meta.ErrExists) // rather than ErrNotFound
		v = renamed(v, r)
		digest, err := f.s.Renamed(f.ctx, r.Token.ID)
		f.ok(err)
		same(f, digest, r.Token.Digest)
	}
	r := f.renaming(v, "4")
	r.Token = token(1)
	f.is(f.s.RenameObject(f.ctx, r), meta.ErrExists)
	f.wantObject(v)
	forget := func(before time.Time, limit, want int) {
		f.Helper()
		n, err := f.s.ForgetRenames(f.ctx, before, limit)
		f.ok(err)
		same(f, n, want)
	}
	forget(f.now.Add(time.Hour), 10, 0)
	forget(f.now.Add(3*time.Hour), 1, 1)
	_, err := f.s.Renamed(f.ctx, token(1).ID)
	f.is(err, meta.ErrNotFound)
	forget(f.now.Add(3*time.Hour), 10, 1)
	_, err = f.s.Renamed(f.ctx, token(3).ID)
	f.ok(err)
	f.ok(f.s.RenameObject(f.ctx, r)) // token 1 is free again
	f.wantObject(renamed(v, r))
	for _, n := range []int{0, meta.MaxPage + 1} {
		_, err := f.s.ForgetRenames(f.ctx, f.now, n)
		f.is(err, meta.ErrLimit)
	}
}

// Of concurrent renames of one source, one wins. Of a rename that is sent several
// times, the others get ErrExists.
func testRenameOneWinner(f *fixture) {
	b := f.bucket("b")
	for round := range 5 {
		v := f.put(b, fmt.Sprint("source ", round))
		const callers = 12
		errs := make([]error, callers)
		calls := make([]meta.Rename, callers)
		for i := range calls {
			calls[i] = f.renaming(v, fmt.Sprint("target ", round, " ", i))
			if round%2 == 1 { // all have the same token
				calls[i].To, calls[i].Token = "target", meta.RenameToken{ID: [32]byte{byte(round)}}
			}
		}
		together(callers, func(i int) { errs[i] = f.s.RenameObject(f.ctx, calls[i]) })
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				f.wantObject(renamed(v, calls[i]))
			} else if round%2 == 1 {
				f.is(err, meta.ErrExists)
			} else {
				f.is(err, meta.ErrNotFound)
				f.wantNone(b, calls[i].To)
			}
		}
		if won != 1 {
			f.Fatalf("%d renames won", won)
		}
		f.wantNone(b, v.Key)
		f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
	}
	f.checkLedger()
}

// Many objects change names concurrently, also with one another's, and against
// removals and writes: each remaining body has one name.
func testRenameRaced(f *fixture) {
	b := f.bucket("b")
	const keys, actors, steps = 6, 6, 40
	name := func(i int) string { return fmt.Sprint("k", i) }
	seeds := f.random()
	picks := make([][steps][3]int, actors)
	for a := range picks {
		for s := range picks[a] {
			picks[a][s] = [3]int{seeds.IntN(keys), seeds.IntN(keys - 1), seeds.IntN(8)}
		}
	}
	var made atomic.Int64
	together(actors, func(a int) {
		for _, p := range picks[a] {
			err := f.renameRacer(b, name(p[0]), name((p[0]+1+p[1])%keys), p[2])
			if err == nil {
				made.Add(1)
			} else if !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrNotFound) {
				f.Error(err)
				return
			}
		}
	})
	if made.Load() < actors*steps/4 {
		f.Fatalf("only %d intents were carried out: the test sees nothing", made.Load())
	}
	named := make(map[meta.BlobID]string)
	for i := range keys {
		v, err := f.s.Object(f.ctx, b, name(i))
		if errors.Is(err, meta.ErrNotFound) {
			continue
		}
		f.ok(err)
		if was, ok := named[v.Body.Blob]; ok {
			f.Fatalf("one body is named %s and %s", was, v.Key)
		}
		named[v.Body.Blob] = v.Key
		f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
	}
	f.checkLedger()
}

// renameRacer writes, removes or renames the object of a key.
func (f *fixture) renameRacer(b meta.ID, from, to string, what int) error {
	v, err := f.s.Object(f.ctx, b, from)
	switch {
	case errors.Is(err, meta.ErrNotFound) || err == nil && what == 0:
		id := newBlob()
		if err := f.s.Reserve(f.ctx, f.holder, here, []meta.BlobID{id}, f.now); err != nil {
			return err
		}
		return f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, from, blobBody(id)), Holder: f.holder})
	case err != nil:
		return err
	case what == 1:
		_, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, []meta.Removal{{Key: from}, {Key: to}}, f.now)
		return err
	}
	r := f.renaming(v, to)
	if what%2 == 0 {
		r.Expect.Kind = meta.ExpectAbsent
	}
	return f.s.RenameObject(f.ctx, r)
}

// Objects that move only to free names are all there at the end.
func testRenameLosesNone(f *fixture) {
	b := f.bucket("b")
	const objects, keys, actors, steps = 4, 7, 6, 40
	bodies := make(map[meta.BlobID]bool)
	for i := range objects {
		bodies[f.put(b, fmt.Sprint("k", i)).Body.Blob] = true
	}
	seeds := f.random()
	picks := make([][steps][2]int, actors)
	for a := range picks {
		for s := range picks[a] {
			picks[a][s] = [2]int{seeds.IntN(keys), seeds.IntN(keys - 1)}
		}
	}
	var moved atomic.Int64
	together(actors, func(a int) {
		for _, p := range picks[a] {
			v, err := f.s.Object(f.ctx, b, fmt.Sprint("k", p[0]))
			if err == nil {
				r := f.renaming(v, fmt.Sprint("k", (p[0]+1+p[1])%keys))
				r.Expect.Kind = meta.ExpectAbsent
				if err = f.s.RenameObject(f.ctx, r); err == nil {
					moved.Add(1)
				}
			}
			if err != nil && !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrNotFound) {
				f.Error(err)
				return
			}
		}
	})
	if moved.Load() == 0 {
		f.Fatal("nothing was renamed: the test sees nothing")
	}
	page, err := f.s.ScanObjects(f.ctx, meta.ObjectPosition{}, 10)
	f.ok(err)
	for _, o := range page {
		if !bodies[o.Body.Blob] {
			f.Fatalf("%s has a body that it should not have, or that another has", o.Key)
		}
		delete(bodies, o.Body.Blob)
	}
	if len(bodies) > 0 {
		f.Fatalf("%d objects are lost", len(bodies))
	}
	f.wantUsage(b, meta.Usage{Bytes: objects * 12345, Versions: objects})
	f.checkLedger()
}
