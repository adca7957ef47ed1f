package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// Status tells schemas apart and creates nothing; Migrate creates no store where
// there is none, and refuses a newer one.
func TestStatusAndMigrate(t *testing.T) {
	dir := t.TempDir()
	absent := filepath.Join(dir, "absent.db")
	has, knows, err := Status(t.Context(), absent)
	if err != nil || has != 0 || knows != SchemaVersion {
		t.Fatalf("no store: %d of %d, %v", has, knows, err)
	}
	if err := Migrate(absent); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("migrated nothing: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
	path := oldStore(t)
	want := func(version int64) {
		t.Helper()
		if has, _, err := Status(t.Context(), path); err != nil || has != version {
			t.Fatalf("schema %d, %v, want %d", has, err, version)
		}
	}
	want(1)
	for range 2 {
		if err := Migrate(path); err != nil {
			t.Fatal(err)
		}
		want(knows)
	}
	s := openTest(t, path)
	wantUpgraded(t, s)
	want(knows)
	if err := Migrate(path); !errors.Is(err, ErrInUse) {
		t.Errorf("migrated while it is served: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)")
	want(99999)
	if err := Migrate(path); !errors.Is(err, sqlstore.ErrNewerSchema) {
		t.Errorf("migrated a newer schema: %v", err)
	}
}
