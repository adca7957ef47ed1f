package sqlite

import (
	"context"
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
	if err := vacuumInto(ctx, path, next); err != nil {
		return fmt.Errorf("write store %s anew: %w", path, damaged(err))
	}
	// The log is gone with its last connection. One that is there belongs to the old file.
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("the log of store %s is still there", path), err)
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// vacuumInto copies the rows of a store into an empty file, and has them on disk.
func vacuumInto(ctx context.Context, path, next string) (err error) {
	db, err := openDB(dsn(path, writerPragmas()), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// No migration: a store of any release may be compacted.
	if err := hasTables(db); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", next); err != nil {
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
