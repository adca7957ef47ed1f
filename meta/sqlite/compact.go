package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// compactSuffix is that of the file that Compact writes beside the store. One that a process
// left as it died is replaced by the next.
const compactSuffix = ".compact"

// Compact writes the file of a store anew: without remains of removed rows, and without the
// room that they took. It takes as much room beside the file while it runs. ErrInUse if a
// process serves the store. Whenever it ends, the store is the old file or the new one, each
// of them whole.
func Compact(ctx context.Context, path string) (err error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlockFile(lock)) }()
	if _, err := os.Stat(path); err != nil {
		return err
	}
	next := path + compactSuffix
	if err := errors.Join(ignoreAbsent(os.Remove(next)), create(next)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreAbsent(os.Remove(next))) }()
	old, err := openAlone(ctx, path)
	if err != nil {
		return fmt.Errorf("open store %s alone: %w", path, damaged(err))
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if err := vacuumInto(ctx, old, next); err != nil {
		return fmt.Errorf("write store %s anew: %w", path, damaged(err))
	}
	// The old file is still locked. A process that reads it must not find a log that belongs
	// to the new one.
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// openAlone opens a store of any release without its log, and locks out every other process,
// until it is closed. It fails where another one reads the store. The next Open has a log
// again.
func openAlone(ctx context.Context, path string) (*sql.DB, error) {
	db, err := openDB(dsn(path, append(writerPragmas(), "locking_mode(EXCLUSIVE)")), 1)
	if err != nil {
		return nil, err
	}
	err = hasTables(db)
	for _, statement := range []string{"PRAGMA journal_mode=DELETE", "BEGIN EXCLUSIVE", "COMMIT"} {
		if err == nil {
			_, err = db.ExecContext(ctx, statement)
		}
	}
	if err == nil {
		_, err = os.Stat(path + "-wal")
		if errors.Is(err, fs.ErrNotExist) {
			return db, nil
		}
		err = errors.Join(errors.New("its log is still there"), err)
	}
	return nil, errors.Join(err, db.Close())
}

// vacuumInto copies the rows of a store into an empty file, and has them on disk.
func vacuumInto(ctx context.Context, old *sql.DB, next string) error {
	if _, err := old.ExecContext(ctx, "VACUUM INTO ?", next); err != nil {
		return err
	}
	// The copy has no write-ahead log. Its first connection would switch to one.
	c, err := openConn(dsn(next, keeperPragmas()))
	if err != nil {
		return err
	}
	if err := c.close(); err != nil {
		return err
	}
	f, err := os.OpenFile(next, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close()) // SQLite leaves that to its caller
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
