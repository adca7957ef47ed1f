package engine

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/meta"
)

// displacing are all ways in which the row of the key "edited" gives up its body.
// versioning is the bucket's when that is done.
var displacing = map[string]struct {
	versioning meta.Versioning
	do         func(r *rowRig, b meta.Bucket) error
}{
	"overwrite": {meta.VersioningOff, func(r *rowRig, b meta.Bucket) error { r.put(b, "edited", "anew", Marks{}); return nil }},
	"copy over it": {meta.VersioningOff, func(r *rowRig, b meta.Bucket) error {
		_, err := r.e.CopyObject(r.t.Context(), CopyObject{SourceBucket: b, SourceKey: "another", Bucket: b, Key: "edited", Owner: b.Owner})
		return err
	}},
	"complete over it": {meta.VersioningOff, func(r *rowRig, b meta.Bucket) error { r.multipart(b, "edited"); return nil }},
	"rename over it": {meta.VersioningOff, func(r *rowRig, b meta.Bucket) error {
		return r.e.RenameObject(r.t.Context(), RenameObject{Bucket: b, Source: "another", Key: "edited"})
	}},
	"delete": {meta.VersioningOff, func(r *rowRig, b meta.Bucket) error {
		_, err := r.e.DeleteObject(r.t.Context(), b, DeleteObject{Key: "edited", Owner: b.Owner})
		return err
	}},
	"delete with others": {meta.VersioningOff, func(r *rowRig, b meta.Bucket) error {
		for _, d := range r.e.DeleteObjects(r.t.Context(), b, []DeleteObject{{Key: "another", Owner: b.Owner}, {Key: "edited", Owner: b.Owner}}) {
			if d.Err != nil {
				return d.Err
			}
		}
		return nil
	}},
	"lifecycle": {meta.VersioningOff, func(r *rowRig, b meta.Bucket) error {
		v, err := r.e.store.Object(r.t.Context(), b.ID, "edited")
		if err != nil {
			return err
		}
		done, err := r.e.RemoveVersions(r.t.Context(), b, []RemoveVersion{{Version: &v, Current: v.ID}})
		if err == nil {
			err = done[0].Err
		}
		return err
	}},
	"null over null":     {meta.VersioningSuspended, func(r *rowRig, b meta.Bucket) error { r.put(b, "edited", "anew", Marks{}); return nil }},
	"complete over null": {meta.VersioningSuspended, func(r *rowRig, b meta.Bucket) error { r.multipart(b, "edited"); return nil }},
	"null marker": {meta.VersioningSuspended, func(r *rowRig, b meta.Bucket) error {
		_, err := r.e.DeleteObject(r.t.Context(), b, DeleteObject{Key: "edited", Owner: b.Owner})
		return err
	}},
	"delete the current version": {meta.VersioningEnabled, func(r *rowRig, b meta.Bucket) error {
		_, err := r.e.DeleteObject(r.t.Context(), b, DeleteObject{Key: "edited", Version: meta.VersionRef{Null: true}, Owner: b.Owner})
		return err
	}},
}

// noncurrent are the ways in which a null version that is not current gives up its body.
var noncurrent = map[string]func(r *rowRig, b meta.Bucket) error{
	"null version deleted": displacing["delete the current version"].do,
	"null over a version":  displacing["null over null"].do,
	"null marker":          displacing["null marker"].do,
}

// multipart makes an object of one part, and returns its bytes.
func (r *rowRig) multipart(b meta.Bucket, key string) []byte {
	r.t.Helper()
	ctx, data := r.t.Context(), []byte("the part of "+key)
	u, err := r.e.CreateUpload(ctx, CreateUpload{Bucket: b, Key: key, Owner: b.Owner})
	r.ok(err)
	p, err := r.e.UploadPart(ctx, UploadPart{Bucket: b, Key: key, Upload: u.ID, Number: 1, Body: Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	r.ok(err)
	_, err = r.e.CompleteUpload(ctx, CompleteUpload{Bucket: b, Key: key, Upload: u.ID, Parts: []CompletedPart{{Number: 1, ETag: p.ETag}}, Size: -1})
	r.ok(err)
	return data
}

// versionedAs changes a bucket's versioning.
func (r *rowRig) versionedAs(b meta.Bucket, v meta.Versioning) meta.Bucket {
	r.t.Helper()
	if b.Versioning != v {
		r.ok(r.e.Buckets().SetVersioning(r.t.Context(), b, v))
		now, err := r.e.Buckets().Get(r.t.Context(), b.Name)
		r.ok(err)
		b = now
	}
	return b
}

// A row that was edited to name the body of another object takes no byte of that along
// when it is replaced or removed, which still can be done, and the damage is reported.
func TestEditedRowsTakeNoOtherBytesAlong(t *testing.T) {
	run := func(name, table string, versioning, last meta.Versioning, do func(*rowRig, meta.Bucket) error) {
		for _, body := range []string{"blob", "parts"} {
			t.Run(name+" of "+body, func(t *testing.T) {
				r := newRowRig(t)
				b := r.bucket("free")
				r.put(b, "another", "of no interest", Marks{})
				r.put(b, "edited", "of the row that is edited", Marks{})
				want := []byte("the bytes of the victim")
				if body == "blob" {
					r.put(b, "victim", string(want), Marks{})
				} else {
					want = r.multipart(b, "victim")
				}
				if b = r.versionedAs(b, versioning); table == "versions" {
					r.put(b, "edited", "a version over it", Marks{})
				}
				r.edit("UPDATE "+table+" SET (body_kind, body_id) = (SELECT body_kind, body_id FROM objects WHERE key = ?) WHERE key = ? AND null_version = 1",
					[]byte("victim"), []byte("edited"))
				var met []string
				r.e.Damage().OnDamage(func(d *damage.Damage) { met = append(met, d.Key) })
				r.ok(do(r, r.versionedAs(b, last)))
				if len(met) == 0 || met[0] != "edited" {
					t.Errorf("damage of %q is reported", met)
				}
				for range 3 {
					_, err := r.e.Blobs().Collect(context.Background())
					r.ok(err)
				}
				o, err := r.e.GetObject(t.Context(), GetObject{Bucket: b, Key: "victim"})
				r.ok(err)
				defer o.Close()
				if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, want) {
					t.Errorf("another object is now %q, %v", got, err)
				}
			})
		}
	}
	for name, d := range displacing {
		run(name, "objects", d.versioning, d.versioning, d.do)
	}
	for name, do := range noncurrent {
		run(name+" that is not current", "versions", meta.VersioningEnabled, meta.VersioningSuspended, do)
	}
}

// A row that nobody edited gives up its bytes in each of these ways: the proof costs no
// blob.
func TestDisplacedRowsGiveUpTheirBytes(t *testing.T) {
	for name, d := range displacing {
		t.Run(name, func(t *testing.T) {
			r := newRowRig(t)
			b := r.bucket("free")
			r.put(b, "another", "of no interest", Marks{})
			r.put(b, "edited", "of the row that is displaced", Marks{Tags: []Pair{{Name: "a", Value: "b"}}})
			var id []byte
			r.ok(r.db.QueryRow("SELECT body_id FROM objects WHERE key = ?", []byte("edited")).Scan(&id))
			r.ok(d.do(r, r.versionedAs(b, d.versioning)))
			var left int
			r.ok(r.db.QueryRow("SELECT COUNT(*) FROM blobs WHERE id = ?", id).Scan(&left))
			if left != 0 {
				t.Error("the bytes are kept")
			}
			if fs := r.findings(); len(fs) > 0 {
				t.Errorf("fsck: %+v", fs)
			}
		})
	}
}
