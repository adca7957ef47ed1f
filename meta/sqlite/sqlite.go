// Package sqlite keeps the store in one SQLite file inside the process: the
// engine's side of sqlstore.
//
// All writes go through one connection and one goroutine. It commits all waiting
// intents as a group, so that they share one flush of the disk. Reads run beside it
// on a pool of connections. The changes of an intent are on disk when it returns
// (WAL, synchronous=FULL).
//
// It never serves one file from two processes: a lock file refuses the second,
// except for OpenReadOnly. It must not be used on a network file system, where
// SQLite's shared memory does not work.
//
// # Remains of removed rows
//
// secure_delete is ON: SQLite overwrites the content of removed rows and freed
// pages with zeros, so that a destroyed key cannot be read from the file. FAST
// would leave it in freed pages. Older images of pages stay in the write-ahead log
// until it is checkpointed and truncated. That happens at Close, and when the store
// has written nothing for truncateIdle. When SQLite moves rows between pages, a copy
// of a few can stay in the unused part of a page, where a later removal does not reach
// it. Compact leaves none. SQLite cannot reach copies of overwritten blocks that a
// file system or a disk keeps.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

const (
	// fileMode is the mode of a new file; SQLite also uses it for -wal and -shm.
	fileMode = 0o600
	// readersPerCPU sizes the pool: a reader may wait for the disk.
	readersPerCPU = 2
	// busyTimeout is how long a connection waits for a lock. Only the end of a
	// checkpoint or a foreign process can cause such a wait.
	busyTimeout = 5 * time.Second
	// autoCheckpointPages is the size of the log at which a commit moves it into
	// the file, when the checkpointer has not kept up.
	autoCheckpointPages = 16384
	// journalLimit is the size in bytes to which a larger log is truncated.
	journalLimit = 64 << 20
	// writerCache and readerCache are the page caches of each connection in bytes.
	// They are filled as needed.
	writerCache = 64 << 20
	readerCache = 16 << 20
)

// ErrReadOnly: a change of a store that OpenReadOnly opened.
var ErrReadOnly = errors.New("sqlite: the store is open for reading only")

// Options are the options of a store. The zero value is ready to use.
type Options struct {
	// Report receives failures of background checkpoints, which fail no intent. It
	// is called from the store's goroutine. May be nil.
	Report func(error)
	// MinFree is the number of bytes of the file system that are reserved for
	// deletions and the store's own upkeep. When less is free, new objects, parts
	// and uploads get meta.ErrFull. 0: none. It works on Linux only.
	MinFree int64
}

// SchemaVersion is the number of this release's last migration for SQLite.
const SchemaVersion = 16

// schema has the migrations without translation.
var schema = sqlstore.Schema{Dialect: goose.DialectSQLite3}

// Open opens the store at path for serving; it creates or migrates it. ErrInUse
// when another process serves it; sqlstore.ErrNewerSchema when a later release has
// migrated it.
func Open(path string, o Options) (*sqlstore.Store, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	r, err := open(path, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, damaged(err)), unlockFile(lock))
	}
	r.lock = lock
	return sqlstore.New(r), nil
}

// OpenReadOnly opens an existing store for reading, even while a process serves it.
// Every change returns ErrReadOnly, Check included. Its schema must be this
// release's: sqlstore.ErrNewerSchema, ErrOlderSchema.
func OpenReadOnly(path string) (*sqlstore.Store, error) {
	pool, err := openPool(path)
	if err != nil {
		return nil, fmt.Errorf("open store %s for reading: %w", path, damaged(err))
	}
	err = hasTables(pool.db)
	if err == nil {
		err = schema.Current(context.Background(), pool.db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s for reading: %w", path, damaged(err)), pool.close())
	}
	return sqlstore.New(readOnly{pool}), nil
}

// open opens all connections of a serving store and starts its goroutines.
// The schema is migrated before the readers open, because they cannot create the file or a table.
func open(path string, o Options) (_ *runner, err error) {
	if err := create(path); err != nil {
		return nil, err
	}
	w, err := openConn(dsn(path, writerPragmas()))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := w.migrate(); err != nil {
		return nil, err
	}
	pool, err := openPool(path)
	if err != nil {
		return nil, err
	}
	keeper, err := openConn(dsn(path, keeperPragmas()))
	if err != nil {
		return nil, errors.Join(err, pool.close())
	}
	r := newRunner(w, pool, newCheckpointer(keeper, o.Report))
	r.dir, r.minFree = filepath.Dir(path), o.MinFree
	return r, nil
}

// create makes an empty file, which is an empty database, so that it never exists
// with a wider mode than fileMode, and flushes its directory entry.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder flushes the entries of a folder.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// dsn returns the driver's name for the file with pragmas. They run in order on
// every new connection, after the busy timeout.
func dsn(path string, pragmas []string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	q := url.Values{
		"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		"_txlock":       {"immediate"},
		"_pragma":       pragmas,
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

func commonPragmas() []string {
	return []string{
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"temp_store(MEMORY)",
		"trusted_schema(OFF)",
		"cell_size_check(ON)", // detect a damaged page when it is read
	}
}

func writerPragmas() []string {
	return append(commonPragmas(),
		"secure_delete(ON)",
		fmt.Sprintf("wal_autocheckpoint(%d)", autoCheckpointPages),
		fmt.Sprintf("journal_size_limit(%d)", journalLimit),
		fmt.Sprintf("cache_size(-%d)", writerCache>>10))
}

func keeperPragmas() []string {
	return append(commonPragmas(), fmt.Sprintf("journal_size_limit(%d)", journalLimit))
}

// readerPragmas do not set the journal mode, because only a writer can change it.
func readerPragmas() []string {
	return []string{
		"query_only(ON)",
		"temp_store(MEMORY)",
		"trusted_schema(OFF)",
		"cell_size_check(ON)",
		fmt.Sprintf("cache_size(-%d)", readerCache>>10),
	}
}

func readers() int { return runtime.GOMAXPROCS(0) * readersPerCPU }

// openDB opens and tests a database handle of at most n connections.
func openDB(dsn string, n int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	if err := db.Ping(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
