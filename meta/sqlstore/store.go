// Package sqlstore writes every intent of the store's contract once, over SQL
// that SQLite and Postgres both run. What differs between engines is behind
// Runner: how a transaction is run, retried and made durable, and what an
// engine's errors mean.
//
// It never opens a database, hands out a transaction, holds state between
// calls, or relies on triggers, partial indexes, sequences, session state, JSON
// or collations. Keys, names and ids are bytes and compare as bytes.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// Marks at the end of a SELECT in a Write, which may be that of an INSERT …
// SELECT. An engine that lets transactions run side by side puts the clause that
// the comment names in its place; one that runs them one after another ignores
// the comment.
const (
	forUpdate = " /*FOR UPDATE*/"
	forRead   = " /*FOR SHARE*/"     // keeps a row from being changed
	forShare  = " /*FOR KEY SHARE*/" // keeps a row from being deleted
)

// InAnyOrder, at the end of a statement for Tx.Later, marks one whose check wants
// at least one row, and that touches rows, in a table, which no other statement
// of the intent so marked does. An engine may send those at the end of an
// intent together as one statement.
const InAnyOrder = " /*IN ANY ORDER*/"

// ErrRetry is returned by an intent that met a row which came or went between
// its look and its change. Where transactions run side by side, the Runner runs
// the intent again; where they do not, it tells of a store that contradicts
// itself, and is an error like any other.
var ErrRetry = errors.New("sqlstore: row changed under a statement")

// Row is one row of an answer; Scan returns sql.ErrNoRows when there is none.
type Row interface {
	Scan(dest ...any) error
}

// Rows are the rows of an answer, as in *sql.Rows: Next before each Scan, Close
// in any case, and Err tells whether Next ended because of a failure.
type Rows interface {
	Row
	Next() bool
	Err() error
	Close() error
}

// Tx runs the statements of one intent. Arguments are int64, int or []byte;
// placeholders are question marks. An empty []byte must be given as nil.
// A Tx is used by one goroutine and not after the intent has returned.
type Tx interface {
	// Exec runs a statement that changes rows, and returns how many it changed.
	Exec(query string, args ...any) (int64, error)
	// Later runs a statement as Exec does, or a SELECT for its locks, and hands
	// to check how many rows it changed or found. An engine with a network in
	// between sends several together, at the latest with the next call of
	// another method or at the intent's end; so an error, of the statement or of
	// check, may be returned then, and the statements behind it may have run.
	// The intent ends with it in any case.
	Later(check func(rows int64) error, query string, args ...any) error
	// Query and QueryRow run a SELECT. Rows are closed before the next statement.
	Query(query string, args ...any) (Rows, error)
	QueryRow(query string, args ...any) Row
	// Guard is the slot of a bucket's guards that this transaction locks, from 0 to
	// Guards-1. It is negative on an engine that has no guards: see guards.go.
	Guard() int
}

// Runner runs intents against one engine. An intent has no effect but through
// its Tx and on its own variables, which it sets anew in every run, so that it
// may be run again. Errors of the intent that wrap one of meta's sentinels, or
// ErrRetry after the Runner's last try, come back as they are; those of the
// engine come back as meta.ErrUnavailable when nothing happened and
// meta.ErrUnknown when that is not known.
type Runner interface {
	// Write runs the intent in a transaction, which is durable when Write
	// returns nil and rolled back when the intent returns an error.
	Write(ctx context.Context, intent func(Tx) error) error
	// Read runs an intent of one SELECT.
	Read(ctx context.Context, intent func(Tx) error) error
	// Snapshot runs an intent of several SELECTs that see the same state.
	Snapshot(ctx context.Context, intent func(Tx) error) error
	// Close ends the runner; what is called later returns meta.ErrUnavailable.
	Close() error
}

type growth struct{}

// growing marks an intent that keeps more of clients' than before: objects, parts,
// uploads.
func growing(ctx context.Context) context.Context { return context.WithValue(ctx, growth{}, true) }

// Grows reports whether a Write is of such an intent. A runner may refuse it where only
// that is left which deletions need.
func Grows(ctx context.Context) bool { return ctx.Value(growth{}) != nil }

// Store is meta.Store over a Runner.
type Store struct{ run Runner }

var _ meta.Store = (*Store)(nil)

// New returns a store over a database that Migrate has brought up to date. The
// store owns the runner.
func New(run Runner) *Store { return &Store{run: patient{run}} }

// Close closes the runner.
func (s *Store) Close() error { return s.run.Close() }

// Check writes a counter and reads it back; in a store that is not initialised
// it only opens and commits a transaction.
func (s *Store) Check(ctx context.Context) error {
	return s.run.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec("UPDATE deployment SET checks = " + oneMore("checks"))
		return err
	})
}

// checkCount returns ErrLimit unless n is within 1..most.
func checkCount(what string, n, most int) error {
	if n < 1 || n > most {
		return fmt.Errorf("%w: %d %s, want 1 to %d", meta.ErrLimit, n, what, most)
	}
	return nil
}

// checkKey returns ErrLimit for a key that no object can have.
func checkKey(key string) error {
	return checkCount("bytes of key", len(key), meta.MaxKeyBytes)
}

// exists reports whether the query has a row. It selects one integer.
func exists(tx Tx, query string, args ...any) (bool, error) {
	var one int64
	err := tx.QueryRow(query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// found turns "no rows" into the sentinel that the intent promises.
func found(err, absent error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return absent
	}
	return err
}

// inserted runs an INSERT … ON CONFLICT DO NOTHING of one row and returns taken
// when it conflicted.
func inserted(tx Tx, taken error, query string, args ...any) error {
	n, err := tx.Exec(query, args...)
	if err == nil && n == 0 {
		return taken
	}
	return err
}

// changed runs a statement that changes exactly one row, and returns absent when
// it changed none.
func changed(tx Tx, absent error, query string, args ...any) error {
	return inserted(tx, absent, query, args...)
}

// soon is changed, or exists with an error, for an intent that goes on in the
// same way whatever the outcome, and fails with absent in the end: see Tx.Later.
func soon(tx Tx, absent error, query string, args ...any) error {
	return tx.Later(func(rows int64) error {
		if rows == 0 {
			return absent
		}
		return nil
	}, query, args...)
}

// anyRows is a check for Tx.Later that every number passes.
func anyRows(int64) error { return nil }

// AtOnce is Tx.Later for an engine without a network in between.
func AtOnce(tx Tx, check func(rows int64) error, query string, args ...any) error {
	if !strings.HasPrefix(query, "SELECT ") {
		n, err := tx.Exec(query, args...)
		if err != nil {
			return err
		}
		return check(n)
	}
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var n int64
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return check(n)
}

// oneMore is a counter's next value, in SQL. One that an edit has set to the greatest
// number begins anew.
func oneMore(counter string) string {
	return fmt.Sprintf("CASE WHEN %s < %d THEN %[1]s + 1 ELSE 1 END", counter, math.MaxInt64)
}

// collect scans all rows of a query.
func collect[T any](tx Tx, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
