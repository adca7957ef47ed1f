//go:build linux

package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/postgres"
)

const (
	engines = 3
	// poolSize is each engine's bound on connections: few enough to be waited for.
	poolSize = 6
	template = "migrated" // the database that others are copied from
	// openTries is how often a store is opened through a proxy that cuts.
	openTries = 10
)

// database is the server that the tests within this process share.
var database struct {
	sync.Once
	sync.Mutex // a template can be copied by one at a time
	server     *servers.Postgres
	err        error
	n          atomic.Int64
}

// folder lasts as long as the package's tests.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "clustertest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if database.server != nil {
		err = database.server.Stop()
	}
	if storage.server != nil {
		err = errors.Join(err, storage.server.Stop())
	}
	if err = errors.Join(err, os.RemoveAll(folder)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// newDatabase makes a migrated database, on a server that does not sync: nothing
// in this process crashes it.
func newDatabase(t *testing.T) string {
	t.Helper()
	database.Do(func() {
		dir := filepath.Join(folder, "postgres")
		if database.err = os.Mkdir(dir, 0o755); database.err != nil {
			return
		}
		if database.server, database.err = servers.StartPostgres(servers.Postgres15, dir, servers.PostgresOptions{}); database.err != nil {
			return
		}
		if database.err = database.server.Exec(context.Background(), "postgres", "CREATE DATABASE "+template); database.err == nil {
			database.err = postgres.Migrate(context.Background(), database.server.URL(template), postgres.Options{})
		}
	})
	if database.err != nil {
		t.Fatal(database.err)
	}
	database.Lock()
	defer database.Unlock()
	name := fmt.Sprint("cluster", database.n.Add(1))
	must(t, database.server.Exec(t.Context(), "postgres", "CREATE DATABASE "+name+" TEMPLATE "+template))
	return name
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cluster is three engines over one database and two backends, each with a pool
// of connections of its own, as processes would be.
type cluster struct {
	t        *testing.T
	database string
	backends []blobs.Backend
	keys     encrypt.Provider
	engines  []*engine.Engine
	stores   []meta.Store // of the engines, without what a test put around them
	bucket   meta.Bucket
}

const (
	first  = "first" // backend; the default
	second = "second"
)

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, database: newDatabase(t)}
	for _, name := range []string{first, second} {
		b := mem.New()
		t.Cleanup(func() { b.Close() })
		c.backends = append(c.backends, blobs.Backend{Name: name, Backend: b})
	}
	var err error
	c.keys, err = keyring.Create(filepath.Join(t.TempDir(), "keyring"), nil)
	must(t, err)
	t.Cleanup(func() { c.keys.Close() })
	return c
}

// url is the database past all proxies.
func (c *cluster) url() string { return database.server.URL(c.database) }

// openStore opens a store, again where a connection was cut before it was made:
// that ends a gateway's start, and whoever started it starts it anew.
func (c *cluster) openStore(url string) (store meta.Store, err error) {
	for range openTries {
		s, failed := postgres.Open(context.Background(), url, postgres.Options{MaxConnections: poolSize})
		if err = failed; err == nil {
			return s, nil
		}
	}
	return nil, err
}

// open opens the engines, all at once as after a power failure: on an empty
// database they race for who begins the deployment. around may put something
// around an engine's store, and change its configuration.
func (c *cluster) open(url string, grace time.Duration, around func(i int, config *engine.Config)) {
	c.t.Helper()
	c.engines, c.stores = make([]*engine.Engine, engines), make([]meta.Store, engines)
	errs := make([]error, engines)
	var wg sync.WaitGroup
	for i := range engines {
		wg.Go(func() {
			if c.stores[i], errs[i] = c.openStore(url); errs[i] != nil {
				return
			}
			config := engine.Config{Store: c.stores[i], Backends: c.backends, Default: first, Keys: c.keys, Grace: grace, TransitionClasses: lifecycle.TransitionClasses}
			around(i, &config)
			c.engines[i], errs[i] = engine.Open(context.Background(), config)
		})
	}
	wg.Wait()
	c.t.Cleanup(func() { c.close() })
	must(c.t, errors.Join(errs...))
	var err error
	c.bucket, err = c.engines[0].Buckets().Create(c.t.Context(), "shared", "", c.engines[0].Accounts().Root().ID)
	must(c.t, err)
}

// close ends the engines in order. Closing again does nothing.
func (c *cluster) close() error {
	var errs []error
	for i := range c.engines {
		if c.engines[i] != nil {
			errs = append(errs, c.engines[i].Close())
		}
		if c.stores[i] != nil {
			errs = append(errs, c.stores[i].Close())
		}
	}
	c.engines, c.stores = nil, nil
	return errors.Join(errs...)
}

// wantClean demands, after the engines were closed, that store and backends agree
// about every byte; and that nothing is left over once all background work is
// done.
func (c *cluster) wantClean() {
	c.t.Helper()
	store, err := c.openStore(c.url())
	must(c.t, err)
	defer store.Close()
	if err := metatest.CheckLedger(c.t.Context(), store); err != nil {
		c.t.Errorf("ledger: %v", err)
	}
	config := engine.Config{Store: store, Backends: c.backends, Default: first, Keys: c.keys, Grace: -1, ReadOnly: true}
	reader, err := engine.Open(c.t.Context(), config)
	must(c.t, err)
	c.fsck(reader)
	config.ReadOnly, config.Sole = false, true
	last, err := engine.Open(c.t.Context(), config)
	must(c.t, err)
	c.finish(last)
	r := c.fsck(last)
	if r.PendingBlobs != 0 || r.ReservedBlob != 0 || r.BackendBlobs != r.Blobs {
		c.t.Errorf("after collection: %+v", r)
	}
	must(c.t, last.Close())
	if err := metatest.CheckLedger(c.t.Context(), store); err != nil {
		c.t.Errorf("ledger after collection: %v", err)
	}
}

// finish collects, and ends a draining that was begun: whoever moved a blob may
// have been stopped with a copy of it at the target.
func (c *cluster) finish(e *engine.Engine) {
	c.t.Helper()
	for quiet := 0; quiet < 2; { // a draining needs a last look at nothing
		moved, err := e.Blobs().Move(c.t.Context())
		must(c.t, err)
		collected, err := e.Blobs().Collect(c.t.Context())
		must(c.t, err)
		if quiet++; moved != (blobs.MoveReport{}) || collected != (blobs.CollectReport{}) {
			quiet = 0
		}
	}
	all, err := e.Blobs().BackendStatus(c.t.Context())
	must(c.t, err)
	for _, b := range all {
		if b.Row.State == meta.BackendDraining {
			c.t.Errorf("the draining of %s does not end: %+v", b.Row.Name, b.Row)
		}
	}
}

func (c *cluster) fsck(e *engine.Engine) fsck.Report {
	c.t.Helper()
	r, err := fsck.Run(c.t.Context(), e, fsck.Options{Deep: true})
	must(c.t, err)
	if !r.Clean() {
		c.t.Errorf("fsck: %+v", r.Findings)
	}
	return r
}
