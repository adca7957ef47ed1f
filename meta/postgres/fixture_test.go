package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// cluster is a server that the tests of the package share.
type cluster struct {
	version string
	start   sync.Once
	err     error
	server  *servers.Postgres
	bouncer *servers.PgBouncer
	n       atomic.Int64
}

const template = "migrated" // the database that others are copied from

var (
	files15 = &cluster{version: servers.Postgres15}
	files18 = &cluster{version: servers.Postgres18}
	folder  string
)

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "postgres-store-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	for _, c := range []*cluster{files15, files18} {
		if c.bouncer != nil {
			if err := c.bouncer.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				status = 1
			}
		}
		if c.server != nil {
			if err := c.server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				status = 1
			}
		}
	}
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// up starts the server and makes the template on first use.
func (c *cluster) up(t testing.TB) *servers.Postgres {
	t.Helper()
	c.start.Do(func() {
		dir := filepath.Join(folder, c.version)
		if c.err = os.Mkdir(dir, 0o755); c.err != nil {
			return
		}
		if c.server, c.err = servers.StartPostgres(c.version, dir, servers.PostgresOptions{}); c.err != nil {
			return
		}
		if c.err = c.server.Exec(context.Background(), "postgres", "CREATE DATABASE "+template); c.err != nil {
			return
		}
		if c.err = Migrate(context.Background(), c.server.URL(template), Options{}); c.err != nil {
			return
		}
		dir = filepath.Join(folder, c.version+"-pgbouncer")
		if c.err = os.Mkdir(dir, 0o755); c.err != nil {
			return
		}
		c.bouncer, c.err = servers.StartPgBouncer(dir, c.server)
	})
	if c.err != nil {
		t.Fatal(c.err)
	}
	return c.server
}

var creating sync.Mutex // a template can be copied by one caller at a time

// database makes a migrated database and returns its name.
func (c *cluster) database(t testing.TB) string {
	t.Helper()
	return c.create(t, " TEMPLATE "+template)
}

func (c *cluster) create(t testing.TB, how string) string {
	t.Helper()
	server := c.up(t)
	creating.Lock()
	defer creating.Unlock()
	name := fmt.Sprint("d", c.n.Add(1))
	if err := server.Exec(context.Background(), "postgres", "CREATE DATABASE "+name+how); err != nil {
		t.Fatal(err)
	}
	return name
}

// deadlocksBorne is how often empty begins again.
const deadlocksBorne = 10

// empty deletes all rows of a migrated database, which is faster than making
// another.
func (c *cluster) empty(t testing.TB, database string) {
	t.Helper()
	conn := c.conn(t, database)
	rows, err := conn.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version'")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, n := range names {
		b.WriteString("DELETE FROM " + n + ";")
	}
	// A connection that broke may still hold the rows of its last statement: the server
	// ends one of the two, and the deletion is made again.
	for range deadlocksBorne {
		var ended *pgconn.PgError
		if _, err = conn.PgConn().Exec(t.Context(), b.String()).ReadAll(); !errors.As(err, &ended) || ended.Code != "40P01" {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// conn connects to the database past the store.
func (c *cluster) conn(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), c.up(t).URL(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// openStore opens a store that the test closes.
func openStore(t testing.TB, url string, o Options) *sqlstore.Store {
	t.Helper()
	if o.Report == nil {
		o.Report = func(err error) { t.Error(err) }
	}
	s, err := Open(context.Background(), url, o)
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

// openRunner opens the runner of a store.
func openRunner(t testing.TB, url string, o Options) *runner {
	t.Helper()
	r, err := open(context.Background(), url, o.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// addBucket adds a bucket, and first the deployment with the backend of its blobs.
func addBucket(t testing.TB, s meta.Store) meta.ID {
	t.Helper()
	root := meta.NewID()
	err := s.InitDeployment(context.Background(), meta.Deployment{ID: meta.NewID(), Root: root, Created: time.Now(), Sealing: meta.SealingWhole},
		meta.Tenant{ID: root, Name: "root", Created: time.Now()},
		meta.Backend{ID: meta.FirstBackend, Name: "local", Created: time.Now(), Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := meta.Bucket{ID: meta.NewID(), Owner: root, Backend: meta.FirstBackend, Created: time.Now()}
	b.Name = b.ID.String()
	if err := s.CreateBucket(context.Background(), b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount); err != nil {
		t.Fatal(err)
	}
	return b.ID
}

// rootOf is the tenant that addBucket made.
func rootOf(t testing.TB, s meta.Store) meta.ID {
	t.Helper()
	d, err := s.Deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d.Root
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
