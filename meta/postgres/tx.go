package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
	// single lets one SELECT pass, which sets used; the next is errSecond.
	single, used bool
	queue        []queued // what Later was given and was not sent yet
}

type queued struct {
	query string // in sqlstore's words
	args  []any
	check func(int64) error
}

// errSecond: what had been taken for an intent of one SELECT has another.
var errSecond = errors.New("postgres: a second statement in a snapshot of one")

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
	if t.alone() {
		tag, err := t.c.Exec(t.ctx, query, args...)
		return t.count(tag, err)
	}
	answers, err := t.send(query, args)
	if err != nil {
		return 0, err
	}
	tag, err := answers.Exec()
	if end := answers.Close(); err == nil {
		err = end
	}
	return t.count(tag, err)
}

// Later keeps the statement until the next.
func (t *tx) Later(check func(int64) error, query string, args ...any) error {
	t.queue = append(t.queue, queued{query, args, check})
	return nil
}

// Guard follows from the number of the connection's server process. These numbers
// are given out one after another, so the connections of all gateways seldom share
// a guard. Behind a pooler the number is the pooler's own, and may be random.
func (t *tx) Guard() int { return int(t.c.PgConn().PID() % sqlstore.Guards) }

// flush sends what Later kept.
func (t *tx) flush() error {
	if len(t.queue) == 0 {
		return nil
	}
	answers, err := t.send("", nil)
	if err != nil {
		return err
	}
	return t.lost(answers.Close())
}

func (t *tx) count(tag pgconn.CommandTag, err error) (int64, error) {
	if err != nil {
		return 0, t.lost(err)
	}
	n := tag.RowsAffected()
	t.changed = t.changed || n > 0 && !tag.Select()
	return n, nil
}

// alone reports whether there is nothing to send before the next statement.
func (t *tx) alone() bool { return t.begin == "" && len(t.queue) == 0 }

// send sends BEGIN, what Later kept, and the statement, if there is one, all
// together, and returns the answers from the statement's on.
func (t *tx) send(query string, args []any) (pgx.BatchResults, error) {
	var b pgx.Batch
	begin, queue := t.begin, t.queue
	t.begin, t.queue = "", nil
	if begin != "" {
		b.Queue(begin)
	}
	for _, q := range queue {
		b.Queue(rewrite(q.query), q.args...)
	}
	if query != "" {
		b.Queue(query, args...)
	}
	answers := t.c.SendBatch(t.ctx, &b)
	if err := t.checked(answers, begin, queue); err != nil {
		_ = answers.Close() // says the same, or less
		return nil, err
	}
	return answers, nil
}

// checked reads the answers to BEGIN and to what Later kept.
func (t *tx) checked(answers pgx.BatchResults, begin string, queue []queued) error {
	if begin != "" {
		if _, err := answers.Exec(); err != nil {
			return t.lost(err)
		}
	}
	for _, q := range queue {
		tag, err := answers.Exec()
		n, err := t.count(tag, err)
		if err != nil {
			return err
		}
		if err := q.check(n); err != nil {
			return err
		}
	}
	return nil
}

// Query runs a SELECT.
func (t *tx) Query(query string, args ...any) (sqlstore.Rows, error) {
	query = rewrite(query)
	if t.single && t.used {
		return nil, errSecond
	}
	t.used = true
	if t.alone() {
		r, err := t.c.Query(t.ctx, query, args...)
		if err != nil {
			return nil, t.lost(err)
		}
		return &rows{Rows: r, t: t}, nil
	}
	answers, err := t.send(query, args)
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
	number(&b, &n, query)
	q := b.String()
	rewritten.Store(query, q)
	return q
}

var unmarked = strings.NewReplacer(sqlstore.InAnyOrder, "", "/*", "", "*/", "")

// number writes a statement behind others that had n placeholders.
func number(b *strings.Builder, n *int, query string) {
	for _, c := range unmarked.Replace(query) {
		if c != '?' {
			b.WriteRune(c)
			continue
		}
		*n++
		b.WriteString("$" + strconv.Itoa(*n))
	}
}
