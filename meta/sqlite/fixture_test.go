package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// bench is a serving store with access to its runner.
type bench struct {
	*testing.T
	s      *sqlstore.Store
	r      *runner
	path   string
	bucket meta.ID
	holder meta.ID
}

// newBench opens a store. The test's end closes it and checks its ledger.
func newBench(t *testing.T) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meta.db")
	r := openRunner(t, path)
	b := &bench{T: t, s: sqlstore.New(r), r: r, path: path, holder: meta.NewID()}
	t.Cleanup(func() {
		if err := b.s.Close(); err != nil {
			t.Error(err)
		}
		ro, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ro.Close()
		if err := metatest.CheckLedger(context.Background(), ro); err != nil {
			t.Error(err)
		}
	})
	b.bucket = addBucket(t, b.s)
	return b
}

// openRunner opens the runner of a serving store.
func openRunner(t testing.TB, path string) *runner {
	t.Helper()
	lock, err := lockFile(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	r, err := open(path, Options{Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	r.lock = lock
	return r
}

// addBackend adds the first backend.
func addBackend(t testing.TB, s meta.Store) {
	t.Helper()
	b := meta.Backend{ID: meta.FirstBackend, Name: "local", Created: time.Now(), Epoch: 1}
	if err := s.AddBackend(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func addBucket(t testing.TB, s meta.Store) meta.ID {
	t.Helper()
	addBackend(t, s)
	owner := meta.Tenant{ID: meta.NewID(), Name: "owner", Created: time.Now()}
	if err := s.CreateTenant(context.Background(), owner, meta.AccessKey{ID: "key", User: owner.ID}); err != nil {
		t.Fatal(err)
	}
	b := meta.Bucket{ID: meta.NewID(), Name: "bench", Owner: owner.ID, Backend: meta.FirstBackend, Created: time.Now()}
	if err := s.CreateBucket(context.Background(), b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount); err != nil {
		t.Fatal(err)
	}
	return b.ID
}

func newVersion(bucket meta.ID, key string) meta.Version {
	return meta.Version{
		Bucket: bucket, Key: key, ID: meta.NewID(), Owner: meta.NewID(), Size: 1 << 20, Modified: time.Now(),
		Generation: 1, WrappedKey: make([]byte, 130), Manifest: make([]byte, 400), ListRecord: make([]byte, 80), Null: true,
	}
}

func newBlobID() (id meta.BlobID) {
	a, c := meta.NewID(), meta.NewID()
	copy(id[:], a[:])
	copy(id[16:], c[:])
	return id
}

// put commits an object whose manifest has n bytes.
func (b *bench) put(key string, n int) error {
	v := newVersion(b.bucket, key)
	v.Manifest = make([]byte, n)
	return b.s.CommitObject(context.Background(), meta.Commit{Version: v})
}

func (b *bench) mustPut(key string) {
	b.Helper()
	if err := b.put(key, 100); err != nil {
		b.Fatalf("put %s: %v", key, err)
	}
}

func (b *bench) remove(key string) error {
	done, err := b.s.RemoveObjects(context.Background(), b.bucket, meta.VersioningOff, []meta.Removal{{Key: key}}, time.Now())
	for _, d := range done {
		err = errors.Join(err, d.Err)
	}
	return err
}

func (b *bench) want(key string, there bool) {
	b.Helper()
	_, err := b.s.Object(context.Background(), b.bucket, key)
	if there && err != nil || !there && !errors.Is(err, meta.ErrNotFound) {
		b.Errorf("object %s: %v, want it there: %t", key, err, there)
	}
}

func (b *bench) is(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("error is %v, want %v", err, want)
	}
}

// group runs intents in one group, as if all had waited at once, and returns their
// errors. Nothing else may write meanwhile.
func (b *bench) group(jobs ...*job) {
	b.Helper()
	for _, j := range jobs {
		j.done = make(chan struct{})
		if j.ctx == nil {
			j.ctx = context.Background()
		}
	}
	b.r.answer(append([]*job(nil), jobs...))
	for i, j := range jobs {
		select {
		case <-j.done:
		default:
			b.Errorf("intent %d was not answered", i)
		}
	}
}

// insert returns an intent that reserves a blob for a new holder; there reports
// whether the blob is reserved.
func insert(blob meta.BlobID) func(sqlstore.Tx) error {
	return func(tx sqlstore.Tx) error {
		if _, err := tx.Exec("INSERT INTO reservations (id, holder, backend, changed) VALUES (?, ?, 1, 0)", blob[:], blob[:16]); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO holders (id, beat) VALUES (?, 0)", blob[:16])
		return err
	}
}

func (b *bench) wantReserved(blob meta.BlobID, there bool) {
	b.Helper()
	_, err := b.s.Blob(context.Background(), blob)
	if there && err != nil || !there && !errors.Is(err, meta.ErrNotFound) {
		b.Errorf("reservation: %v, want it there: %t", err, there)
	}
}

// pragma runs a pragma on the writer's connection.
func (b *bench) pragma(text string) (n int64) {
	b.Helper()
	err := b.r.Write(context.Background(), func(tx sqlstore.Tx) error { return tx.QueryRow("PRAGMA " + text).Scan(&n) })
	if err != nil {
		b.Fatalf("PRAGMA %s: %v", text, err)
	}
	return n
}

// fullError returns SQLite's own error for a full database.
func fullError(t *testing.T) error {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("PRAGMA max_page_count = 2; CREATE TABLE t (b BLOB)"); err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("INSERT INTO t VALUES (zeroblob(100000))")
	if !undone(err) {
		t.Fatalf("%v is not a full database", err)
	}
	return err
}
