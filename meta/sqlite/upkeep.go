package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrate brings the schema of an existing store up to date, as Open does.
// ErrInUse when another process serves it, fs.ErrNotExist when there is none.
func Migrate(path string) (err error) {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlockFile(lock)) }()
	w, err := openConn(dsn(path, writerPragmas()))
	if err != nil {
		return fmt.Errorf("open store %s: %w", path, err)
	}
	if err := errors.Join(w.migrate(), w.close()); err != nil {
		return fmt.Errorf("migrate store %s: %w", path, err)
	}
	return nil
}

// Status returns the version of the store's schema, and the version of this
// release. The first is 0 when there is no store or an empty one. It changes
// nothing and takes no lock.
func Status(ctx context.Context, path string) (has, knows int64, err error) {
	table, err := database.NewStore(database.DialectSQLite3, goose.DefaultTablename)
	if err != nil {
		return 0, 0, err
	}
	source := dsn(path, readerPragmas())
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		source = ":memory:" // also empty, and SQLite then creates no file
	} else if err != nil {
		return 0, 0, err
	}
	db, err := openDB(source, 1)
	if err != nil {
		return 0, 0, fmt.Errorf("open store %s for reading: %w", path, err)
	}
	has, knows, err = schema.Versions(ctx, db, versionTable{table})
	if err = errors.Join(err, db.Close()); err != nil {
		return 0, 0, fmt.Errorf("read the schema of store %s: %w", path, err)
	}
	return has, knows, nil
}

// versionTable is goose's table of versions. For SQLite, goose cannot tell whether
// it exists.
type versionTable struct{ database.Store }

func (t versionTable) TableExists(ctx context.Context, db database.DBTxConn) (bool, error) {
	var n int
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", t.Tablename()).Scan(&n)
	return n > 0, err
}
