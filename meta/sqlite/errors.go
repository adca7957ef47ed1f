package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/sanctum-storage/gateway/meta"
)

var errClosed = fmt.Errorf("%w: the store is closed", meta.ErrUnavailable)

// primary masks an extended result code to its primary code.
const primary = 0xff

// code returns the primary result code of SQLite's error in err, or SQLITE_OK.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & primary
	}
	return lib.SQLITE_OK
}

// environmental reports whether err comes from the engine or its environment, such
// as a full disk, and not from the intent. SQLite may then have rolled back the
// whole transaction.
func environmental(err error) bool {
	switch code(err) {
	case lib.SQLITE_OK:
		return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
	case lib.SQLITE_CONSTRAINT, lib.SQLITE_ERROR, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE, lib.SQLITE_TOOBIG:
		return false
	}
	return true
}

// undone reports whether a failed COMMIT certainly left nothing behind: the disk
// was too full for the frame that ends the transaction, or the lock was not
// available. After any other failure, especially of the flush, that frame may be in
// the log, and a restart would find it.
func undone(err error) bool {
	switch code(err) {
	case lib.SQLITE_FULL, lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return true
	}
	return false
}

// outward translates environmental errors into errors of the contract.
func outward(err error) error {
	if err != nil && environmental(err) {
		return unavailable(err)
	}
	return err
}

// A full disk is told apart, because deletions may still help.
func unavailable(err error) error {
	if code(err) == lib.SQLITE_FULL {
		return fmt.Errorf("%w: %w", meta.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", meta.ErrUnavailable, damaged(err))
}

// ErrWithoutLog: the file is only part of the store. Recent changes are in the
// write-ahead log, FILE-wal, until a checkpoint moves them into the file.
var ErrWithoutLog = errors.New("the file is damaged, or was copied without its log (FILE-wal) while a gateway used it: copy both files while no gateway runs, or use SQLite's backup")

// damaged explains the usual cause of SQLite's errors about a damaged file.
func damaged(err error) error {
	switch code(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w)", ErrWithoutLog, err)
	}
	return err
}
