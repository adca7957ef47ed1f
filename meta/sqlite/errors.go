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

// code is the primary result code of SQLite's error in err, or SQLITE_OK.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & primary
	}
	return lib.SQLITE_OK
}

// environmental reports whether err comes of the engine or what it stands on,
// a full disk say, rather than of the intent. SQLite may have rolled back the
// whole transaction then.
func environmental(err error) bool {
	switch code(err) {
	case lib.SQLITE_OK:
		return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
	case lib.SQLITE_CONSTRAINT, lib.SQLITE_ERROR, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE, lib.SQLITE_TOOBIG:
		return false
	}
	return true
}

// undone reports whether a COMMIT that failed so surely left nothing behind.
// The log was too full for the frame that ends the transaction, or a lock was
// not had. After any other failure, of the flush above all, that frame may be
// in the log, and a restart would find it.
func undone(err error) bool {
	switch code(err) {
	case lib.SQLITE_FULL, lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return true
	}
	return false
}

// outward puts environmental errors in the contract's words.
func outward(err error) error {
	if err != nil && environmental(err) {
		return unavailable(err)
	}
	return err
}

func unavailable(err error) error {
	if code(err) == lib.SQLITE_FULL {
		return fmt.Errorf("%w: %w", meta.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", meta.ErrUnavailable, damaged(err))
}

// ErrWithoutLog: the file is not all of the store. What has been written of late is in
// its write-ahead log, FILE-wal, until that is moved into the file.
var ErrWithoutLog = errors.New("the file is damaged, or was copied without its log (FILE-wal) while a gateway used it: copy both while none does, or use SQLite's backup")

// damaged says what SQLite's words of a file that is not whole mostly come of.
func damaged(err error) error {
	switch code(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w)", ErrWithoutLog, err)
	}
	return err
}
