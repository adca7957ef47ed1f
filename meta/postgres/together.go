package postgres

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// What an intent leaves for Later at its end travels in one packet with COMMIT,
// where its statements may: as parts of the one that inserts the commit's row.
//
//	WITH s0 AS (SELECT … FOR KEY SHARE), s1 AS (INSERT … RETURNING 1), …
//	INSERT INTO commits … VALUES (CASE WHEN … AND (SELECT count(*) FROM s0) > 0 AND … THEN … END, …)
//
// Where one of them meets no row, made is NULL, and the whole fails as a commit
// does that comes too late. Which one is not told: the intent is run again with
// its statements apart, and finds out, or finds that things have changed.

// errApart: not all statements did what they were to, or the commit came too
// late. Nothing happened.
var errApart = errors.New("postgres: the last statements failed together")

// maxTogether bounds the statements that travel so.
const maxTogether = 8

// last reports whether the statements that wait can end the transaction: there
// are some, all may run in any order, and one changes something.
func (t *tx) last() bool {
	if len(t.queue) == 0 || len(t.queue) > maxTogether {
		return false
	}
	changes := t.changed
	for _, q := range t.queue {
		if !strings.HasSuffix(q.query, sqlstore.InAnyOrder) {
			return false
		}
		changes = changes || !strings.HasPrefix(q.query, "SELECT ")
	}
	return changes
}

// insert is the statement that inserts the commit's row, and does what is last.
func (c *commit) insert(last []queued) (query string, args []any) {
	if len(last) == 0 {
		return insertCommit, []any{c.made, c.id[:]}
	}
	var texts [maxTogether]string
	for i, q := range last {
		texts[i] = q.query
		args = append(args, q.args...)
	}
	return joinedText(texts), append(args, c.made, c.id[:])
}

// joined are the statements by their parts: as many as there are endings of
// intents in sqlstore's source.
var joined sync.Map

func joinedText(texts [maxTogether]string) string {
	if q, ok := joined.Load(texts); ok {
		return q.(string)
	}
	var b, all strings.Builder
	n, separator := 0, "WITH "
	for i, text := range texts {
		if text == "" {
			break
		}
		name := "s" + strconv.Itoa(i)
		b.WriteString(separator + name + " AS (")
		separator = ", "
		number(&b, &n, text)
		if !strings.HasPrefix(text, "SELECT ") {
			b.WriteString(" RETURNING 1")
		}
		b.WriteByte(')')
		all.WriteString(" AND (SELECT count(*) FROM " + name + ") > 0")
	}
	made, id := "$"+strconv.Itoa(n+1), "$"+strconv.Itoa(n+2)
	b.WriteString(" " + insertCommitIf(made, id, all.String()))
	q := b.String()
	joined.Store(texts, q)
	return q
}
