package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// A compacted store has what it had, with the mode it had. One that is served, and what is no
// store, are refused and stay as they are.
func TestCompact(t *testing.T) {
	b := newBench(t)
	for _, key := range []string{"a", "b", "c"} {
		b.mustPut(key)
	}
	if err := Compact(t.Context(), b.path); !errors.Is(err, ErrInUse) {
		t.Errorf("a store that is served: %v", err)
	}
	if err := b.remove("b"); err != nil {
		t.Fatal(err)
	}
	before, err := b.s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReadOnly(b.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Compact(t.Context(), b.path); err == nil {
		t.Error("a store that is read was compacted")
	}
	if report, err := reader.Verify(t.Context()); err != nil || !reflect.DeepEqual(report, before) {
		t.Errorf("its reader sees %v, %v", report, err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	// A process died over it and left this.
	if err := os.WriteFile(b.path+compactSuffix, []byte("half of a store"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Compact(t.Context(), b.path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(b.path)
	if err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(b.path + "*"); err != nil || len(left) != 2 { // the store and its lock
		t.Errorf("there are %q, %v", left, err)
	}
	s, err := Open(b.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Verify(t.Context())
	if err != nil || !reflect.DeepEqual(report, before) {
		t.Errorf("%v, %v, before: %v", report, err, before)
	}
	page, err := s.ListObjects(t.Context(), meta.ListQuery{Bucket: b.bucket, Limit: 10})
	if err != nil || len(page.Entries) != 2 || page.Entries[0].Key != "a" || page.Entries[1].Key != "c" {
		t.Errorf("%v, %v", page, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	empty := filepath.Join(t.TempDir(), "meta.db")
	if err := Compact(t.Context(), empty); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no store: %v", err)
	}
	if err := os.WriteFile(empty, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if err := Compact(t.Context(), empty); !errors.Is(err, ErrWithoutLog) {
		t.Errorf("an empty file: %v", err)
	}
}
