package engine

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/meta"
)

// endings are all ways in which the row of a part gives up its blobs: what makes an
// upload of the key "edited" in a bucket, and what ends a part of it.
var endings = map[string]struct {
	begin, end func(r *rowRig, b meta.Bucket, id meta.ID)
}{
	"sent again": {nil, func(r *rowRig, b meta.Bucket, id meta.ID) { r.part(b, id, 1, "anew") }},
	"surplus": {func(r *rowRig, b meta.Bucket, id meta.ID) {
		p := r.part(b, id, 2, "the only part that is chosen")
		_, err := r.e.CompleteUpload(r.t.Context(), CompleteUpload{Bucket: b, Key: "edited", Upload: id, Parts: []CompletedPart{{Number: 2, ETag: p.ETag}}, Size: -1})
		r.ok(err)
	}, func(r *rowRig, b meta.Bucket, id meta.ID) {}},
	"aborted": {nil, func(r *rowRig, b meta.Bucket, id meta.ID) {
		r.ok(r.e.AbortUpload(r.t.Context(), b, "edited", id, time.Time{}))
	}},
	"of an object that is removed": {func(r *rowRig, b meta.Bucket, id meta.ID) {
		p := r.part(b, id, 1, "the only part")
		_, err := r.e.CompleteUpload(r.t.Context(), CompleteUpload{Bucket: b, Key: "edited", Upload: id, Parts: []CompletedPart{{Number: 1, ETag: p.ETag}}, Size: -1})
		r.ok(err)
	}, func(r *rowRig, b meta.Bucket, id meta.ID) {
		_, err := r.e.DeleteObject(r.t.Context(), b, DeleteObject{Key: "edited", Owner: b.Owner})
		r.ok(err)
	}},
	"of a bucket that is removed": {nil, func(r *rowRig, b meta.Bucket, id meta.ID) { r.ok(r.e.Buckets().Delete(r.t.Context(), b)) }},
}

func (r *rowRig) part(b meta.Bucket, upload meta.ID, number int, text string) Part {
	r.t.Helper()
	p, err := r.e.UploadPart(r.t.Context(), UploadPart{Bucket: b, Key: "edited", Upload: upload, Number: number,
		Body: Body{Reader: bytes.NewReader([]byte(text)), Size: int64(len(text))}})
	r.ok(err)
	return p
}

// collectAll collects until what was condemned is deleted.
func (r *rowRig) collectAll() {
	r.t.Helper()
	for range 4 {
		_, err := r.e.Blobs().Collect(context.Background())
		r.ok(err)
	}
}

func (r *rowRig) count(query string, args ...any) (n int) {
	r.t.Helper()
	r.ok(r.db.QueryRow("SELECT COUNT(*) FROM "+query, args...).Scan(&n))
	return n
}

// begun begins an upload of the key "edited" that has a part 1.
func (r *rowRig) begun(b meta.Bucket, begin func(*rowRig, meta.Bucket, meta.ID)) meta.ID {
	r.t.Helper()
	u, err := r.e.CreateUpload(r.t.Context(), CreateUpload{Bucket: b, Key: "edited", Owner: b.Owner})
	r.ok(err)
	r.part(b, u.ID, 1, "the part that is edited")
	if begin != nil {
		begin(r, b, u.ID)
	}
	return u.ID
}

// The row of a part that was edited to name the blob of another object takes no byte of
// that along, however the part ends, and the damage is reported.
func TestEditedPartsTakeNoOtherBytesAlong(t *testing.T) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			r := newRowRig(t)
			b := r.bucket("of-uploads")
			want := "the bytes of the victim"
			r.put(r.b, "victim", want, Marks{})
			id := r.begun(b, ending.begin)
			r.edit("UPDATE parts SET blobs = (SELECT body_id FROM objects WHERE key = ?) WHERE upload_id = ? AND number = 1", []byte("victim"), id[:])
			met := 0
			r.e.Damage().OnDamage(func(d *damage.Damage) { met++ })
			ending.end(r, b, id)
			r.collectAll()
			if met == 0 {
				t.Error("no damage is reported")
			}
			r.wantWhole("victim", nil, []byte(want))
		})
	}
}

// Parts that nobody edited give up their bytes in each of these ways, and the keys of a
// bucket that was removed go after those of its parts.
func TestDisplacedPartsGiveUpTheirBytes(t *testing.T) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			r := newRowRig(t)
			b := r.bucket("of-uploads")
			id := r.begun(b, ending.begin)
			var blob []byte
			r.ok(r.db.QueryRow("SELECT blobs FROM parts WHERE upload_id = ? AND number = 1", id[:]).Scan(&blob))
			ending.end(r, b, id)
			r.collectAll()
			if n := r.count("blobs WHERE id = ?", blob); n > 0 {
				t.Error("the bytes are kept")
			}
			if gone := r.count("buckets WHERE id = ?", b.ID[:]) == 0; gone && r.count("bucket_seeds WHERE bucket_id = ?", b.ID[:])+r.count("dying_buckets") > 0 {
				t.Error("something is left of the bucket")
			}
			if fs := r.findings(); len(fs) > 0 {
				t.Errorf("fsck: %+v", fs)
			}
		})
	}
}

// A surplus part that changed places with a chosen one is not trimmed: put back, the
// object is whole.
func TestPartsThatChangedPlacesAreNotTrimmed(t *testing.T) {
	r := newRowRig(t)
	u, whole := r.surplus("k", nil)
	swap := func() {
		for _, move := range [][2]int{{1, 9}, {2, 1}, {9, 2}} {
			r.edit("UPDATE parts SET number = ? WHERE upload_id = ? AND number = ?", move[1], u.ID[:], move[0])
		}
	}
	swap()
	r.collectAll()
	if n := r.parts(u); n != 3 {
		t.Errorf("%d parts are left", n)
	}
	swap()
	r.wantWhole("k", nil, whole)
}
