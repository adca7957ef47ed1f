package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// inUse fills a bucket with every kind of version and an open upload, by every road
// that makes or changes a row. It returns the names of all versions.
func (r *rowRig) inUse(off meta.Bucket) (refs []namedVersion) {
	r.t.Helper()
	ctx := r.t.Context()
	add := func(b meta.Bucket, key string, ref meta.VersionRef) { refs = append(refs, namedVersion{b, key, ref}) }
	for i := range 3 {
		add(r.b, "put", r.put(r.b, "put", fmt.Sprint("text ", i), lockedMarks()).Version)
	}
	tagged := r.put(r.b, "tagged", "text", Marks{})
	_, err := r.e.ChangeMarks(ctx, Subject{Bucket: r.b, Key: "tagged", Version: tagged.Version}, func(m *Marks) error { m.Tags = []Pair{{Name: "a", Value: "b"}}; return nil })
	r.ok(err)
	_, err = r.e.Hold(ctx, Subject{Bucket: r.b, Key: "tagged", Version: tagged.Version}, true)
	r.ok(err)
	add(r.b, "tagged", tagged.Version)
	deleted, err := r.e.DeleteObject(ctx, r.b, DeleteObject{Key: "tagged", Owner: r.b.Owner})
	r.ok(err)
	add(r.b, "tagged", deleted.Version)
	copied, err := r.e.CopyObject(ctx, CopyObject{SourceBucket: r.b, SourceKey: "put", Bucket: r.b, Key: "copy", Owner: r.b.Owner})
	r.ok(err)
	add(r.b, "copy", copied.Version)
	add(r.b, "parts", r.completed(r.b, "parts", "body of a part").Version)
	reclassed := r.put(r.b, "reclassed", "text", Marks{})
	v, err := r.e.store.Version(ctx, r.b.ID, "reclassed", reclassed.Version)
	r.ok(err)
	_, err = r.e.Reclass(ctx, r.b, &v, "GLACIER_IR")
	r.ok(err)
	add(r.b, "reclassed", reclassed.Version)
	r.put(off, "from", "text", Marks{Tags: []Pair{{Name: "c", Value: "d"}}})
	r.ok(r.e.RenameObject(ctx, RenameObject{Bucket: off, Source: "from", Key: "to", Asker: off.Owner}))
	add(off, "to", meta.VersionRef{})
	_, err = r.e.CreateUpload(ctx, CreateUpload{Bucket: r.b, Key: "upload", Owner: r.b.Owner})
	r.ok(err)
	return refs
}

type namedVersion struct {
	b   meta.Bucket
	key string
	ref meta.VersionRef
}

func (r *rowRig) completed(b meta.Bucket, key, text string) Object {
	r.t.Helper()
	ctx := r.t.Context()
	u, err := r.e.CreateUpload(ctx, CreateUpload{Bucket: b, Key: key, Owner: b.Owner})
	r.ok(err)
	p, err := r.e.UploadPart(ctx, UploadPart{Bucket: b, Key: key, Upload: u.ID, Number: 1, Body: Body{Reader: strings.NewReader(text), Size: int64(len(text))}})
	r.ok(err)
	o, err := r.e.CompleteUpload(ctx, CompleteUpload{Bucket: b, Key: key, Upload: u.ID, Parts: []CompletedPart{{Number: 1, ETag: p.ETag}}, Size: -1})
	r.ok(err)
	return o
}

// rows are all versions as the store has them.
func (r *rowRig) rows() []meta.Version {
	r.t.Helper()
	page, err := r.e.store.ScanObjects(r.t.Context(), meta.ObjectPosition{}, meta.MaxPage)
	r.ok(err)
	vs := make([]meta.Version, len(page))
	for i := range page {
		r.ok(page[i].Err)
		vs[i] = page[i].Version
	}
	return vs
}

// readable fails the test unless everything can be learnt of all versions, and fsck
// finds nothing.
func (r *rowRig) readable(when string, refs []namedVersion) {
	r.t.Helper()
	for _, n := range refs {
		for name, look := range r.looks(n.b, n.key, n.ref) {
			if _, err := look(); err != nil && !strings.Contains(err.Error(), "MethodNotAllowed") {
				r.t.Errorf("%s: %s of %s, version %v: %v", when, name, n.key, n.ref, err)
			}
		}
	}
	if fs := r.findings(); len(fs) != 0 {
		r.t.Errorf("%s: findings %+v", when, fs)
	}
}

// resealAll takes steps of a few rows until nothing is left, and returns how many rows
// were looked at.
func (r *rowRig) resealAll(limit int) (seen, failed int) {
	r.t.Helper()
	passed := func(_ string, err error) error {
		switch {
		case err == nil, errors.Is(err, meta.ErrConflict), errors.Is(err, meta.ErrNotFound):
			return nil
		case damage.Unlike(err):
			failed++
			return nil
		}
		return err
	}
	for _, step := range []func(*Engine, context.Context, []byte, int, accounts.Passed) ([]byte, int, error){(*Engine).ResealVersions, (*Engine).ResealUploads} {
		for after, first := []byte(nil), true; first || after != nil; first = false {
			next, n, err := step(r.e, r.t.Context(), after, limit, passed)
			r.ok(err)
			if n > limit {
				r.t.Fatalf("a step of %d rows looks at %d", limit, n)
			}
			after, seen = next, seen+n
		}
	}
	return seen, failed
}

// An old store is sealed whole while it is in use: what is written before can be read
// by the release before, both forms can be read in between, and nothing but the new
// one afterwards.
func TestResealRows(t *testing.T) {
	r := newRowRig(t)
	off := r.bucket("never-versioned")
	r.setSealing(meta.SealingLegacy)
	old := r.inUse(off)
	for _, v := range r.rows() {
		keys, err := r.e.Buckets().KeysOf(t.Context(), v.Bucket, 1)
		r.ok(err)
		_, err = keys.OpenListRecord(r.e.name(v.Bucket, v.Key, v.ID), v.ListRecord)
		if (err == nil) == v.Marker || v.Marker && len(v.ListRecord) > 0 {
			t.Errorf("%s, marker %t: the release before cannot read it: %v", v.Key, v.Marker, err)
		}
	}
	r.readable("at first", old)
	r.edit("UPDATE uploads SET settings = settings") // there are some
	r.setSealing(meta.SealingRenewed)
	r.readable("with records", old)
	mixed := append(old, r.inUse(off)...)
	whole := 0
	for _, v := range r.rows() {
		if encrypt.IsWholeRecord(v.ListRecord) {
			whole++
		}
	}
	if whole == 0 || whole == len(r.rows()) {
		t.Fatalf("%d of %d rows are whole: the test sees nothing", whole, len(r.rows()))
	}
	r.readable("mixed", mixed)
	// A row that has its record keeps it, whoever changes it.
	r.setSealing(meta.SealingLegacy)
	last := mixed[len(mixed)-1]
	_, err := r.e.ChangeMarks(t.Context(), Subject{Bucket: last.b, Key: last.key, Version: last.ref}, func(m *Marks) error { m.Tags = nil; return nil })
	r.ok(err)
	v, err := r.e.store.Object(t.Context(), last.b.ID, last.key)
	r.ok(err)
	if !encrypt.IsWholeRecord(v.ListRecord) {
		t.Error("a row lost its record by a change")
	}
	r.setSealing(meta.SealingRenewed)
	before := r.rows()
	if seen, failed := r.resealAll(2); seen < len(before) || failed != 0 {
		t.Errorf("%d rows were looked at, %d failed", seen, failed)
	}
	for i, v := range r.rows() {
		if !encrypt.IsWholeRecord(v.ListRecord) {
			t.Errorf("%s %s is not whole", v.Key, v.Ref())
		}
		was := before[i]
		was.ListRecord, was.Generation = v.ListRecord, v.Generation
		if restOf(&was) != restOf(&v) || *shownOf(&was) != *shownOf(&v) {
			t.Errorf("%s %s became another", v.Key, v.Ref())
		}
	}
	after := r.rows()
	r.resealAll(1000)
	for i, v := range r.rows() {
		if !bytes.Equal(v.ListRecord, after[i].ListRecord) {
			t.Errorf("%s %s was resealed twice", v.Key, v.Ref())
		}
	}
	r.setSealing(meta.SealingWhole)
	r.readable("whole", mixed)
	r.readable("whole", r.inUse(off))
	// The former row is no answer any more.
	for _, was := range before {
		if !encrypt.IsWholeRecord(was.ListRecord) && was.Bucket == r.b.ID {
			restore := r.saved("objects")
			restoreVersions := r.savedAs("versions", "saved_versions")
			for _, table := range []string{"objects", "versions"} {
				_, err := r.db.Exec("UPDATE "+table+" SET list_record = ?, generation = ? WHERE version_id = ?", was.ListRecord, was.Generation, was.ID[:])
				r.ok(err)
			}
			for name, look := range r.looks(r.b, was.Key, was.Ref()) {
				if _, err := look(); !errors.Is(err, errOldRow) {
					t.Errorf("%s %s, put back: %s: %v", was.Key, was.Ref(), name, err)
				}
			}
			if fs := r.findings(); !slices.ContainsFunc(fs, func(f Finding) bool { return f.Kind == "version-edited" && f.Version == was.Ref().String() }) {
				t.Errorf("%s %s, put back: findings %+v", was.Key, was.Ref(), fs)
			}
			restore()
			restoreVersions()
		}
	}
}

// Uploads of the release before do not say who began them, and do so once they are
// resealed.
func TestResealUploads(t *testing.T) {
	r := newRowRig(t)
	r.setSealing(meta.SealingRenewed)
	for _, customer := range []*CustomerKey{nil, {7}} {
		in := CreateUpload{Bucket: r.b, Key: "k", Owner: r.b.Owner, Customer: customer, Marks: Marks{Tags: []Pair{{Name: "a", Value: "b"}}}}
		if customer != nil {
			in.Encryption = meta.EncryptionCustomer
		}
		u, err := r.e.CreateUpload(t.Context(), in)
		r.ok(err)
		// As the release before wrote it.
		open, err := r.e.inProgress(t.Context(), r.b, "k", u.ID)
		r.ok(err)
		settings := *open.settings
		settings.Marks = []byte(`{"marks":{"tags":[{"Name":"a","Value":"b"}]}}`)
		if customer != nil {
			settings.Marks = []byte(`{"marks":{"tags":[{"Name":"a","Value":"b"}]},"encryption":2}`)
		}
		sealed, err := encrypt.SealManifest(open.settingsKey, encrypt.PurposeUpload, r.e.name(r.b.ID, "k", u.ID), &settings)
		r.ok(err)
		r.edit("UPDATE uploads SET settings = ? WHERE id = ?", sealed, u.ID[:])
		look := func() (*openUpload, error) { return r.e.inProgress(t.Context(), r.b, "k", u.ID) }
		_, err = look()
		r.ok(err)
		r.setSealing(meta.SealingWhole)
		if _, err := look(); !errors.Is(err, errUpload) {
			t.Errorf("an upload that says nothing of its beginning, when all do: %v", err)
		}
		if fs := r.findings(); len(fs) != 1 || fs[0].Kind != "upload-edited" {
			t.Errorf("findings %+v", fs)
		}
		r.setSealing(meta.SealingRenewed)
		if _, failed := r.resealAll(1); failed != 0 {
			t.Errorf("%d uploads failed", failed)
		}
		r.setSealing(meta.SealingWhole)
		now, err := look()
		r.ok(err)
		if len(now.promised.Marks.Tags) != 1 || now.promised.Encryption != in.Encryption || now.promised.Begun != begunAs(&now.Upload) {
			t.Errorf("the upload promises %+v", now.promised)
		}
		r.setSealing(meta.SealingRenewed)
	}
}

// A row that does not open is counted and passed over; an edited one is not given a
// record that vouches for it.
func TestResealDamagedRows(t *testing.T) {
	r := newRowRig(t)
	r.setSealing(meta.SealingLegacy)
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		r.put(r.b, key, "text", lockedMarks())
	}
	r.setSealing(meta.SealingRenewed)
	r.edit("UPDATE objects SET marks = NULL WHERE key = CAST('b' AS BLOB)")
	r.edit("UPDATE objects SET list_record = (SELECT o.list_record FROM objects AS o WHERE o.key = CAST('a' AS BLOB)) WHERE key = CAST('c' AS BLOB)")
	r.edit("UPDATE objects SET generation = 9 WHERE key = CAST('d' AS BLOB)")
	if _, failed := r.resealAll(2); failed != 3 {
		t.Errorf("%d rows failed, want 3", failed)
	}
	for _, v := range r.rows() {
		if whole := encrypt.IsWholeRecord(v.ListRecord); whole != (v.Key == "a" || v.Key == "e") {
			t.Errorf("%s: whole %t", v.Key, whole)
		}
	}
	if _, _, err := r.e.ResealVersions(t.Context(), []byte("no cursor"), 1, nil); err == nil {
		t.Error("a cursor that is none is taken")
	}
	if _, _, err := r.e.ResealUploads(t.Context(), make([]byte, 17), 1, nil); err == nil {
		t.Error("a cursor that is none is taken")
	}
}

// While rows are resealed, others change them: no change is lost, and every row that is
// left opens.
func TestResealBesideWriters(t *testing.T) {
	r := newRowRig(t)
	seed := rand.Uint64()
	r.setSealing(meta.SealingLegacy)
	const keys = 8
	key := func(i int) string { return fmt.Sprint("key ", i%keys) }
	for i := range 2 * keys {
		r.put(r.b, key(i), "old", Marks{})
	}
	r.setSealing(meta.SealingRenewed)
	var wg sync.WaitGroup
	counted := make([]int, keys)
	for w := range keys {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(w)))
			for n := range 20 {
				if random.IntN(3) == 0 {
					_, err := r.e.PutObject(t.Context(), PutObject{Bucket: r.b, Key: key(w), Owner: r.b.Owner,
						Body: Body{Reader: strings.NewReader("new"), Size: 3}, Marks: Marks{Tags: []Pair{{Name: "n", Value: fmt.Sprint(n)}}}})
					if err != nil {
						t.Errorf("seed %d: put: %v", seed, err)
					}
				} else if _, err := r.e.ChangeMarks(t.Context(), Subject{Bucket: r.b, Key: key(w)}, func(m *Marks) error { m.Tags = []Pair{{Name: "n", Value: fmt.Sprint(n)}}; return nil }); err != nil {
					t.Errorf("seed %d: amend: %v", seed, err)
				}
				counted[w] = n
			}
		})
	}
	for range 10 {
		r.resealAll(3)
	}
	wg.Wait()
	r.resealAll(3)
	r.setSealing(meta.SealingWhole)
	for w := range keys {
		o, err := r.e.MarksOf(t.Context(), Subject{Bucket: r.b, Key: key(w)})
		if err != nil || len(o.Marks.Tags) != 1 || o.Marks.Tags[0].Value != fmt.Sprint(counted[w]) {
			t.Errorf("seed %d: %s has tags %v, error %v; want %d", seed, key(w), o.Marks.Tags, err, counted[w])
		}
	}
	if fs := r.findings(); len(fs) != 0 {
		t.Errorf("seed %d: findings %+v", seed, fs)
	}
}
