package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// exhibit is a version with what it must be read as.
type exhibit struct {
	key      string
	ref      meta.VersionRef
	data     []byte
	customer *engine.CustomerKey
}

// museum is a bucket that has a version of every kind.
type museum struct {
	*severalRig
	exhibits []exhibit
	open     engine.Upload // under way, of "open", with one part
	openPart engine.CompletedPart
}

func newMuseum(t *testing.T) *museum {
	t.Helper()
	m := &museum{severalRig: newSeveralRig(t)}
	secret := &engine.CustomerKey{1, 2, 3}
	m.show("plain", body(1, 1000), nil) // the null version
	m.setVersioning(meta.VersioningEnabled)
	m.show("plain", body(2, 200_000), nil)
	m.show("plain", nil, nil)
	m.show("sealed", body(3, 100_000), secret)
	m.show("sealed", body(4, 10), nil)
	m.show("sealed", body(5, 70_000), &engine.CustomerKey{9})
	m.showParts("parts", nil, body(6, partSize), body(7, 1000))
	m.showParts("parts", secret, body(8, partSize), body(9, 77))
	m.show("parts", body(10, 50), nil)
	for _, i := range []int{1, 6} { // bodies with two owners
		m.showCopy(m.exhibits[i], "copy")
	}
	m.remove("parts", meta.VersionRef{}) // hidden by a marker
	m.show("buried", body(11, 5000), nil)
	m.remove("buried", meta.VersionRef{})
	m.remove("buried", meta.VersionRef{})
	m.setVersioning(meta.VersioningSuspended)
	m.show("late", body(12, 3000), nil)
	m.remove("nothing", meta.VersionRef{}) // a null marker alone
	m.setVersioning(meta.VersioningEnabled)
	m.open = m.begin("open", "", "")
	m.openPart = m.part(m.open, 1, body(13, 4000))
	return m
}

func encryption(customer *engine.CustomerKey) meta.Encryption {
	if customer != nil {
		return meta.EncryptionCustomer
	}
	return meta.EncryptionManaged
}

func (m *museum) keep(o engine.Object, err error, x exhibit) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%q: %v", x.key, err)
	}
	if x.ref = o.Version; x.ref.IsZero() { // before versioning was on
		x.ref.Null = true
	}
	m.exhibits = append(m.exhibits, x)
}

func (m *museum) show(key string, data []byte, customer *engine.CustomerKey) {
	m.t.Helper()
	o, err := m.e.PutObject(m.t.Context(), engine.PutObject{Bucket: m.b, Key: key, Owner: m.b.Owner, Encryption: encryption(customer), Customer: customer,
		Marks: engine.Marks{Tags: []engine.Pair{{Name: "of", Value: key}}}, Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	m.keep(o, err, exhibit{key: key, data: data, customer: customer})
}

func (m *museum) showParts(key string, customer *engine.CustomerKey, bodies ...[]byte) {
	m.t.Helper()
	u, err := m.e.CreateUpload(m.t.Context(), engine.CreateUpload{Bucket: m.b, Key: key, Owner: m.b.Owner, Encryption: encryption(customer), Customer: customer})
	if err != nil {
		m.t.Fatal(err)
	}
	var parts []engine.CompletedPart
	for i, data := range bodies {
		p, err := m.e.UploadPart(m.t.Context(), engine.UploadPart{Bucket: m.b, Key: key, Upload: u.ID, Number: i + 1, Customer: customer,
			Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
		if err != nil {
			m.t.Fatal(err)
		}
		parts = append(parts, engine.CompletedPart{Number: i + 1, ETag: p.ETag})
	}
	o, err := m.e.CompleteUpload(m.t.Context(), engine.CompleteUpload{Bucket: m.b, Key: key, Upload: u.ID, Parts: parts, Size: -1, Customer: customer})
	m.keep(o, err, exhibit{key: key, data: bytes.Join(bodies, nil), customer: customer})
}

func (m *museum) showCopy(of exhibit, key string) {
	m.t.Helper()
	o, err := m.e.CopyObject(m.t.Context(), engine.CopyObject{SourceBucket: m.b, SourceKey: of.key, SourceVersion: of.ref, Bucket: m.b, Key: key, Owner: m.b.Owner})
	m.keep(o, err, exhibit{key: key, data: of.data})
}

// wantAll reads every version, whole and without a key that it needs.
func (m *museum) wantAll(when string) {
	m.t.Helper()
	for _, x := range m.exhibits {
		if got, err := m.read(m.b, x.key, x.ref, x.customer); err != nil || !bytes.Equal(got, x.data) {
			m.t.Errorf("%s: %q, version %v: %d bytes, error %v; want %d bytes exactly", when, x.key, x.ref, len(got), err, len(x.data))
		}
		if x.customer == nil {
			continue
		}
		if _, err := m.read(m.b, x.key, x.ref, nil); !errors.Is(err, s3err.InvalidRequest) {
			m.t.Errorf("%s: %q without its key: %v", when, x.key, err)
		}
		if _, err := m.read(m.b, x.key, x.ref, &engine.CustomerKey{7}); !errors.Is(err, s3err.AccessDenied) {
			m.t.Errorf("%s: %q with another key: %v", when, x.key, err)
		}
	}
}

func (m *museum) read(b meta.Bucket, key string, ref meta.VersionRef, customer *engine.CustomerKey) ([]byte, error) {
	r, err := m.e.GetObject(m.t.Context(), engine.GetObject{Bucket: b, Key: key, Version: ref, Customer: customer})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var data bytes.Buffer
	_, err = r.WriteTo(&data)
	return data.Bytes(), err
}

// catalogue is every version and marker as it is listed.
func (m *museum) catalogue() (all []string) {
	m.t.Helper()
	page, err := m.e.ListVersions(m.t.Context(), meta.VersionQuery{Bucket: m.b.ID, Limit: meta.MaxPage})
	if err != nil || page.More {
		m.t.Fatalf("more %t, error %v", page.More, err)
	}
	for _, v := range page.Entries {
		all = append(all, fmt.Sprintf("%s %v latest %t marker %t %d %s %s", v.Key, v.Version, v.Latest, v.Marker, v.Size, v.ETag, v.Modified))
	}
	return all
}

func (m *museum) wantCatalogue(when string, want []string) {
	m.t.Helper()
	if got := m.catalogue(); !slices.Equal(got, want) {
		m.t.Errorf("%s: versions are\n%q\nwant\n%q", when, got, want)
	}
}

// forget removes the exhibits for good that gone names.
func (m *museum) forget(gone func(exhibit) bool) {
	m.t.Helper()
	m.exhibits = slices.DeleteFunc(m.exhibits, func(x exhibit) bool {
		if gone(x) {
			m.remove(x.key, x.ref)
			return true
		}
		return false
	})
}

// Versions of all kinds are moved to another backend and back, and are there
// exactly as before; what is removed half way is gone from both.
func TestDrainVersions(t *testing.T) {
	m := newMuseum(t)
	before := m.catalogue()
	m.drain(east, west)
	if r, err := m.e.Blobs().Move(t.Context()); err != nil || r.Blobs == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	m.wantAll("moved, copies left")
	m.drained(east)
	m.wantAll("drained")
	m.wantCatalogue("drained", before)
	m.wantClean(-1)
	if n := blobsAt(t, m.at[east]); n != 0 {
		t.Errorf("%d blobs are left", n)
	}

	m.reopen() // the backend's name and storage are free again
	m.wantAll("opened anew")
	m.drain(west, east)
	if _, err := m.e.Blobs().Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.forget(func(x exhibit) bool { return x.key == "sealed" || x.key == "copy" }) // whose bytes are at both
	m.show("plain", body(20, 9000), nil)
	m.drained(west)
	m.wantAll("back")
	m.wantClean(-1)
	if n := sealed(t, m.at[west]); n != 0 {
		t.Errorf("%d blobs are left", n)
	}

	o, err := m.complete(m.open, m.openPart)
	m.keep(o, err, exhibit{key: "open", data: body(13, 4000)})
	m.wantAll("completed")
	m.forget(func(exhibit) bool { return true })
	m.wantClean(0)
}

// A bucket that demands another place gets copies of versions there, whatever
// they are, which need nothing of what they were copied from.
func TestCopyVersionsAcrossResidency(t *testing.T) {
	m := newMuseum(t)
	ch := m.bucket("helvetian", "CH")
	if err := m.e.Buckets().SetVersioning(t.Context(), ch, meta.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	ch, err := m.e.Buckets().Get(t.Context(), ch.Name)
	if err != nil {
		t.Fatal(err)
	}
	var copies []exhibit
	for i, x := range m.exhibits {
		to := x
		if i%2 == 1 { // rewrapped under another key, or under one at all
			to.customer = &engine.CustomerKey{byte(i), 42}
		}
		o, err := m.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: m.b, SourceKey: x.key, SourceVersion: x.ref, SourceCustomer: x.customer,
			Bucket: ch, Key: x.key, Owner: ch.Owner, Encryption: encryption(to.customer), Customer: to.customer})
		if err != nil || o.CopiedFrom != x.ref {
			t.Fatalf("copy %q, version %v: from %v, %v", x.key, x.ref, o.CopiedFrom, err)
		}
		to.ref = o.Version
		copies = append(copies, to)
	}
	m.wantClean(-1)
	m.wantAll("copied")
	m.forget(func(exhibit) bool { return true })
	if err := m.e.AbortUpload(t.Context(), m.b, m.open.Key, m.open.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	m.wantClean(-1)
	if n := sealed(t, m.at[east]); n != 0 {
		t.Errorf("%d blobs are left where the copies were made from", n)
	}
	for _, x := range copies {
		if got, err := m.read(ch, x.key, x.ref, x.customer); err != nil || !bytes.Equal(got, x.data) {
			t.Errorf("copy of %q: %d bytes, error %v; want %d bytes exactly", x.key, len(got), err, len(x.data))
		}
	}
	if err := m.e.Blobs().DrainBackend(t.Context(), swiss, east); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("draining what the bucket demands: %v", err)
	}
}
