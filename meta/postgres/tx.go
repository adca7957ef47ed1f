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
	// begin is the BEGIN that is sent with the first statement, which saves a round
	// trip. It is empty after that, and without a transaction.
	begin   string
	changed bool // a statement changed rows
	// single allows one SELECT, which sets used; a second one returns errSecond.
	single, used bool
	queue        []queued // statements of Later that were not sent yet
}

type queued struct {
	query string // as sqlstore wrote it
	args  []any
	check func(int64) error
}

// errSecond: an intent has a second SELECT, although it was tried as one with a
// single SELECT.
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

// Later queues the statement until the next one.
func (t *tx) Later(check func(int64) error, query string, args ...any) error {
	t.queue = append(t.queue, queued{query, args, check})
	return nil
}

// Guard follows from the process number of the connection's server process. These
// numbers are assigned one after another, so connections of all gateways seldom
// share a guard. Behind a pooler the number is the pooler's own, and may be random.
func (t *tx) Guard() int { return int(t.c.PgConn().PID() % sqlstore.Guards) }

// flush sends the statements that Later queued.
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

// Rows that a SELECT found change nothing, so a transaction of them alone needs no row in commits.
func (t *tx) count(tag pgconn.CommandTag, err error) (int64, error) {
	if err != nil {
		return 0, t.lost(err)
	}
	n := tag.RowsAffected()
	t.changed = t.changed || n > 0 && !tag.Select()
	return n, nil
}

// alone reports whether nothing must be sent before the next statement.
func (t *tx) alone() bool { return t.begin == "" && len(t.queue) == 0 }

// send sends BEGIN, the queued statements, and the statement, if there is one, all
// together. It returns the results from the statement on.
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
		_ = answers.Close() // repeats the error, or less
		return nil, err
	}
	return answers, nil
}

// checked reads the results of BEGIN and of the queued statements.
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
// In a Snapshot without a transaction only the first SELECT runs. A second one would see another
// state.
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
		_ = answers.Close() // repeats the error
		return nil, t.lost(err)
	}
	return &rows{Rows: r, t: t, answers: answers}, nil
}

// QueryRow runs a SELECT for its first row.
func (t *tx) QueryRow(query string, args ...any) sqlstore.Row {
	r, err := t.Query(query, args...)
	return firstRow{r, err}
}

// rows are pgx's, with the Close of database/sql, which also ends their batch.
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

// It closes the rows in any case, because the connection takes no other statement before.
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
		_ = r.rows.Close() // repeats the error
		return err
	}
	return r.rows.Close()
}

// rewritten caches statements in Postgres's dialect by their original text. There
// are as many as statements in sqlstore's source.
var rewritten sync.Map

// rewrite numbers the placeholders and turns marks into clauses. Every question
// mark in the texts is a placeholder, and every comment is a mark.
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

// number writes a statement whose placeholders follow n earlier ones.
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
