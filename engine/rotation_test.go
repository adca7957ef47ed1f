package engine

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// rotate gives a bucket a new generation of its keys. b of the caller stays as it was, as that
// of a request under way.
func (r *rowRig) rotate(b meta.Bucket) uint32 {
	r.t.Helper()
	b, err := r.e.Buckets().Get(r.t.Context(), b.Name)
	r.ok(err)
	generation, err := r.e.Buckets().Rotate(r.t.Context(), b)
	r.ok(err)
	return generation
}

// wantGeneration checks that each row that was written since before is of one generation.
func (r *rowRig) wantGeneration(want uint32, bucket meta.ID, before []meta.Version) {
	r.t.Helper()
	old := map[meta.ID]bool{}
	for _, v := range before {
		old[v.ID] = true
	}
	met := 0
	for _, v := range r.rows() {
		if v.Bucket == bucket && !old[v.ID] {
			if met++; v.Generation != want {
				r.t.Errorf("%s of %s is of generation %d, want %d", v.Ref(), v.Key, v.Generation, want)
			}
		}
	}
	if met == 0 {
		r.t.Error("nothing was written: the test sees nothing")
	}
}

// After a rotation each kind of write goes by the new generation, also that of a request
// which began before, and what was written before is what it was.
func TestRotation(t *testing.T) {
	r := newRowRig(t)
	off := r.bucket("never-versioned")
	refs := r.inUse(off)
	before := r.rows()
	if g := r.rotate(r.b); g != 2 {
		t.Errorf("generation %d", g)
	}
	r.rotate(off)
	r.readable("rotated", refs)
	again := r.inUse(off)
	r.wantGeneration(2, r.b.ID, before)
	r.wantGeneration(2, off.ID, before)
	r.readable("written to", append(refs, again...))
	before = r.rows()
	r.rotate(r.b)
	more := r.inUse(off)
	r.wantGeneration(3, r.b.ID, before)
	r.readable("rotated twice", append(append(refs, again...), more...))
}

// A change of an object without a new version keeps the generation of its row, so that all that
// is in a row is of one generation.
func TestRotationBeforeChangesOfMarks(t *testing.T) {
	r := newRowRig(t)
	o := r.put(r.b, "k", "text", lockedMarks())
	r.rotate(r.b)
	b, err := r.e.Buckets().Get(t.Context(), r.b.Name)
	r.ok(err)
	at := Subject{Bucket: b, Key: "k", Version: o.Version}
	_, err = r.e.ChangeMarks(t.Context(), at, func(m *Marks) error { m.Tags = []Pair{{Name: "a", Value: "b"}}; return nil })
	r.ok(err)
	v, err := r.e.store.Version(t.Context(), r.b.ID, "k", o.Version)
	r.ok(err)
	if !UnderOnly(&v, 1) {
		t.Error("the row is not of its generation alone")
	}
	r.readable("changed", []namedVersion{{r.b, "k", o.Version}})
}

// Uploads that were begun before a rotation take parts after it, and complete to objects of
// the new generation: also one of SSE-C, and without its customer's key. The completion may
// have begun before the rotation, too.
func TestRotationBeforeCompletion(t *testing.T) {
	for name, keys := range map[string]struct {
		begins, completes *CustomerKey
		stale             bool
	}{
		"managed": {}, "customer": {begins: &CustomerKey{7}, completes: &CustomerKey{7}}, "completed without the key": {begins: &CustomerKey{7}},
		"managed, begun before": {stale: true}, "completed without the key, begun before": {begins: &CustomerKey{7}, stale: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRowRig(t)
			ctx, body := t.Context(), "the body of a part"
			in := CreateUpload{Bucket: r.b, Key: "k", Owner: r.b.Owner, Customer: keys.begins}
			if keys.begins != nil {
				in.Encryption = meta.EncryptionCustomer
			}
			u, err := r.e.CreateUpload(ctx, in)
			r.ok(err)
			r.rotate(r.b)
			if !keys.stale {
				r.b, err = r.e.Buckets().Get(ctx, r.b.Name)
				r.ok(err)
			}
			p, err := r.e.UploadPart(ctx, UploadPart{Bucket: r.b, Key: "k", Upload: u.ID, Number: 1, Customer: keys.begins, Body: Body{Reader: strings.NewReader(body), Size: int64(len(body))}})
			r.ok(err)
			o, err := r.e.CompleteUpload(ctx, CompleteUpload{Bucket: r.b, Key: "k", Upload: u.ID, Parts: []CompletedPart{{Number: 1, ETag: p.ETag}}, Size: -1, Customer: keys.completes})
			r.ok(err)
			r.wantGeneration(2, r.b.ID, nil)
			g, err := r.e.GetObject(ctx, GetObject{Bucket: r.b, Key: "k", Version: o.Version, Customer: keys.begins})
			r.ok(err)
			defer g.Close()
			var text bytes.Buffer
			if _, err := g.WriteTo(&text); err != nil || text.String() != body {
				t.Errorf("%q, %v", text.String(), err)
			}
			if fs := r.findings(); len(fs) > 0 {
				t.Errorf("%+v", fs)
			}
		})
	}
}

// Another gateway that remembers the keys from before the rotation reads and overwrites what
// is of the new generation, and writes by it at once. No bytes are left over.
func TestRotationOnAnotherGateway(t *testing.T) {
	r := newRowRig(t)
	ctx := t.Context()
	b := r.bucket("shared")
	other := newOther(t, r)
	r.put(b, "k", "first", Marks{})
	other.put(b, "other", "warm", Marks{}) // it remembers the keys
	r.rotate(b)
	r.put(b, "k", "second", Marks{})
	other.readable("by the other", []namedVersion{{b, "k", meta.VersionRef{}}})
	before := r.rows()
	other.put(b, "k", "third", Marks{})
	r.wantGeneration(2, b.ID, before)
	_, err := other.e.DeleteObject(ctx, b, DeleteObject{Key: "k", Owner: b.Owner})
	r.ok(err)
	if fs := r.findings(); len(fs) > 0 {
		t.Errorf("%+v", fs)
	}
	for range 3 {
		_, err := r.e.Blobs().Collect(ctx)
		r.ok(err)
	}
	var left int
	r.ok(r.db.QueryRow("SELECT COUNT(*) FROM blobs").Scan(&left))
	if left != 1 {
		t.Errorf("%d blobs live, want that of the other object", left)
	}
}

// newOther is another gateway over the parts of one.
func newOther(t *testing.T, r *rowRig) *rowRig {
	t.Helper()
	e, err := Open(t.Context(), Config{
		Store: r.e.store.Store, Backends: []blobs.Backend{{Name: "local", Backend: r.backend}}, Keys: r.e.provider, Grace: -1,
	})
	r.ok(err)
	t.Cleanup(func() { e.Close() })
	return &rowRig{t: t, e: e, b: r.b, db: r.db}
}

// generationEdits are those of the rows that say which generations a bucket has, and which is
// written with.
var generationEdits = map[string]string{
	"writes go back":            "UPDATE buckets SET generation = generation - 1",
	"writes go on":              "UPDATE buckets SET generation = generation + 1",
	"out of bounds":             "UPDATE buckets SET generation = -1",
	"the former is the newest":  "UPDATE bucket_seeds SET state = 3 - state",
	"the former is hidden":      "UPDATE bucket_seeds SET state = 1",
	"an unknown state":          "UPDATE bucket_seeds SET state = 3 WHERE generation = 1",
	"the former is removed":     "DELETE FROM bucket_seeds WHERE generation = 1",
	"the newest is removed":     "DELETE FROM bucket_seeds WHERE generation = 2",
	"it belongs to another key": "UPDATE bucket_seeds SET key = CAST('payroll' AS BLOB) WHERE generation = 2",
	"it is older":               "UPDATE bucket_seeds SET created = created - 1000000 WHERE generation = 2",
	"the first has a date":      "UPDATE bucket_seeds SET created = 1 WHERE generation = 1",
	"one is put in":             "INSERT INTO bucket_seeds SELECT bucket_id, 3, wrapped, created, key, 2 FROM bucket_seeds WHERE generation = 1",
	"wraps are swapped":         "UPDATE bucket_seeds SET wrapped = (SELECT wrapped FROM bucket_seeds s WHERE s.generation = 3 - bucket_seeds.generation)",
}

// Nobody who may edit the store has writes go by an older generation, or removes one unseen.
func TestEditsOfGenerations(t *testing.T) {
	for name, edit := range generationEdits {
		r := newRowRig(t)
		r.put(r.b, "old", "text", Marks{})
		r.rotate(r.b)
		r.put(r.b, "new", "text", Marks{})
		r.edit(edit)
		fresh := newOther(t, r)
		b, err := fresh.e.Buckets().Get(t.Context(), r.b.Name)
		if err == nil {
			_, err = fresh.e.PutObject(t.Context(), PutObject{Bucket: b, Key: "k", Owner: b.Owner, Body: Body{Reader: strings.NewReader("text"), Size: 4}})
		}
		if err == nil {
			t.Errorf("%s: it was written to", name)
		}
		if _, err := r.e.Buckets().Get(t.Context(), r.b.Name); err == nil && strings.Contains(edit, "UPDATE buckets ") {
			t.Errorf("%s: a gateway that runs takes it", name)
		}
		if err := fresh.e.Buckets().Prove(&b); err == nil {
			if _, err = fresh.e.Buckets().Generations(t.Context(), b); err == nil && name != "wraps are swapped" {
				t.Errorf("%s: the generations are shown", name)
			}
		}
	}
}

// A bucket has a bounded number of generations, and none but the first while its rows are
// being sealed.
func TestRotationIsRefused(t *testing.T) {
	r := newRowRig(t)
	for range meta.MaxGenerations - 1 {
		r.rotate(r.b)
	}
	b, err := r.e.Buckets().Get(t.Context(), r.b.Name)
	r.ok(err)
	if _, err := r.e.Buckets().Rotate(t.Context(), b); err == nil || !strings.Contains(err.Error(), "16 generations") {
		t.Errorf("one more than it may have: %v", err)
	}
	other := r.bucket("legacy")
	r.setSealing(meta.SealingRenewed)
	if _, err := r.e.Buckets().Rotate(t.Context(), other); err == nil || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("while rows are being sealed: %v", err)
	}
	if _, err := r.e.Buckets().KeysOf(t.Context(), r.b.ID, 99); !errors.Is(err, buckets.ErrNoGeneration) || !errors.Is(err, records.ErrEdited) {
		t.Errorf("a generation that never was: %v", err)
	}
}

// A request that goes on for long, over a whole rotation and the end of the former generation,
// is written by the new one.
func TestRotationDuringARequest(t *testing.T) {
	r := newRowRig(t)
	stale := r.bucket("bucket")
	r.rotate(stale)
	now, err := r.e.Buckets().Get(t.Context(), stale.Name)
	r.ok(err)
	r.ok(r.e.Buckets().Destroy(t.Context(), now, 1))
	r.put(stale, "k", "text", Marks{})
	u, err := r.e.CreateUpload(t.Context(), CreateUpload{Bucket: stale, Key: "u", Owner: stale.Owner})
	r.ok(err)
	r.ok(r.e.AbortUpload(t.Context(), stale, "u", u.ID, time.Time{}))
	r.ok(r.e.Buckets().SetSetting(t.Context(), stale, "policy", []byte("text")))
	_, err = r.e.DeleteObject(t.Context(), stale, DeleteObject{Key: "k", Owner: stale.Owner})
	r.ok(err)
	r.put(stale, "k", "text", Marks{})
	r.wantGeneration(2, stale.ID, nil)
	r.readable("afterwards", []namedVersion{{stale, "k", meta.VersionRef{}}})
}

// destroying rotates the keys of a bucket, and destroys what they were, just before an object
// of it is committed.
type destroying struct {
	meta.Store
	r    *rowRig
	left int // rotations to come
}

func (d *destroying) CommitObject(ctx context.Context, c meta.Commit) error {
	if d.left > 0 {
		d.left--
		b, err := d.r.e.Buckets().Get(ctx, d.r.b.Name)
		d.r.ok(err)
		d.r.rotate(b)
		d.r.ok(d.r.e.Buckets().Destroy(ctx, b, b.Generation))
		d.r.e.forgetOpened()
	}
	return d.Store.CommitObject(ctx, c)
}

// A commit that waits while the keys that it was sealed with are destroyed is sealed anew: no
// row refers to these keys, but its own, which is not stored yet.
func TestKeysDestroyedBeforeCommit(t *testing.T) {
	for rotations := range 3 {
		r := newRowRig(t)
		r.e.store.Store = &destroying{r.e.store.Store, r, rotations}
		o := r.put(r.b, "k", "text", lockedMarks())
		r.wantGeneration(uint32(1+rotations), r.b.ID, nil)
		r.readable("committed late", []namedVersion{{r.b, "k", o.Version}})
		if fs := r.findings(); len(fs) > 0 {
			t.Errorf("%+v", fs)
		}
	}
}
