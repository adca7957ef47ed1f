package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// tx runs an intent's statements on one connection.
type tx struct {
	ctx context.Context
	c   *pgx.Conn
	// begin is the BEGIN that travels with the first statement, which saves a
	// round trip. Empty once it was sent, and where there is no transaction.
	begin   string
	changed bool // a statement changed rows
}

// lost marks errors after which the connection is closed.
func (t *tx) lost(err error) error {
	if err != nil && t.c.IsClosed() && serverError(err) == nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// Exec runs a statement and returns how many rows it changed.
func (t *tx) Exec(query string, args ...any) (int64, error) {
	query = rewrite(query)
	if t.begin == "" {
		tag, err := t.c.Exec(t.ctx, query, args...)
		return t.count(tag.RowsAffected(), err)
	}
	answers, err := t.open(query, args)
	if err != nil {
		return 0, err
	}
	tag, err := answers.Exec()
	if end := answers.Close(); err == nil {
		err = end
	}
	return t.count(tag.RowsAffected(), err)
}

func (t *tx) count(n int64, err error) (int64, error) {
	if err != nil {
		return 0, t.lost(err)
	}
	t.changed = t.changed || n > 0
	return n, nil
}

// open sends BEGIN and the statement together, and returns the answers from the
// statement's on.
func (t *tx) open(query string, args []any) (pgx.BatchResults, error) {
	var b pgx.Batch
	b.Queue(t.begin)
	b.Queue(query, args...)
	t.begin = ""
	answers := t.c.SendBatch(t.ctx, &b)
	if _, err := answers.Exec(); err != nil {
		_ = answers.Close() // says the same
		return nil, t.lost(err)
	}
	return answers, nil
}

// Query runs a SELECT.
func (t *tx) Query(query string, args ...any) (sqlstore.Rows, error) {
	query = rewrite(query)
	if t.begin == "" {
		r, err := t.c.Query(t.ctx, query, args...)
		if err != nil {
			return nil, t.lost(err)
		}
		return &rows{Rows: r, t: t}, nil
	}
	answers, err := t.open(query, args)
	if err != nil {
		return nil, err
	}
	r, err := answers.Query()
	if err != nil {
		_ = answers.Close() // says the same
		return nil, t.lost(err)
	}
	return &rows{Rows: r, t: t, answers: answers}, nil
}

// QueryRow runs a SELECT for its first row.
func (t *tx) QueryRow(query string, args ...any) sqlstore.Row {
	r, err := t.Query(query, args...)
	return firstRow{r, err}
}

// rows are pgx's with database/sql's Close, and with the end of the batch in
// which they came.
type rows struct {
	pgx.Rows
	t       *tx
	answers pgx.BatchResults
}

func (r *rows) Err() error { return r.t.lost(r.Rows.Err()) }

func (r *rows) Close() error {
	r.Rows.Close()
	err := r.Rows.Err()
	if r.answers != nil {
		if end := r.answers.Close(); err == nil {
			err = end
		}
		r.answers = nil
	}
	return r.t.lost(err)
}

// firstRow is a Row over Rows.
type firstRow struct {
	rows sqlstore.Rows
	err  error
}

func (r firstRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		if err := r.rows.Close(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		_ = r.rows.Close() // says the same
		return err
	}
	return r.rows.Close()
}

// rewritten are statements in Postgres's words, by the text that sqlstore has:
// as many as there are statements in its source.
var rewritten sync.Map

// rewrite numbers the placeholders and turns marks into clauses. The texts hold
// no question mark that is not a placeholder, and no other comment.
func rewrite(query string) string {
	if q, ok := rewritten.Load(query); ok {
		return q.(string)
	}
	var b strings.Builder
	n := 0
	for _, c := range strings.NewReplacer("/*", "", "*/", "").Replace(query) {
		if c != '?' {
			b.WriteRune(c)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	q := b.String()
	rewritten.Store(query, q)
	return q
}
