// Package sqlstore writes every intent of the store's contract once, in SQL that
// SQLite and Postgres both run. Runner hides the differences between engines: how a
// transaction is run, retried and made durable, and the meaning of an engine's
// errors.
//
// It never opens a database, hands out a transaction, holds state between calls, or
// relies on triggers, sequences, session state, JSON or collations. Its partial
// indexes save work, and no statement means anything else without them. Keys, names and ids are bytes and compare as bytes.
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

// Marks at the end of a SELECT in a Write, also of the SELECT in an INSERT …
// SELECT. An engine that runs transactions side by side replaces the comment by the
// clause in it. An engine that runs them one after another ignores it.
const (
	forUpdate = " /*FOR UPDATE*/"
	forRead   = " /*FOR SHARE*/"     // keeps a row from being changed
	forShare  = " /*FOR KEY SHARE*/" // keeps a row from being deleted
)

// InAnyOrder, at the end of a statement for Tx.Later, marks a statement whose check
// wants at least one row, and whose rows no other marked statement of the intent
// touches. An engine may send marked statements at the end of an intent together as
// one statement.
const InAnyOrder = " /*IN ANY ORDER*/"

// ErrRetry is returned by an intent when a row appeared or disappeared between its
// read and its change. Where transactions run side by side, the Runner runs the
// intent again. Where they do not, it means that the store contradicts itself, and
// is an ordinary error.
var ErrRetry = errors.New("sqlstore: row changed under a statement")

// Row is one row of a result; Scan returns sql.ErrNoRows when there is none.
type Row interface {
	Scan(dest ...any) error
}

// Rows are the rows of a result, as in *sql.Rows: call Next before each Scan, and
// Close in any case. Err reports whether Next ended because of a failure.
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
	// Later runs a statement as Exec does, or a SELECT for its locks, and calls
	// check with the number of rows that it changed or found. An engine behind a
	// network sends several such statements together, at the latest with the next
	// call of another method or at the end of the intent. So an error, of the
	// statement or of check, may be returned later, when the following statements
	// have already run. It fails the intent in any case.
	Later(check func(rows int64) error, query string, args ...any) error
	// Query and QueryRow run a SELECT. The caller closes Rows before the next
	// statement.
	Query(query string, args ...any) (Rows, error)
	QueryRow(query string, args ...any) Row
	// Guard is the bucket guard that this transaction locks, from 0 to Guards-1. It
	// is negative on an engine without guards: see guards.go.
	Guard() int
}

// Runner runs intents against one engine. An intent may only act through its Tx and
// on its own variables, which it sets again in every run, so that it can be
// repeated. Errors of the intent that wrap one of meta's sentinels, and ErrRetry
// after the last try, are returned unchanged. Errors of the engine are returned as
// meta.ErrUnavailable when nothing changed, and as meta.ErrUnknown when that is
// uncertain.
type Runner interface {
	// Write runs the intent in a transaction, which is durable when Write
	// returns nil and rolled back when the intent returns an error.
	Write(ctx context.Context, intent func(Tx) error) error
	// Read runs an intent of one SELECT.
	Read(ctx context.Context, intent func(Tx) error) error
	// Snapshot runs an intent of several SELECTs that see the same state.
	Snapshot(ctx context.Context, intent func(Tx) error) error
	// Close ends the runner; later calls return meta.ErrUnavailable.
	Close() error
}

// Prompt is a Runner inside this process, whose reads wait for nothing but their turn.
type Prompt interface {
	// ReadNow is Read if it can begin at once. Otherwise ran is false, and nothing
	// has happened.
	ReadNow(ctx context.Context, intent func(Tx) error) (ran bool, err error)
}

type growth struct{}

// growing marks an intent that adds client data: objects, parts, uploads.
func growing(ctx context.Context) context.Context { return context.WithValue(ctx, growth{}, true) }

// Grows reports whether a Write adds client data. A runner may refuse it when only
// the space that deletions need is left.
func Grows(ctx context.Context) bool { return ctx.Value(growth{}) != nil }

// Store is meta.Store over a Runner.
type Store struct{ run Runner }

var _ meta.Store = (*Store)(nil)

// New returns a store over a database that Migrate has brought up to date. The
// store owns the runner.
func New(run Runner) *Store { return &Store{run: newPatient(run)} }

// Close closes the runner.
func (s *Store) Close() error { return s.run.Close() }

// Check writes a counter. In a store that is not initialised it only opens and
// commits a transaction.
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

// checkKey returns ErrLimit for an invalid length of a key.
func checkKey(key string) error {
	if err := meta.CheckKey(key); err != nil {
		return fmt.Errorf("%w: a key of %d bytes", meta.ErrLimit, len(key))
	}
	return nil
}

// exists reports whether the query has a row. The query must select one integer.
func exists(tx Tx, query string, args ...any) (bool, error) {
	var one int64
	err := tx.QueryRow(query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// found turns sql.ErrNoRows into the error that the intent promises.
func found(err, absent error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return absent
	}
	return err
}

// inserted runs an INSERT … ON CONFLICT DO NOTHING of one row, and returns taken on
// a conflict.
func inserted(tx Tx, taken error, query string, args ...any) error {
	n, err := tx.Exec(query, args...)
	if err == nil && n == 0 {
		return taken
	}
	return err
}

// changed runs a statement that changes at most one row, and returns absent if it
// changed none.
func changed(tx Tx, absent error, query string, args ...any) error {
	return inserted(tx, absent, query, args...)
}

// soon is changed, or exists with an error, for an intent whose next statements do
// not depend on the outcome. The error absent comes later: see Tx.Later.
func soon(tx Tx, absent error, query string, args ...any) error {
	return tx.Later(func(rows int64) error {
		if rows == 0 {
			return absent
		}
		return nil
	}, query, args...)
}

// anyRows is a check for Tx.Later that accepts every number.
func anyRows(int64) error { return nil }

// AtOnce implements Tx.Later for an engine that is not behind a network.
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

// oneMore returns SQL for a counter's next value. A counter that an edit has set to
// the highest number starts again at 1.
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
