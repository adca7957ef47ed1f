package engine

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// sealingEngine is an engine with a bucket, for tests of rows that no store was given.
func sealingEngine(t *testing.T) (*Engine, meta.Bucket) {
	t.Helper()
	dir := t.TempDir()
	keys, err := keyring.Create(filepath.Join(dir, "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(filepath.Join(dir, "meta.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), Config{Store: store, Backends: []blobs.Backend{{Name: "local", Backend: mem.New()}}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { errors.Join(e.Close(), store.Close(), keys.Close()) })
	b, err := e.Buckets().Create(t.Context(), "sealed", "", e.Accounts().Root().ID)
	if err != nil {
		t.Fatal(err)
	}
	return e, b
}

// A row's marks open to what was sealed; the row's lock is theirs, and a row whose
// lock or marks were edited does not open.
func TestMarks(t *testing.T) {
	e, b := sealingEngine(t)
	m := Marks{
		Tags: []Pair{{Name: "team", Value: "blue"}, {Name: "empty", Value: ""}}, ACL: []byte(`{"grants":[]}`), KMSKey: "a key",
		Lock: meta.Lock{Mode: meta.LockGovernance, Until: time.Date(2030, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600)), Hold: true},
	}
	b.Lock = true
	d := draft{bucket: b, key: "k", owner: b.Owner, manifest: &encrypt.Manifest{ETag: "e", Attributes: Attributes{StorageClass: "STANDARD_IA"}}, marks: m, encryption: meta.EncryptionKMS}
	v, err := e.sealVersion(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if !v.Null || v.Class != "STANDARD_IA" || v.Encryption != meta.EncryptionKMS || v.Lock.Mode != meta.LockGovernance || v.Lock.Until.Nanosecond() != 678_901_000 {
		t.Errorf("the row: null %v, class %q, encryption %d, lock %+v", v.Null, v.Class, v.Encryption, v.Lock)
	}
	got, err := e.OpenMarks(t.Context(), v)
	m.Lock = v.Lock
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("opened %+v, error %v; want %+v", got, err, m)
	}
	d.key = "other"
	other, err := e.sealVersion(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*meta.Version){
		"lock taken away":     func(v *meta.Version) { v.Lock = meta.Lock{} },
		"lock shortened":      func(v *meta.Version) { v.Lock.Until = v.Lock.Until.Add(-time.Hour) },
		"hold taken away":     func(v *meta.Version) { v.Lock.Hold = false },
		"marks taken away":    func(v *meta.Version) { v.Marks = nil },
		"marks cut":           func(v *meta.Version) { v.Marks = v.Marks[:10] },
		"a flipped bit":       func(v *meta.Version) { v.Marks[len(v.Marks)-1] ^= 1 },
		"another generation":  func(v *meta.Version) { v.Marks[3]++ },
		"marks of another":    func(v *meta.Version) { v.Marks = other.Marks },
		"under another id":    func(v *meta.Version) { v.ID = meta.NewID() },
		"under another key":   func(v *meta.Version) { v.Key = "moved" },
		"both taken, ID kept": func(v *meta.Version) { v.Marks, v.Lock.Mode = nil, meta.LockNone },
	} {
		edited := v
		edited.Marks = append([]byte(nil), v.Marks...)
		edit(&edited)
		if got, err := e.OpenMarks(t.Context(), edited); err == nil {
			t.Errorf("%s: opened %+v", name, got)
		}
	}
}

// Versions without marks have none in the store.
func TestNoMarks(t *testing.T) {
	e, b := sealingEngine(t)
	v, err := e.sealVersion(t.Context(), draft{bucket: b, key: "k", owner: b.Owner, manifest: &encrypt.Manifest{ETag: "e"}})
	if err != nil || v.Marks != nil {
		t.Errorf("marks of %d bytes, error %v", len(v.Marks), err)
	}
	if m, err := e.OpenMarks(t.Context(), v); err != nil || !m.empty() {
		t.Errorf("opened %+v, error %v", m, err)
	}
	b.Versioning = meta.VersioningEnabled
	if v, err = e.sealVersion(t.Context(), draft{bucket: b, key: "k", owner: b.Owner, manifest: &encrypt.Manifest{ETag: "e"}}); err != nil || v.Null {
		t.Errorf("with versioning on: null %v, error %v", v.Null, err)
	}
}

// The promises of an upload come out of its settings as they went in.
func TestUploadPromise(t *testing.T) {
	e, b := sealingEngine(t)
	want := promise{Marks: Marks{Tags: []Pair{{Name: "a", Value: "b"}}, Lock: meta.Lock{Hold: true}}, Encryption: meta.EncryptionKMS}
	u, err := e.CreateUpload(t.Context(), CreateUpload{Bucket: b, Key: "k", Owner: b.Owner, Marks: want.Marks, Encryption: want.Encryption})
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.inProgress(t.Context(), b, "k", u.ID)
	want.Begun = begunAs(&meta.Upload{Owner: b.Owner, Created: u.Created})
	if err != nil || !reflect.DeepEqual(got.promised, want) {
		t.Fatalf("opened %+v, error %v; want %+v", got, err, want)
	}
	m, err := newAssembly(got).manifest()
	if err == nil && m.Marks != nil {
		t.Error("the object's manifest has the upload's marks")
	}
}

// A version that was completed without its customer's key does not open as one that
// needs none, nor another as one of these.
func TestCompletedRowsEdited(t *testing.T) {
	e, b := sealingEngine(t)
	key := &CustomerKey{1}
	begin := func() *openUpload {
		u, err := e.CreateUpload(t.Context(), CreateUpload{Bucket: b, Key: "k", Owner: b.Owner, Encryption: meta.EncryptionCustomer, Customer: key})
		if err != nil {
			t.Fatal(err)
		}
		open, err := e.inProgress(t.Context(), b, "k", u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return open
	}
	seal := func(u *openUpload, customer *CustomerKey) meta.Version {
		a := newAssembly(u)
		a.size, a.chosen = 9, []encrypt.ChosenPart{{Number: 1, Size: 9}}
		m, err := a.manifest()
		if err != nil {
			t.Fatal(err)
		}
		d := draft{bucket: b, key: "k", owner: b.Owner, manifest: m, encryption: meta.EncryptionCustomer, customer: customer}
		if customer == nil {
			d.locked = u
		}
		v, err := e.sealVersion(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	u, other := begin(), begin()
	v := seal(u, nil)
	if err := u.unlock(key); err != nil {
		t.Fatal(err)
	}
	keyed := seal(u, key)
	for name, good := range map[string]meta.Version{"completed without": v, "with": keyed} {
		if m, err := e.openVersion(t.Context(), good, key); err != nil || m.Parts.Key != u.key {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrap, parts := encrypt.SplitCompletedKey(v.WrappedKey)
	_, others := encrypt.SplitUploadKeys(other.WrappedKey)
	for name, edit := range map[string]func(*meta.Version){
		"no customer":                func(v *meta.Version) { v.Encryption = meta.EncryptionManaged },
		"no customer, nor his wrap":  func(v *meta.Version) { v.Encryption, v.WrappedKey = meta.EncryptionManaged, wrap },
		"without his wrap":           func(v *meta.Version) { v.WrappedKey = wrap },
		"the parts of another":       func(v *meta.Version) { v.WrappedKey = slices.Concat(wrap, others) },
		"the wraps in another order": func(v *meta.Version) { v.WrappedKey = slices.Concat(parts, wrap) },
		"the manifest of another":    func(v *meta.Version) { v.Manifest = keyed.Manifest },
	} {
		edited := v
		edit(&edited)
		for _, customer := range []*CustomerKey{nil, key} {
			if _, err := e.openVersion(t.Context(), edited, customer); err == nil {
				t.Errorf("%s: opened, with a key %v", name, customer != nil)
			}
		}
	}
}
