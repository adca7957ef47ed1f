package metatest

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// A version whose row is not proven goes as any other, and keeps its body's reference.
// The row that is judged is the whole one.
func testUnproven(f *fixture) {
	b := f.bucket("b")
	version := func(key string) meta.Version {
		v := f.version(b, key, blobBody(f.reserve(1)[0]))
		v.Class, v.Marks, v.Encryption = "GLACIER", []byte("marks"), meta.EncryptionKMS
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Holder: f.holder}))
		return v
	}
	for _, proven := range []bool{false, true} {
		var judged []meta.Version
		prove := func(v *meta.Version) bool { judged = append(judged, *v); return proven }
		displaced := map[string]meta.Version{}
		for _, key := range []string{"overwritten", "completed", "renamed over", "removed", "one of two"} {
			displaced[key] = version(key)
		}
		source := f.put(b, "source")
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "overwritten", meta.Body{}), Prove: prove}))
		u := f.upload(b, "completed")
		f.putPart(u.ID, 1)
		c := f.completion(u.ID, meta.PartRun{First: 1, Count: 1})
		c.Prove = prove
		f.ok(f.s.CompleteUpload(f.ctx, c))
		r := f.renaming(source, "renamed over")
		r.Prove = prove
		f.ok(f.s.RenameObject(f.ctx, r))
		for _, rs := range [][]meta.Removal{{{Key: "removed", Prove: prove}}, {{Key: "one of two", Prove: prove}, {Key: "absent", Prove: prove}}} {
			done, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, rs, f.now)
			f.ok(err)
			f.ok(done[0].Err)
			if v := done[0].Found; v.ListRecord != nil || v.Marks != nil {
				f.Errorf("%s: a removal returns sealed parts", rs[0].Key)
			}
		}
		seen := make(map[string]bool)
		for _, v := range judged {
			want := displaced[v.Key]
			want.WrappedKey, want.Manifest = nil, nil
			same(f, v, want)
			seen[v.Key] = true
		}
		for key, v := range displaced {
			if !seen[key] {
				f.Errorf("%s: the row is not judged", key)
			}
			if proven {
				f.wantBlob(v.Body.Blob, meta.BlobDead, 0)
			} else {
				f.wantBlob(v.Body.Blob, meta.BlobLive, 1)
			}
			if now, err := f.s.Object(f.ctx, b, key); err == nil && now.ID == v.ID {
				f.Errorf("%s: the row stays", key)
			}
		}
		for _, key := range []string{"overwritten", "completed", "renamed over"} {
			f.remove(b, key)
		}
	}
}

// Blobs of a part whose row is not proven keep their references, however the part ends.
// The whole row is judged, and an upload that cannot be judged yet stays.
func testUnprovenParts(f *fixture) {
	b := f.bucket("b")
	for _, proven := range []bool{false, true} {
		wantBlob := func(p meta.Part) {
			f.Helper()
			if proven {
				f.wantBlob(p.Blobs[0], meta.BlobDead, 0)
			} else {
				f.wantBlob(p.Blobs[0], meta.BlobLive, 1)
			}
		}
		var judged []meta.Part
		prove := func(p *meta.Part) bool { judged = append(judged, *p); return proven }
		wantJudged := func(p meta.Part) {
			f.Helper()
			p.Modified = time.Time{} // it says nothing of bytes
			// A transaction that is repeated judges again.
			same(f, slices.CompactFunc(judged, func(a, b meta.Part) bool { return reflect.DeepEqual(a, b) }), []meta.Part{p})
			judged = nil
		}
		u := f.upload(b, "k")
		replaced := f.putPart(u.ID, 1)
		f.ok(f.s.PutPart(f.ctx, meta.PutPart{Part: f.part(u.ID, 1, f.reserve(1)...), Holder: f.holder, Prove: prove}))
		wantJudged(replaced)
		wantBlob(replaced)

		surplus := f.putPart(u.ID, 2)
		chosen := []meta.PartRun{{First: 1, Count: 1}}
		f.ok(f.s.CompleteUpload(f.ctx, f.completion(u.ID, chosen...)))
		if _, err := f.s.TrimUploads(f.ctx, []meta.Trim{{Upload: u.ID, Chosen: chosen, Prove: prove}}, 100, f.now); err != nil {
			f.Fatal(err)
		}
		wantJudged(surplus)
		wantBlob(surplus)
		f.remove(b, "k")
		f.sweepAll()

		aborted := f.upload(b, "k")
		swept := f.putPart(aborted.ID, 1)
		f.ok(f.s.AbortUpload(f.ctx, aborted.ID))
		notYet := meta.ErrUnjudged
		judge := func(of *meta.Upload) (meta.ProvePart, error) {
			if of.ID != aborted.ID || of.Bucket != b || of.Generation != aborted.Generation {
				f.Errorf("upload %s of bucket %s is judged", of.ID, of.Bucket)
			}
			return prove, notYet
		}
		sweep := func(want bool) { // before the time by which uploads dated now have ended
			f.Helper()
			for range 3 {
				if _, err := f.s.Sweep(f.ctx, 100, f.later(), f.now, judge); err != nil {
					f.Fatal(err)
				}
			}
			rows, err := f.s.ScanParts(f.ctx, aborted.ID, 0, 10)
			f.ok(err)
			if (len(rows) > 0) != want {
				f.Errorf("%d parts are left", len(rows))
			}
		}
		sweep(true)
		notYet = errors.New("no keys")
		sweep(true)
		notYet = nil
		sweep(false)
		wantJudged(swept)
		wantBlob(swept)
	}
}
