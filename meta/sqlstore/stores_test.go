package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// server is the PostgreSQL that the tests of the package share.
var server struct {
	start sync.Once
	err   error
	dir   string
	p     *servers.Postgres
	n     atomic.Int64
}

func TestMain(m *testing.M) {
	status := m.Run()
	if server.p != nil {
		if err := server.p.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	if err := os.RemoveAll(server.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// newDatabase makes a database, empty or as a copy, and returns its URL.
func newDatabase(t *testing.T, template string) (url, name string) {
	t.Helper()
	server.start.Do(func() {
		if server.dir, server.err = os.MkdirTemp("", "sqlstore-"); server.err == nil {
			server.p, server.err = servers.StartPostgres(servers.Postgres15, server.dir, servers.PostgresOptions{})
		}
	})
	if server.err != nil {
		t.Fatal(server.err)
	}
	name = fmt.Sprint("d", server.n.Add(1))
	statement := "CREATE DATABASE " + name
	if template != "" {
		statement += " TEMPLATE " + template
	}
	if err := server.p.Exec(t.Context(), "postgres", statement); err != nil {
		t.Fatal(err)
	}
	return server.p.URL(name), name
}

// closing closes a store at the end of the test.
func closing(t *testing.T, s *sqlstore.Store, err error) *sqlstore.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openPostgres(t *testing.T, url string, o postgres.Options) *sqlstore.Store {
	t.Helper()
	o.Migrate = true
	s, err := postgres.Open(t.Context(), url, o)
	return closing(t, s, err)
}

func openSQLite(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlite.Open(path, sqlite.Options{})
	return closing(t, s, err)
}

// openRaw opens a database, bypassing the store.
func openRaw(t *testing.T, driver, source string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var (
	filling sync.Once
	filled  []byte // a SQLite file
)

// filledFile returns a new SQLite file with rows in every table.
func filledFile(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "meta.db")
	filling.Do(func() {
		s, err := sqlite.Open(path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if filled, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	})
	if filled == nil {
		t.Fatal("the store could not be filled")
	}
	if err := os.WriteFile(path, filled, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bulk is the number of objects beside the special ones: more than one page.
const bulk = 2100

// filler adds rows through the store's contract.
type filler struct {
	*testing.T
	ctx    context.Context
	s      meta.Store
	now    time.Time
	holder meta.ID
	root   meta.ID
	closed bool // backend 2 takes no new blobs
}

func (f *filler) ok(err error) {
	f.Helper()
	if err != nil {
		f.Error(err)
	}
}

// fill leaves at least one row in every table, and bodies of every kind.
func fill(t *testing.T, s meta.Store) *filler {
	f := &filler{T: t, ctx: context.Background(), s: s, now: time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC), holder: meta.NewID()}
	root := meta.Tenant{ID: meta.NewID(), Name: "root", Created: f.now}
	f.ok(s.InitDeployment(f.ctx, meta.Deployment{ID: meta.NewID(), Root: root.ID, Seed: []byte("sealed"), Created: f.now}, root,
		meta.Backend{Name: "one", Created: f.now, Epoch: 3}))
	f.ok(s.AddBackend(f.ctx, meta.Backend{ID: 2, Name: "two", Created: f.now, Epoch: 1}))
	f.ok(s.CreateTenant(f.ctx, meta.Tenant{ID: meta.NewID(), Name: "änne", Residency: "EU", Created: f.now},
		meta.AccessKey{ID: "access key", Secret: []byte{0, 0xff}, Created: f.now}))
	user := meta.Identity{ID: meta.NewID(), Tenant: root.ID, Kind: meta.IdentityUser, Name: "Änne", Created: f.now, Document: []byte{0, 0xff}}
	f.ok(s.CreateIdentity(f.ctx, user))
	f.ok(s.CreateAccessKey(f.ctx, meta.AccessKey{ID: "user's", User: user.ID, Secret: []byte{1}, Created: f.now, Inactive: true}))
	b := f.bucket("bucket", root.ID)
	var wait sync.WaitGroup
	for n := range 32 {
		wait.Go(func() {
			for i := n; i < bulk; i += 32 {
				if err := s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, fmt.Sprintf("bulk/%d\xff", i), meta.Body{})}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	at, err := s.Bucket(f.ctx, "bucket")
	f.ok(err)
	f.ok(s.SetSetting(f.ctx, b, meta.Change{Revision: at.Revision}, meta.Setting{Name: "setting", Document: []byte{0, 0xff}}))
	f.objects(b)
	f.rename(b)
	f.uploads(b)
	f.versions(f.bucket("versioned", root.ID))
	for n := 1; n > 0; {
		var err error
		n, err = s.FoldUsage(f.ctx, meta.MaxPage)
		f.ok(err)
	}
	f.ok(s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "not folded", meta.Body{})}))
	dying := f.bucket("dying", root.ID)
	f.upload(dying, "never", 1)
	f.ok(s.DeleteBucket(f.ctx, dying))
	f.ok(s.SetJob(f.ctx, "job", nil, []byte{0, 0xff}))
	lease, err := s.TakeLease(f.ctx, meta.Lease{Name: "lease"}, f.holder)
	f.ok(err)
	f.ok(s.DrainBackend(f.ctx, 2, 1))
	f.ok(s.NoteDrain(f.ctx, lease, 2, meta.Drain{Target: 1, Round: 1, After: f.reserve(1)[0], Left: true, Blobs: 1, Bytes: 1 << 40}))
	f.root, f.closed = root.ID, true
	return f
}

// churn makes and removes objects, uploads and a bucket until it is stopped.
func (f *filler) churn(stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		b := f.bucket(fmt.Sprint("churn-", i), f.root)
		f.objects(b)
		f.uploads(b)
		for _, key := range []string{"blob 0", "blob 1", "blob 2", "blob 3", "shares blob 1", "completed 2", "completed 3", "copy of completed 2", "copy of completed 3"} {
			_, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningOff, []meta.Removal{{Key: key}}, f.now)
			f.ok(err)
		}
		f.ok(f.s.DeleteBucket(f.ctx, b))
		_, err := f.s.Sweep(f.ctx, meta.MaxPage, f.now.Add(time.Hour), f.now, nil)
		f.ok(err)
	}
}

func (f *filler) bucket(name string, owner meta.ID) meta.ID {
	id := meta.NewID()
	f.ok(f.s.CreateBucket(f.ctx, meta.Bucket{ID: id, Name: name, Owner: owner, Residency: []string{"EU", "one"}, Backend: 1, Created: f.now},
		meta.BucketSeed{Bucket: id, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount))
	return id
}

func (f *filler) version(bucket meta.ID, key string, body meta.Body) meta.Version {
	return meta.Version{Bucket: bucket, Key: key, ID: meta.NewID(), Owner: meta.NewID(), Size: 1 << 33, Modified: f.now,
		Generation: 1, WrappedKey: []byte("wrapped"), Manifest: []byte("manifest"), Body: body, Null: true}
}

func (f *filler) reserve(n int) (ids []meta.BlobID) {
	for range n {
		a, b := meta.NewID(), meta.NewID()
		ids = append(ids, meta.BlobID(append(a[:], b[:4]...)))
	}
	f.ok(f.s.Reserve(f.ctx, f.holder, 1, ids, f.now))
	return ids
}

// objects adds blobs: one with one reference, one that is shared, one that was
// moved, one whose version was displaced; and one reservation.
func (f *filler) objects(b meta.ID) {
	ids := f.reserve(5)
	for i, id := range ids[:4] {
		body := meta.Body{Kind: meta.BodyBlob, Blob: id}
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, fmt.Sprint("blob ", i), body), Holder: f.holder}))
	}
	shared := f.version(b, "shares blob 1", meta.Body{Kind: meta.BodyBlob, Blob: ids[1]})
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: shared, Share: true}))
	if !f.closed {
		demands, err := f.s.Demands(f.ctx)
		f.ok(err)
		f.ok(f.s.ReserveCopy(f.ctx, f.holder, ids[2], 1, 2, f.now))
		f.ok(f.s.ReserveCopy(f.ctx, f.holder, ids[1], 1, 2, f.now)) // and is not moved
		f.ok(f.s.MoveBlob(f.ctx, meta.Move{ID: ids[2], From: 1, To: 2, Holder: f.holder, Demands: demands, Now: f.now}))
	}
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "blob 3", meta.Body{})}))
}

// rename leaves a token.
func (f *filler) rename(b meta.ID) {
	v := f.version(b, "before", meta.Body{})
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v}))
	f.ok(f.s.RenameObject(f.ctx, meta.Rename{Bucket: b, From: v.Key, To: "after", Source: v.ID, Now: f.now,
		Version: f.version(b, "after", meta.Body{}), Token: meta.RenameToken{ID: [32]byte{1}, Digest: [32]byte{2}}}))
}

// versions adds versions of keys: a null one and others, some with their own blobs,
// and markers, one of them current.
func (f *filler) versions(b meta.ID) {
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "versions", meta.Body{})}))
	f.ok(metatest.SetVersioning(f.ctx, f.s, b, meta.VersioningEnabled, true))
	put := func(key string, body meta.Body) {
		v := f.version(b, key, body)
		v.Null, v.Class, v.Marks = false, "GLACIER", []byte("marks")
		v.Lock = meta.Lock{Mode: meta.LockGovernance, Until: f.now.Add(time.Hour), Hold: true}
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: meta.VersioningEnabled, Holder: f.holder}))
	}
	for _, id := range f.reserve(2) {
		put("versions", meta.Body{Kind: meta.BodyBlob, Blob: id})
		put("removed", meta.Body{})
		_, err := f.s.RemoveObjects(f.ctx, b, meta.VersioningEnabled, []meta.Removal{
			{Key: "removed", Marker: meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: f.now}}}, f.now)
		f.ok(err)
	}
}

// uploads adds uploads in every state; completed ones with and without surplus
// parts.
func (f *filler) uploads(b meta.ID) {
	f.upload(b, "open", 3)
	f.ok(f.s.AbortUpload(f.ctx, f.upload(b, "aborted", 2)))
	for chosen := 2; chosen <= 3; chosen++ {
		key := fmt.Sprint("completed ", chosen)
		id := f.upload(b, key, 3)
		body := meta.Body{Kind: meta.BodyUpload, Upload: id}
		f.ok(f.s.CompleteUpload(f.ctx, meta.Complete{Upload: id, Revision: 3, Chosen: []meta.PartRun{{First: 1, Count: chosen}}, Version: f.version(b, key, body)}))
		f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: f.version(b, "copy of "+key, body), Share: true}))
	}
}

func (f *filler) upload(b meta.ID, key string, parts int) meta.ID {
	id := meta.NewID()
	f.ok(f.s.CreateUpload(f.ctx, meta.Upload{ID: id, Bucket: b, Key: key, Owner: meta.NewID(), Created: f.now, Generation: 1, WrappedKey: []byte("wrapped")}))
	for n := range parts {
		f.ok(f.s.PutPart(f.ctx, meta.PutPart{Holder: f.holder, Part: meta.Part{Upload: id, Number: n + 1, Attempt: meta.NewID(),
			Size: 5 << 20, Modified: f.now, Record: []byte("record"), Blobs: f.reserve(2)}}))
	}
	return id
}
