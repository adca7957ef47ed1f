package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// raw runs statements on the file, bypassing the store.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, writerPragmas()))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func tables(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closedStore(t *testing.T) (path string, bucket meta.ID) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "meta.db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	bucket = addBucket(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, bucket
}

// A store that a later release has migrated is refused and not changed.
func TestNewerSchema(t *testing.T) {
	path, _ := closedStore(t)
	const later = "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"
	raw(t, path, later)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s, err := Open(path, Options{}); !errors.Is(err, sqlstore.ErrNewerSchema) || s != nil {
			t.Fatalf("Open: %v", err)
		}
		if s, err := OpenReadOnly(path); !errors.Is(err, sqlstore.ErrNewerSchema) || s != nil {
			t.Fatalf("OpenReadOnly: %v", err)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed (%v)", err)
	}
	if log, err := os.ReadFile(path + "-wal"); err == nil && len(log) > 0 {
		t.Errorf("%d bytes were logged", len(log))
	}
	raw(t, path, "DELETE FROM goose_db_version WHERE version_id = 99999")
	openTest(t, path) // this also shows that the lock is free
}

// A failed migration leaves nothing behind, and continues when it can.
func TestMigrationInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	raw(t, path, "CREATE TABLE holders (in_the_way INTEGER)") // the last table that is created
	for range 2 {
		if s, err := Open(path, Options{}); err == nil {
			s.Close()
			t.Fatal("opened over another's table")
		}
		if n := tables(t, path); n != 1 {
			t.Fatalf("%d tables were left, want only the one in the way", n)
		}
		if s, err := OpenReadOnly(path); !errors.Is(err, sqlstore.ErrOlderSchema) || s != nil {
			t.Fatalf("OpenReadOnly: %v", err)
		}
	}
	raw(t, path, "DROP TABLE holders")
	s := openTest(t, path)
	addBucket(t, s)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A reader beside the serving process sees committed changes, and changes nothing.
func TestOpenReadOnly(t *testing.T) {
	b := newBench(t)
	b.mustPut("first")
	ro, err := OpenReadOnly(b.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ro.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range 20 {
		key := fmt.Sprint("k", i)
		b.mustPut(key)
		if _, err := ro.Object(t.Context(), b.bucket, key); err != nil {
			t.Fatalf("the reader does not see %s: %v", key, err)
		}
		page, err := ro.ListObjects(t.Context(), meta.ListQuery{Bucket: b.bucket, Limit: meta.MaxPage})
		if err != nil || len(page.Entries) != i+2 {
			t.Fatalf("the reader lists %d objects, want %d: %v", len(page.Entries), i+2, err)
		}
	}
	ctx := context.Background()
	_, removed := ro.RemoveObjects(ctx, b.bucket, meta.VersioningOff, []meta.Removal{{Key: "first"}}, time.Now())
	for name, err := range map[string]error{
		"CommitObject":  ro.CommitObject(ctx, meta.Commit{Version: newVersion(b.bucket, "x")}),
		"RemoveObjects": removed,
		"Reserve":       ro.Reserve(ctx, b.holder, meta.FirstBackend, []meta.BlobID{newBlobID()}, time.Now()),
		"DeleteBucket":  ro.DeleteBucket(ctx, b.bucket),
		"Check":         ro.Check(ctx),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", name, err)
		}
	}
	pool, err := openPool(b.path) // the connections themselves refuse writes, too
	if err != nil {
		t.Fatal(err)
	}
	defer pool.close()
	err = pool.Read(ctx, func(tx sqlstore.Tx) error {
		_, err := tx.Exec("DELETE FROM objects")
		return err
	})
	if err == nil {
		t.Error("a connection of the pool can write")
	}
	b.want("first", true)
	b.want("x", false)
}

// Opening read-only does not create a store.
func TestOpenReadOnlyOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	if s, err := OpenReadOnly(path); !errors.Is(err, os.ErrNotExist) || s != nil {
		t.Errorf("%v", err)
	}
	if names, _ := filepath.Glob(path + "*"); len(names) > 0 {
		t.Errorf("it made %v", names)
	}
}

// One process serves a store; the next one can after it has closed.
func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	bucket := addBucket(t, s)
	if again, err := Open(path, Options{}); !errors.Is(err, ErrInUse) || again != nil {
		t.Errorf("a second process: %v, want ErrInUse", err)
	}
	if err := s.CommitObject(t.Context(), meta.Commit{Version: newVersion(bucket, "k")}); err != nil {
		t.Errorf("after the second was refused: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, path)
}

// No file of a store can be read by others, whatever the umask.
func TestFileModes(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	path := filepath.Join(t.TempDir(), "meta.db")
	s := openTest(t, path)
	addBucket(t, s)
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Error(err)
		} else if info.Mode() != 0o600 {
			t.Errorf("mode of %s is %v, want %v", filepath.Base(path+suffix), info.Mode(), os.FileMode(0o600))
		}
	}
}
