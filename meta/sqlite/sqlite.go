// Package sqlite keeps the store in one SQLite file inside the process: the
// engine's side of sqlstore.
//
// All writes go through one connection and one goroutine, which commits what
// waits as a group, so that concurrent intents share the disk's flush. Reads
// run beside it on a pool of connections. An intent that has returned is on
// disk (WAL, synchronous=FULL).
//
// It never serves one file from two processes: a lock file refuses the second,
// but for OpenReadOnly. It must not be used on a network file system, where
// SQLite's shared memory does not work.
//
// # What removed rows leave behind
//
// secure_delete is ON: content is zeroed when a row goes or a page is freed, so
// that a destroyed key cannot be read back from the file. FAST would leave it
// in freed pages. Older images of pages stay in the write-ahead log until it is
// checkpointed and cut, which happens once the store has written nothing for
// truncateIdle, and at Close. Copies that a file system or a disk keeps of
// overwritten blocks are beyond SQLite's reach.
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
	// fileMode is the mode of a new file; SQLite gives it to -wal and -shm too.
	fileMode = 0o600
	// readersPerCPU sizes the pool: a reader may wait for the disk.
	readersPerCPU = 2
	// busyTimeout is how long a connection waits for a lock. Only a
	// checkpoint's end or a foreign process can make one wait.
	busyTimeout = 5 * time.Second
	// autoCheckpointPages makes a commit move the log into the file when the
	// log has grown so far in spite of the checkpointer.
	autoCheckpointPages = 16384
	// journalLimit is the size in bytes to which a log that was larger is cut.
	journalLimit = 64 << 20
	// writerCache and readerCache are page caches in bytes, of each connection,
	// and filled as needed.
	writerCache = 64 << 20
	readerCache = 16 << 20
)

// ErrReadOnly: a change was asked of a store opened by OpenReadOnly.
var ErrReadOnly = errors.New("sqlite: the store is open for reading only")

// Options of a store. The zero value is ready to use.
type Options struct {
	// Report is told of failures of background upkeep, which do not fail an
	// intent: checkpoints. It is called from the store's goroutine. May be nil.
	Report func(error)
	// MinFree is how many bytes of the file system are left for what is no growth:
	// deletions, and the store's own upkeep. Below it new objects, parts and uploads get
	// meta.ErrFull. 0: none. It has effect on Linux.
	MinFree int64
}

// SchemaVersion is the number of the last migration that this release has for SQLite.
const SchemaVersion = 13

// schema is the migrations as they are written.
var schema = sqlstore.Schema{Dialect: goose.DialectSQLite3}

// Open opens the store at path for serving, creating or migrating it. ErrInUse
// when another process serves it; sqlstore.ErrNewerSchema when a later release
// has migrated it.
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

// OpenReadOnly opens an existing store for reading, beside a process that
// serves it or without one. Every change returns ErrReadOnly, Check included.
// Its schema must be this release's: sqlstore.ErrNewerSchema, ErrOlderSchema.
func OpenReadOnly(path string) (*sqlstore.Store, error) {
	pool, err := openPool(path)
	if err != nil {
		return nil, fmt.Errorf("open store %s for reading: %w", path, damaged(err))
	}
	err = pool.hasTables()
	if err == nil {
		err = schema.Current(context.Background(), pool.db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s for reading: %w", path, damaged(err)), pool.close())
	}
	return sqlstore.New(readOnly{pool}), nil
}

// open opens all connections of a serving store and starts its goroutines.
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

// create makes an empty file, which is an empty database, so that it never
// exists with a wider mode than fileMode, and flushes its name.
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
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// dsn is the driver's name for the file with pragmas, which run in order on
// every new connection, the busy timeout before all others.
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
		"cell_size_check(ON)", // notice a damaged page when it is read
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

// readerPragmas do not set the journal mode, which only a writer can change.
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

// openDB opens and tries a database handle of at most n connections.
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
