package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/sanctum-storage/gateway/meta"
)

// Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeNotKnown      = "40003" // statement completion unknown
	codeUnique        = "23505"
	codeNull          = "23502"
	codeReadOnly      = "25006" // the host has become a standby
	codeLock          = "55P03"
	codeDenied        = "42501"
	codeSyntax        = "42601"
)

var errClosed = fmt.Errorf("%w: the store is closed", meta.ErrUnavailable)

// serverError returns the server's error in err, or nil.
func serverError(err error) *pgconn.PgError {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e
	}
	return nil
}

func code(err error) string {
	if e := serverError(err); e != nil {
		return e.Code
	}
	return ""
}

// refused reports whether the server says that the statement failed and that the
// session continues, so that the statement certainly had no effect. Errors of a
// pooler, at the end of a session, or with the code "unknown" do not count.
func refused(err error) bool {
	e := serverError(err)
	if e == nil || e.SeverityUnlocalized != "ERROR" || e.Code == codeNotKnown || len(e.Code) != 5 {
		return false
	}
	switch e.Code[:2] {
	case "08", "57", "58", "XX":
		return false
	}
	return true
}

// again reports whether the same intent may succeed if it is repeated at once,
// because it conflicted with another.
func again(err error) bool {
	switch code(err) {
	case codeSerialization, codeDeadlock, codeUnique:
		return true
	}
	return false
}

// broken reports whether err comes from the connection or its host, so that another
// connection may help.
func broken(err error) bool {
	if e := serverError(err); e != nil {
		return e.Code == codeReadOnly || e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC" ||
			len(e.Code) == 5 && (e.Code[:2] == "08" || e.Code[:3] == "57P")
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, errLost) || pgconn.SafeToRetry(err)
}

// cut reports whether err means that an established connection ended.
func cut(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pgconn.ErrConnClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// environmental reports whether err comes from the database or the network, and not
// from the intent.
func environmental(err error) bool {
	if broken(err) || again(err) {
		return true
	}
	if e := serverError(err); e != nil && len(e.Code) == 5 {
		switch e.Code[:2] {
		case "40", "53", "57", "58":
			return true
		}
		return e.Code == codeLock
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, puddle.ErrClosedPool) || errors.Is(err, errAcquire)
}

var (
	// errLost: pgx found the connection closed under a statement.
	errLost = errors.New("the connection to the database was lost")
	// errAcquire: all connections are in use, or no new one could be made in time.
	errAcquire = errors.New("no connection to the database in time")
)

// outward translates environmental errors into errors of the contract.
func outward(err error) error {
	if err == nil || errors.Is(err, meta.ErrUnavailable) || !environmental(err) {
		return err
	}
	return fmt.Errorf("%w: %w", meta.ErrUnavailable, oneLine(err))
}
