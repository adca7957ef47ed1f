package metatest

import (
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
