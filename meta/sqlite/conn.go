package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// conn is one connection with its prepared statements: parsing costs more than
// running. One goroutine at a time uses it.
//
// Statements run without the caller's context: an intent is bounded and waits for
// no lock, and a context that can end costs a goroutine per statement.
type conn struct {
	db    *sql.DB
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

var _ sqlstore.Tx = (*conn)(nil)

// Guard is negative: transactions run one after another, so there are no guards.
func (c *conn) Guard() int { return -1 }

// openConn opens a handle with a single connection.
// The connection is reserved only by take, with the first statement.
func openConn(dsn string) (*conn, error) {
	db, err := openDB(dsn, 1)
	if err != nil {
		return nil, err
	}
	return &conn{db: db}, nil
}

// migrate brings the schema up to date, and checks that commits on the connection
// are durable. It runs before take.
func (c *conn) migrate() error {
	var mode string
	var sync int
	if err := c.db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if err := c.db.QueryRow("PRAGMA synchronous").Scan(&sync); err != nil {
		return err
	}
	const syncFull = 2
	if mode != "wal" || sync != syncFull {
		return fmt.Errorf("journal mode is %q and synchronous %d: commits would not be durable", mode, sync)
	}
	return schema.Migrate(context.Background(), c.db)
}

// take reserves the handle's connection for good.
func (c *conn) take() (err error) {
	if c.c == nil {
		c.c, err = c.db.Conn(context.Background())
		c.stmts = make(map[string]*sql.Stmt)
	}
	return err
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	if c.c != nil {
		errs = append(errs, c.c.Close())
	}
	if c.db != nil {
		errs = append(errs, c.db.Close())
	}
	return errors.Join(errs...)
}

// There are as many texts as statements in sqlstore's source, so the map is bounded.
func (c *conn) stmt(query string) (*sql.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	if err := c.take(); err != nil {
		return nil, err
	}
	s, err := c.c.PrepareContext(context.Background(), query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

// Exec runs a statement and returns how many rows it changed.
func (c *conn) Exec(query string, args ...any) (int64, error) {
	s, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Later runs the statement at once.
func (c *conn) Later(check func(int64) error, query string, args ...any) error {
	return sqlstore.AtOnce(c, check, query, args...)
}

// Query runs a SELECT.
func (c *conn) Query(query string, args ...any) (sqlstore.Rows, error) {
	s, err := c.stmt(query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return nil, err // a nil *sql.Rows would be a non-nil interface
	}
	return rows, nil
}

// QueryRow runs a SELECT for its first row.
func (c *conn) QueryRow(query string, args ...any) sqlstore.Row {
	s, err := c.stmt(query)
	if err != nil {
		return failedRow{err}
	}
	return s.QueryRowContext(context.Background(), args...)
}

// failedRow is the row of a statement that could not be parsed.
type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }
