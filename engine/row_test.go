package engine

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/records"
)

// rowRig is an engine whose store somebody else can write to.
type rowRig struct {
	t  *testing.T
	e  *Engine
	b  meta.Bucket // with locks, and so with versions
	db *sql.DB
	// backend is where its blobs are.
	backend backends.Backend
	// paused is for how long this process is held to have stood still.
	paused time.Duration
}

func newRowRig(t *testing.T) *rowRig {
	t.Helper()
	dir := t.TempDir()
	keys, err := keyring.Create(filepath.Join(dir, "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "meta.db")
	store, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, start := &rowRig{t: t, backend: mem.New()}, time.Now()
	elapsed := func() time.Duration { return time.Since(start) + r.paused }
	e, err := Open(t.Context(), Config{
		Store: store, Backends: []blobs.Backend{{Name: "local", Backend: r.backend}}, Keys: keys, Sole: true, Grace: -1, Elapsed: elapsed,
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { errors.Join(db.Close(), e.Close(), store.Close(), keys.Close()) })
	r.e, r.db = e, db
	r.b = r.bucket("with-locks")
	r.ok(e.Buckets().SetVersioning(t.Context(), r.b, meta.VersioningEnabled))
	r.b, err = e.Buckets().Get(t.Context(), "with-locks")
	r.ok(err)
	r.ok(e.Buckets().Lock(t.Context(), r.b, buckets.DefaultRetention{}))
	r.b, err = e.Buckets().Get(t.Context(), "with-locks")
	r.ok(err)
	return r
}

func (r *rowRig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rowRig) bucket(name string) meta.Bucket {
	r.t.Helper()
	b, err := r.e.Buckets().Create(r.t.Context(), name, "", r.e.Accounts().Root().ID)
	r.ok(err)
	return b
}

func (r *rowRig) put(b meta.Bucket, key, text string, m Marks) Object {
	r.t.Helper()
	o, err := r.e.PutObject(r.t.Context(), PutObject{Bucket: b, Key: key, Owner: b.Owner, Marks: m,
		Body: Body{Reader: strings.NewReader(text), Size: int64(len(text)), ChecksumAlgorithm: CRC64NVME}})
	r.ok(err)
	return o
}

func (r *rowRig) edit(query string, args ...any) {
	r.t.Helper()
	done, err := r.db.Exec(query, args...)
	r.ok(err)
	if n, _ := done.RowsAffected(); n == 0 {
		r.t.Fatalf("%s: edits nothing", query)
	}
}

// saved keeps a table as it is, and returns what puts it back.
func (r *rowRig) saved(table string) (restore func()) { return r.savedAs(table, "saved") }

func (r *rowRig) savedAs(table, name string) (restore func()) {
	r.t.Helper()
	run := func(queries ...string) {
		r.t.Helper()
		for _, q := range queries {
			_, err := r.db.Exec(q)
			r.ok(err)
		}
	}
	run("CREATE TABLE " + name + " AS SELECT * FROM " + table)
	return func() {
		r.t.Helper()
		run("DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM "+name, "DROP TABLE "+name)
	}
}

// lockedMarks are tags, an ACL and a lock that nothing but time ends.
func lockedMarks() Marks {
	return Marks{Tags: []Pair{{Name: "class", Value: "secret"}}, ACL: []byte(`{}`), Lock: meta.Lock{Mode: meta.LockCompliance, Until: time.Now().Add(time.Hour)}}
}

// looks are all ways to learn something of a version. Each returns what it saw.
func (r *rowRig) looks(b meta.Bucket, key string, ref meta.VersionRef) map[string]func() (any, error) {
	ctx := r.t.Context()
	return map[string]func() (any, error){
		"get": func() (any, error) {
			g, err := r.e.GetObject(ctx, GetObject{Bucket: b, Key: key, Version: ref})
			if err != nil {
				return nil, err
			}
			defer g.Close()
			var text bytes.Buffer
			_, err = g.WriteTo(&text)
			return []any{g.Object, text.String()}, err
		},
		"head": func() (any, error) {
			g, err := r.e.HeadObject(ctx, GetObject{Bucket: b, Key: key, Version: ref})
			if err != nil {
				return nil, err
			}
			return g.Object, g.Close()
		},
		"marks": func() (any, error) { return r.e.MarksOf(ctx, Subject{Bucket: b, Key: key, Version: ref}) },
		"list": func() (any, error) {
			return r.e.ListVersions(ctx, meta.VersionQuery{Bucket: b.ID, Prefix: key, Limit: 10})
		},
		"opened": func() (any, error) { return r.opened(b, key) },
	}
}

// opened is what inventories and lifecycles see of the rows of a key.
func (r *rowRig) opened(b meta.Bucket, key string) (any, error) {
	page, err := r.e.store.ListVersions(r.t.Context(), meta.VersionQuery{Bucket: b.ID, Prefix: key, Limit: 10})
	if err != nil {
		return nil, err
	}
	var seen []any
	for i := range page.Entries {
		v := &page.Entries[i].Version
		entry, err := r.e.OpenVersion(r.t.Context(), v)
		if err != nil {
			return nil, err
		}
		seen = append(seen, entry, v.Encryption, v.Lock, v.Owner)
	}
	return seen, nil
}

// findings are what fsck says, which is not asked to read a byte of any body.
func (r *rowRig) findings() []Finding {
	r.t.Helper()
	fs, err := Findings(r.t.Context(), r.e)
	r.ok(err)
	return fs
}

// columnEdits change each column that may be edited of a version without that the store
// refuses the row.
var columnEdits = map[string]string{
	"version_id": "version_id = randomblob(16)", "null_version": "null_version = 1 - null_version", "owner": "owner = randomblob(16)",
	"size": "size = size + 1", "modified": "modified = modified - 1", "generation": "generation = 7",
	"body_kind": "body_kind = 0, body_id = NULL", "body_id": "body_id = randomblob(20)", "encryption": "encryption = 1", "class": "class = CAST('GLACIER_IR' AS BLOB)",
	"lock_mode": "lock_mode = 1", "lock_until": "lock_until = lock_until - 1000000", "lock_hold": "lock_hold = 1 - lock_hold",
	"revision": "revision = revision + 1", "list_record": "list_record = CAST(substr(list_record, 1, 40) || CASE substr(list_record, 41, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(list_record, 42) AS BLOB)",
	"marks": "marks = NULL", "no lock": "marks = NULL, lock_mode = 0, lock_until = NULL, lock_hold = 0", "no record": "list_record = NULL",
	"wrapped_key": "wrapped_key = NULL", "manifest": "manifest = NULL",
}

// The part that listings show is not the rest of the row, and only what opens a
// body needs its keys.
var unseen = map[string][]string{
	"list":   {"encryption", "lock_mode", "lock_until", "lock_hold", "revision", "marks", "no lock", "body_kind", "body_id", "wrapped_key", "manifest"},
	"marks":  {"wrapped_key", "manifest"},
	"opened": {"wrapped_key", "manifest"},
}

// No column of a version, current or not, can be edited without that whoever looks is
// told an error, or what was true; and fsck names the version.
func TestEditedVersions(t *testing.T) {
	r := newRowRig(t)
	r.put(r.b, "a key", "first", lockedMarks())
	o := r.put(r.b, "a key", "second", lockedMarks())
	page, err := r.e.ListVersions(t.Context(), meta.VersionQuery{Bucket: r.b.ID, Limit: 10})
	r.ok(err)
	if len(page.Entries) != 2 || len(r.findings()) != 0 {
		t.Fatalf("%d versions, findings %+v", len(page.Entries), r.findings())
	}
	for table, ref := range map[string]meta.VersionRef{"objects": o.Version, "versions": page.Entries[1].Version} {
		before := map[string]any{}
		for name, look := range r.looks(r.b, "a key", ref) {
			if before[name], err = look(); err != nil {
				t.Fatalf("%s, before anything was edited: %v", name, err)
			}
		}
		for column, set := range columnEdits {
			restore := r.saved(table)
			r.edit("UPDATE " + table + " SET " + set)
			for name, look := range r.looks(r.b, "a key", ref) {
				got, err := look()
				if err == nil && !(reflect.DeepEqual(got, before[name]) && slices.Contains(unseen[name], column)) {
					t.Errorf("%s of %s edited: %s gives %+v", column, table, name, got)
				}
			}
			if _, err := r.e.DeleteObject(t.Context(), r.b, DeleteObject{Key: "a key", Version: ref, Owner: r.b.Owner}); err == nil && !gone(column) {
				t.Errorf("%s of %s edited: the version is removed", column, table)
			}
			if !slices.ContainsFunc(r.findings(), func(f Finding) bool {
				return f.Bucket == r.b.ID.String() && f.Key == "a key" && (f.Version == ref.String() || gone(column))
			}) {
				t.Errorf("%s of %s edited: fsck does not name the version: %+v", column, table, r.findings())
			}
			restore()
		}
	}
	if fs := r.findings(); len(fs) != 0 {
		t.Errorf("at the end: %+v", fs)
	}
}

// gone reports an edit after which the version has another name.
func gone(column string) bool { return column == "version_id" || column == "null_version" }

// The names of two versions of a key swapped serve neither as the other, and remove
// neither for the other.
func TestSwappedNames(t *testing.T) {
	r := newRowRig(t)
	b := r.bucket("without-locks")
	r.ok(r.e.Buckets().SetVersioning(t.Context(), b, meta.VersioningEnabled))
	b, err := r.e.Buckets().Get(t.Context(), b.Name)
	r.ok(err)
	first, second := r.put(b, "k", "first", Marks{}), r.put(b, "k", "second", Marks{})
	r.put(b, "k", "third", Marks{})
	r.edit("UPDATE versions SET public = randomblob(16) WHERE version_id = ?", first.ID[:])
	r.edit("UPDATE versions SET public = ? WHERE version_id = ?", first.ID[:], second.ID[:])
	r.edit("UPDATE versions SET public = ? WHERE version_id = ?", second.ID[:], first.ID[:])
	for name, look := range r.looks(b, "k", first.Version) {
		if got, err := look(); err == nil && name != "list" && name != "opened" {
			t.Errorf("%s gives %+v", name, got)
		}
	}
	if _, err := r.e.DeleteObject(t.Context(), b, DeleteObject{Key: "k", Version: first.Version, Owner: b.Owner}); err == nil {
		t.Error("the version that is named as another was removed")
	}
	var left int
	r.ok(r.db.QueryRow("SELECT count(*) FROM versions").Scan(&left))
	if fs := r.findings(); left != 2 || len(fs) != 2 || fs[0].Kind != "version-edited" || fs[0].Version == fs[1].Version {
		t.Errorf("%d versions left, findings %+v", left, fs)
	}
	// A name that none has hides its version, and fsck finds it.
	r.edit("UPDATE versions SET public = randomblob(16) WHERE version_id = ?", first.ID[:])
	if fs := r.findings(); len(fs) != 2 || !slices.ContainsFunc(fs, func(f Finding) bool { return f.Version == first.Version.String() }) {
		t.Errorf("findings %+v", fs)
	}
}

// Delete markers are vouched for, too: a forged one hides nothing, and one that became
// another's is no answer.
func TestEditedMarkers(t *testing.T) {
	r := newRowRig(t)
	r.put(r.b, "k", "text", Marks{})
	_, err := r.e.DeleteObject(t.Context(), r.b, DeleteObject{Key: "k", Owner: r.b.Owner})
	r.ok(err)
	head := func() error {
		g, err := r.e.HeadObject(t.Context(), GetObject{Bucket: r.b, Key: "k"})
		if g == nil || !g.Object.Marker {
			return fmt.Errorf("no marker: %w", err)
		}
		return nil
	}
	list := func() error {
		_, err := r.e.ListVersions(t.Context(), meta.VersionQuery{Bucket: r.b.ID, Limit: 10})
		return err
	}
	r.ok(errors.Join(head(), list()))
	for _, set := range []string{"owner = randomblob(16)", "modified = modified + 1", "list_record = NULL", "revision = 1", "version_id = randomblob(16), public = version_id",
		"key = CAST('other' AS BLOB)", "marks = x'00'", "public = randomblob(16)", "generation = 9", "lock_hold = 1", "encryption = 2", "body_kind = 1, body_id = randomblob(20)"} {
		restore := r.saved("versions")
		r.edit("UPDATE versions SET " + set + " WHERE marker = 1")
		seen := errors.Join(head(), list())
		if seen == nil && !strings.HasPrefix(set, "public") {
			t.Errorf("%s: nobody notices", set)
		}
		if len(r.findings()) == 0 {
			t.Errorf("%s: fsck finds nothing", set)
		}
		restore()
	}
}

// Every field of a version that the gateway reads of its row is vouched for, but for
// what is named here: the next one that is added must be bound, too, or get a reason.
func TestEveryFieldIsVouchedFor(t *testing.T) {
	unbound := map[string]string{
		"WrappedKey": "opens under the version's name alone", "Manifest": "opens under its object key alone",
		"Latest": "which row is the key's newest", "Displaced": "which the store says",
	}
	r := newRowRig(t)
	o := r.put(r.b, "k", "text", lockedMarks())
	v, err := r.e.store.Version(t.Context(), r.b.ID, "k", o.Version)
	r.ok(err)
	_, err = r.e.openRow(t.Context(), &v)
	r.ok(err)
	for i := range reflect.TypeFor[meta.Version]().NumField() {
		name := reflect.TypeFor[meta.Version]().Field(i).Name
		edits := editsOf(t, reflect.TypeFor[meta.Version]().Field(i).Type)
		for n, edit := range edits {
			edited := v
			edit(reflect.ValueOf(&edited).Elem().Field(i))
			_, err := r.e.openRow(t.Context(), &edited)
			if _, free := unbound[name]; (err == nil) != free {
				t.Errorf("field %s, edit %d: %v", name, n, err)
			}
		}
	}
}

// editsOf change a value of a type, and each field of it if it has some.
func editsOf(t *testing.T, typ reflect.Type) (edits []func(reflect.Value)) {
	switch {
	case typ == reflect.TypeFor[time.Time]():
		return append(edits, func(v reflect.Value) {
			v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Microsecond)))
		}, func(v reflect.Value) { v.SetZero() })
	case typ.Kind() == reflect.Struct:
		for i := range typ.NumField() {
			if typ == reflect.TypeFor[meta.Body]() && typ.Field(i).Name == "Upload" {
				continue // no column of its own: of a body of another kind it is nothing
			}
			for _, edit := range editsOf(t, typ.Field(i).Type) {
				edits = append(edits, func(v reflect.Value) { edit(v.Field(i)) })
			}
		}
		return edits
	case typ.Kind() == reflect.Array:
		return append(edits, func(v reflect.Value) { v.Index(typ.Len() - 1).SetUint(v.Index(typ.Len()-1).Uint() ^ 1) })
	case typ.Kind() == reflect.Slice:
		return append(edits, func(v reflect.Value) {
			b := bytes.Clone(v.Bytes())
			b[len(b)-1] ^= 1
			v.SetBytes(b)
		}, func(v reflect.Value) { v.SetZero() })
	case typ.Kind() == reflect.Bool:
		return append(edits, func(v reflect.Value) { v.SetBool(!v.Bool()) })
	case typ.Kind() == reflect.String:
		return append(edits, func(v reflect.Value) { v.SetString(v.String() + "x") })
	case typ.Kind() == reflect.Uint8 || typ.Kind() == reflect.Uint32:
		return append(edits, func(v reflect.Value) { v.SetUint(v.Uint() ^ 1) })
	case typ.Kind() == reflect.Int64:
		return append(edits, func(v reflect.Value) { v.SetInt(v.Int() + 1) })
	}
	t.Fatalf("nothing is known of values of type %v", typ)
	return nil
}

// The beginning of an upload, its owner and its parts cannot be edited.
func TestEditedUploads(t *testing.T) {
	r := newRowRig(t)
	ctx := t.Context()
	u, err := r.e.CreateUpload(ctx, CreateUpload{Bucket: r.b, Key: "k", Owner: r.b.Owner})
	r.ok(err)
	for i := range 2 {
		text := fmt.Sprint("part ", i)
		_, err = r.e.UploadPart(ctx, UploadPart{Bucket: r.b, Key: "k", Upload: u.ID, Number: i + 1, Body: Body{Reader: strings.NewReader(text), Size: int64(len(text))}})
		r.ok(err)
	}
	looks := map[string]func() error{
		"parts": func() error {
			_, err := r.e.ListParts(ctx, ListParts{Bucket: r.b, Key: "k", Upload: u.ID, Limit: 10})
			return err
		},
		"uploads": func() error { _, err := r.e.ListUploads(ctx, meta.UploadQuery{Bucket: r.b.ID, Limit: 10}); return err },
	}
	for name, look := range looks {
		if err := look(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, c := range []struct{ table, set, seen string }{
		{"uploads", "owner = randomblob(16)", "parts uploads"}, {"uploads", "created = created + 1", "parts uploads"}, {"uploads", "generation = 9", "parts uploads"},
		{"uploads", "key = CAST('other' AS BLOB)", "parts uploads"}, {"uploads", "settings = NULL", "parts uploads"}, {"uploads", "wrapped_key = NULL", "parts uploads"},
		{"parts", "size = size + 1", "parts"}, {"parts", "attempt = randomblob(16)", "parts"}, {"parts", "number = number + 5", "parts"},
		{"parts", "record = (SELECT p.record FROM saved AS p WHERE p.number <> parts.number)", "parts"}, {"parts", "blobs = (SELECT p.blobs FROM saved AS p WHERE p.number <> parts.number)", ""},
	} {
		restore := r.saved(c.table)
		r.edit("UPDATE " + c.table + " SET " + c.set)
		for name, look := range looks {
			if err := look(); (err == nil) == strings.Contains(c.seen, name) {
				t.Errorf("%s with %s: %s: %v", c.table, c.set, name, err)
			}
		}
		if !slices.ContainsFunc(r.findings(), func(f Finding) bool { return f.Upload == u.ID.String() }) {
			t.Errorf("%s with %s: fsck does not name the upload", c.table, c.set)
		}
		restore()
	}
	if fs := r.findings(); len(fs) != 0 {
		t.Errorf("at the end: %+v", fs)
	}
}

// A version that was sealed for a bucket whose versioning was another by the commit is
// sealed anew with what it became.
func TestSealedForAnotherVersioning(t *testing.T) {
	r := newRowRig(t)
	b := r.bucket("off-at-first")
	was := b
	r.ok(r.e.Buckets().SetVersioning(t.Context(), b, meta.VersioningEnabled))
	o, err := r.e.PutObject(t.Context(), PutObject{Bucket: was, Key: "k", Owner: b.Owner, Body: Body{Reader: strings.NewReader("text"), Size: 4}})
	r.ok(err)
	if o.Version != (meta.VersionRef{ID: o.ID}) {
		t.Fatalf("the version is named %v", o.Version)
	}
	_, err = r.e.DeleteObject(t.Context(), was, DeleteObject{Key: "k", Owner: b.Owner})
	r.ok(err)
	b, err = r.e.Buckets().Get(t.Context(), b.Name)
	r.ok(err)
	for name, look := range r.looks(b, "k", o.Version) {
		if _, err := look(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if fs := r.findings(); len(fs) != 0 {
		t.Errorf("findings %+v", fs)
	}
}

// setSealing has the deployment be in that state, as if it had never been in a later one.
func (r *rowRig) setSealing(s meta.Sealing) {
	r.t.Helper()
	d, err := r.e.store.Deployment(r.t.Context())
	r.ok(err)
	d.Sealing = s
	r.ok(r.e.sealing.sealRow(&d))
	r.edit("UPDATE deployment SET sealing = ?, record = ?", int64(s), d.Record)
	r.e.sealing.known.Store(uint32(s))
	r.ok(r.e.blobs.AcceptStore(r.t.Context()))
}

// Whose a null version is that a write would replace is not for the row to say, nor
// whether it is a marker.
func TestReplacedOwnerIsSealed(t *testing.T) {
	r := newRowRig(t)
	b := r.bucket("suspended")
	other := meta.NewID()
	_, err := r.e.PutObject(t.Context(), PutObject{Bucket: b, Key: "k", Owner: other, Body: Body{Reader: strings.NewReader("text"), Size: 4}})
	r.ok(err)
	for _, v := range []meta.Versioning{meta.VersioningEnabled, meta.VersioningSuspended} {
		b, err = r.e.Buckets().Get(t.Context(), b.Name)
		r.ok(err)
		if v == meta.VersioningSuspended {
			r.put(b, "k", "another version", Marks{})
		}
		r.ok(r.e.Buckets().SetVersioning(t.Context(), b, v))
	}
	b, err = r.e.Buckets().Get(t.Context(), b.Name)
	r.ok(err)
	if err := r.e.MayReplace(t.Context(), b, "k", b.Owner); !errors.Is(err, errNotReplaced) {
		t.Fatalf("before the edit: %v", err)
	}
	for _, set := range []string{"owner = (SELECT owner FROM objects WHERE key = CAST('k' AS BLOB))", "marker = 1", "null_version = 0"} {
		restore := r.saved("versions")
		r.edit("UPDATE versions SET " + set)
		if err := r.e.MayReplace(t.Context(), b, "k", b.Owner); !errors.Is(err, records.ErrEdited) {
			t.Errorf("%s: %v", set, err)
		}
		restore()
	}
}

// A delete marker that was made to pass for a version is no absent key to who decided by
// what the key held.
func TestEditedMarkerIsNotAbsent(t *testing.T) {
	r := newRowRig(t)
	r.put(r.b, "k", "text", Marks{})
	_, err := r.e.DeleteObject(t.Context(), r.b, DeleteObject{Key: "k", Owner: r.b.Owner})
	r.ok(err)
	r.edit("UPDATE versions SET marker = 0 WHERE marker = 1")
	_, found, err := r.e.Find(t.Context(), r.b.Name, "k", meta.VersionRef{})
	r.ok(err)
	if _, err := r.e.HeadObject(t.Context(), GetObject{Bucket: r.b, Key: "k", Found: found}); !errors.Is(err, records.ErrEdited) {
		t.Errorf("a look gives %v", err)
	}
}

// Conditions are decided on what was sealed.
func TestConditionsOnEditedRows(t *testing.T) {
	r := newRowRig(t)
	b := r.bucket("without-versions")
	o := r.put(b, "k", "text", Marks{})
	for name, decide := range map[string]func() error{
		"write": func() error { _, err := r.e.expectation(t.Context(), b, "k", Conditions{IfMatch: o.ETag}); return err },
		"delete": func() error {
			v, err := r.e.store.Object(t.Context(), b.ID, "k")
			r.ok(err)
			return r.e.checkDelete(t.Context(), v, DeleteObject{Key: "k", IfModified: v.Modified, IfSize: &v.Size})
		},
		"rename": func() error {
			_, err := r.e.renameOver(t.Context(), RenameObject{Bucket: b, Key: "k", Conditions: Conditions{IfUnmodifiedSince: time.Now().Add(time.Hour)}})
			return err
		},
	} {
		r.ok(decide())
		for _, set := range []string{"modified = modified + 1", "size = 5", "owner = randomblob(16)", "revision = 9"} {
			restore := r.saved("objects")
			r.edit("UPDATE objects SET " + set)
			if err := decide(); !errors.Is(err, records.ErrEdited) {
				t.Errorf("%s, %s: %v", name, set, err)
			}
			restore()
		}
	}
}
