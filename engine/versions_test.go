package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// setVersioning changes the rig's bucket and reads it again.
func (r *rig) setVersioning(v meta.Versioning) {
	r.t.Helper()
	if err := r.e.Buckets().SetVersioning(r.t.Context(), r.b, v); err != nil {
		r.t.Fatal(err)
	}
	b, err := r.e.Buckets().Get(r.t.Context(), r.b.Name)
	if err != nil || b.Versioning != v {
		r.t.Fatalf("versioning is %d, error %v; want %d", b.Versioning, err, v)
	}
	r.b = b
}

// wantVersion reads a version and demands its bytes.
func (r *rig) wantVersion(key string, ref meta.VersionRef, want []byte) {
	r.t.Helper()
	rd, err := r.e.GetObject(r.t.Context(), engine.GetObject{Bucket: r.b, Key: key, Version: ref})
	if err != nil {
		r.t.Fatalf("get %q, version %v: %v", key, ref, err)
	}
	defer rd.Close()
	var got bytes.Buffer
	if _, err := rd.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) || rd.Object.Version != ref {
		r.t.Errorf("get %q, version %v: %d bytes of version %v, error %v", key, ref, got.Len(), rd.Object.Version, err)
	}
}

func (r *rig) remove(key string, ref meta.VersionRef) engine.Deleted {
	r.t.Helper()
	d, err := r.e.DeleteObject(r.t.Context(), r.b, engine.DeleteObject{Key: key, Version: ref, Owner: r.b.Owner})
	if err != nil {
		r.t.Fatalf("delete %q, version %v: %v", key, ref, err)
	}
	return d
}

func TestParseVersion(t *testing.T) {
	id := meta.NewID()
	for text, want := range map[string]meta.VersionRef{"null": {Null: true}, id.String(): {ID: id}} {
		if got, err := engine.ParseVersion(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q is %v, error %v", text, got, err)
		}
	}
	for _, foreign := range []string{"01KF2YVN948NAZ4JJR4X1AAVRA", "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH", strings.ToUpper(id.String())} {
		ref, err := engine.ParseVersion(foreign)
		if again, _ := engine.ParseVersion(foreign); err != nil || ref.IsZero() || ref.Null || ref != again || ref.ID == id {
			t.Errorf("%q of another server is %v, error %v", foreign, ref, err)
		}
	}
	for _, text := range []string{"", "x", "NULL", meta.ID{}.String(), strings.Repeat("a/", 16), strings.Repeat("a", 65), "ABCDEF0123456789ABCDEF01 3456789"} {
		if got, err := engine.ParseVersion(text); !errors.Is(err, s3err.InvalidArgument) || !got.IsZero() {
			t.Errorf("%q is %v, error %v", text, got, err)
		}
	}
}

// A key's life through all three states of versioning, with every body kept that
// must be and none that must not.
func TestVersionsOfAKey(t *testing.T) {
	r := newRig(t)
	bodies := make([][]byte, 5)
	for i := range bodies {
		bodies[i] = body(uint64(i), 70_000+i)
	}
	null := meta.VersionRef{Null: true}
	if o := r.mustPut("k", bodies[0]); !o.Version.IsZero() {
		t.Errorf("without versioning the version is %v", o.Version)
	}
	r.setVersioning(meta.VersioningEnabled)
	one, two := r.mustPut("k", bodies[1]).Version, r.mustPut("k", bodies[2]).Version
	r.wantBody("k", bodies[2])
	r.wantVersion("k", null, bodies[0])
	r.wantVersion("k", one, bodies[1])
	r.wantVersion("k", two, bodies[2])
	r.wantClean(3)

	marker := r.remove("k", meta.VersionRef{})
	if !marker.Marker || marker.Version.ID.IsZero() {
		t.Errorf("deletion made %+v", marker)
	}
	r.wantAbsent("k")
	rd, err := r.e.HeadObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k"})
	if !errors.Is(err, s3err.NoSuchKey) || rd == nil || !rd.Object.Marker || rd.Object.Version != marker.Version {
		t.Errorf("a deleted key: %+v, error %v", rd, err)
	}
	rd, err = r.e.HeadObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k", Version: marker.Version})
	if !errors.Is(err, s3err.MethodNotAllowed) || rd == nil || !rd.Object.Marker {
		t.Errorf("a marker by name: %+v, error %v", rd, err)
	}
	r.wantClean(3)

	r.setVersioning(meta.VersioningSuspended)
	if o := r.mustPut("k", bodies[3]); o.Version != null {
		t.Errorf("while suspended the version is %v", o.Version)
	}
	r.mustPut("k", bodies[4])
	r.wantVersion("k", null, bodies[4])
	r.wantClean(3) // of two null bodies before, none is left
	if d := r.remove("k", meta.VersionRef{}); !d.Marker || d.Version != null {
		t.Errorf("deletion while suspended: %+v", d)
	}
	r.wantClean(2)
	if d := r.remove("k", null); !d.Marker {
		t.Errorf("removing the null marker: %+v", d)
	}
	r.wantAbsent("k") // the first marker is current again
	r.remove("k", marker.Version)
	r.wantBody("k", bodies[2])
	if d := r.remove("k", two); d.Marker || d.Version != two {
		t.Errorf("removing a version: %+v", d)
	}
	r.wantBody("k", bodies[1])
	if err := r.e.Buckets().Delete(t.Context(), r.b); !errors.Is(err, s3err.BucketNotEmpty) {
		t.Errorf("deleting a bucket with a version: %v", err)
	}
	r.remove("k", one)
	r.wantClean(0)
	if err := r.e.Buckets().Delete(t.Context(), r.b); err != nil {
		t.Error(err)
	}
}

// A writer that read the bucket before its versioning changed writes as it is now.
func TestVersioningChangesUnderWrites(t *testing.T) {
	r := newRig(t)
	stale := r.b
	r.mustPut("k", body(1, 100))
	r.setVersioning(meta.VersioningEnabled)
	fresh := r.b
	r.b = stale
	if o := r.mustPut("k", body(2, 100)); o.Version.ID.IsZero() {
		t.Errorf("a put made version %v", o.Version)
	}
	if d := r.remove("k", meta.VersionRef{}); !d.Marker || d.Version.ID.IsZero() {
		t.Errorf("a deletion: %+v", d)
	}
	u, err := r.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: stale, Key: "k", Owner: stale.Owner})
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.e.UploadPart(t.Context(), engine.UploadPart{Bucket: stale, Key: "k", Upload: u.ID, Number: 1,
		Body: engine.Body{Reader: bytes.NewReader(body(3, 100)), Size: 100}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.complete(u, engine.CompletedPart{Number: 1, ETag: p.ETag})
	if err != nil || o.Version.ID.IsZero() {
		t.Errorf("a completed upload made version %v, error %v", o.Version, err)
	}
	r.b = fresh
	page, err := r.e.ListVersions(t.Context(), meta.VersionQuery{Bucket: r.b.ID, Limit: 10})
	if err != nil || len(page.Entries) != 4 || page.Entries[3].Version.String() != "null" || !page.Entries[1].Marker || !page.Entries[0].Latest {
		t.Errorf("%d versions, error %v: %+v", len(page.Entries), err, page.Entries)
	}
	r.wantClean(-1)
}

// A lost answer of a commit is settled also where another version is current by
// the time it is looked for.
func TestLostAnswersOfVersions(t *testing.T) {
	r := newRig(t)
	r.setVersioning(meta.VersioningEnabled)
	plan := r.plannedStore(1)
	for i := range 4 {
		plan.Add(faults.Rule{Op: "CommitObject", When: faults.After, N: 1, Err: faults.ErrInjected, Hook: func() {
			r.mustPut("k", []byte("in between"))
		}})
		o := r.mustPut("k", body(uint64(i), 100*i))
		plan.Clear()
		r.wantVersion("k", o.Version, body(uint64(i), 100*i))
	}
	page, err := r.e.ListVersions(t.Context(), meta.VersionQuery{Bucket: r.b.ID, Limit: 10})
	if err != nil || len(page.Entries) != 8 {
		t.Errorf("%d versions of 8 acknowledged writes, error %v", len(page.Entries), err)
	}
}

// A copy of a version lives on after the version is gone, and a key can be given
// back what it held.
func TestCopyOfAVersion(t *testing.T) {
	r := newRig(t)
	r.setVersioning(meta.VersioningEnabled)
	one := r.mustPut("k", body(1, 100_000)).Version
	r.mustPut("k", body(2, 100_000))
	for _, key := range []string{"copy", "k"} {
		o, err := r.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "k", SourceVersion: one, Bucket: r.b, Key: key, Owner: r.b.Owner})
		if err != nil || o.CopiedFrom != one || o.Version == one {
			t.Fatalf("copy to %s: version %v of %v, error %v", key, o.Version, o.CopiedFrom, err)
		}
	}
	r.remove("k", one)
	r.wantBody("k", body(1, 100_000))
	r.wantBody("copy", body(1, 100_000))
	r.wantClean(2)
}

// With versions kept, what clients are told of a key still has one order.
func TestHistoriesOfVersionsAreLinearizable(t *testing.T) {
	r := newRig(t)
	first := rand.Uint64()
	for i, v := range []meta.Versioning{meta.VersioningEnabled, meta.VersioningSuspended, meta.VersioningEnabled} {
		r.setVersioning(v)
		for j := range uint64(5) {
			seed := first + uint64(i)*5 + j
			r.wantLinearizable(seed, r.history(seed))
		}
	}
	r.wantClean(-1)
}

// Every acknowledged version of a key is there with its own bytes, whatever was
// written and deleted beside it.
func TestConcurrentVersions(t *testing.T) {
	r := newRig(t)
	r.setVersioning(meta.VersioningEnabled)
	type made struct {
		ref  meta.VersionRef
		data []byte
	}
	const writers, each = 4, 8
	all := make(chan made, writers*each)
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range each {
				data := []byte(fmt.Sprint(w, "/", i))
				o, err := r.put("k", data)
				if err != nil {
					done <- err
					return
				}
				all <- made{o.Version, data}
				if i%3 == 0 {
					if _, err := r.e.DeleteObject(t.Context(), r.b, engine.DeleteObject{Key: "k", Owner: r.b.Owner}); err != nil {
						done <- err
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	close(all)
	for m := range all {
		r.wantVersion("k", m.ref, m.data)
	}
	r.wantClean(writers * each)
}
