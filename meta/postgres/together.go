package postgres

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// The statements that an intent leaves for Later at its end are sent in one packet
// with COMMIT where possible: as parts of the statement that inserts the commit's
// row.
//
// WITH s0 AS (SELECT … FOR KEY SHARE), s1 AS (INSERT … RETURNING 1), …
// INSERT INTO commits … VALUES (CASE WHEN … AND (SELECT count(*) FROM s0) > 0 AND … THEN … END, …)
//
// If one of them matches no row, made is NULL, and the whole statement fails, as
// for a commit that is too late. The answer does not tell which one it was. So the
// intent runs again with separate statements, and either learns that or finds a
// changed state.

// errApart: a statement matched no row, or the commit was too late. Nothing
// happened.
var errApart = errors.New("postgres: the last statements failed together")

// maxTogether bounds the statements that are sent with COMMIT.
const maxTogether = 8

// last reports whether the waiting statements can end the transaction: there are
// some, all may run in any order, and at least one changes something.
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

// insert returns the statement that inserts the commit's row and includes the last
// statements.
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

// joined caches the combined texts. There are as many as different endings of
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
