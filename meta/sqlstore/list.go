package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// A listing over an ordered table that skips common prefixes: after it finds one,
// it asks for the first row that does not start with it. So a page costs its
// entries, not the keys under them.

// firstBatch is the number of rows in the first query of a listing with a
// delimiter, and the most after a skip. After a skip, a query asks for one row more
// than the number of plain keys before it. Batches double while keys are plain, so
// that an engine which materialises a LIMIT reads little more than the page shows.
const firstBatch = 4

// afterAllKeys is above every key, because it is longer than any.
var afterAllKeys = strings.Repeat("\xff", meta.MaxKeyBytes+1)

// keyAfter returns the lowest key above k.
// It appends a NUL, because keys are compared as bytes and a shorter string comes first.
func keyAfter(k string) []byte { return append([]byte(k), 0) }

// prefixEnd returns the lowest string above all strings that start with the prefix.
// Trailing bytes 0xff cannot be raised, so they are cut off. A prefix of nothing else has no end
// below afterAllKeys.
func prefixEnd(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return afterAllKeys
	}
	b[len(b)-1]++
	return string(b)
}

// commonPrefix cuts the key after the first delimiter behind the prefix.
// The delimiter may have several bytes. It is part of the common prefix, as on S3.
func commonPrefix(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" || !strings.HasPrefix(key, prefix) {
		return "", false
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(prefix)+i+len(delimiter)], true
}

// listing is a listing in progress. P is a position: the key, and the order of rows
// with the same key.
type listing[P, E any] struct {
	prefix, delimiter string
	most              int // most rows of one query
	// fetch returns at most n rows at or above from and below the key to.
	fetch func(from P, to []byte, n int) ([]E, error)
	key   func(E) string
	// at returns the position before all rows of the key, after the one behind the
	// row.
	at    func(key []byte) P
	after func(E) P
}

// run calls show for each row or common prefix, beginning at from, until show
// returns false.
func (l *listing[P, E]) run(from P, show func(common string, row E) bool) error {
	to := []byte(prefixEnd(l.prefix))
	batch := l.most
	if l.delimiter != "" {
		batch = min(firstBatch, l.most)
	}
	skipping := "" // the common prefix shown last
	plain := 0     // rows shown since the last skip
	for {
		rows, err := l.fetch(from, to, batch)
		if err != nil {
			return err
		}
		// Rows under the prefix that was shown last may still be in this batch, and are passed
		// over without another query.
		for _, row := range rows {
			key := l.key(row)
			if skipping != "" && strings.HasPrefix(key, skipping) {
				continue
			}
			skipping, _ = commonPrefix(key, l.prefix, l.delimiter)
			if !show(skipping, row) {
				return nil
			}
			if skipping == "" {
				plain++
			}
		}
		// Fewer rows than asked for: the listing has come to its end.
		if len(rows) < batch {
			return nil
		}
		if skipping == "" {
			from = l.after(rows[len(rows)-1])
			batch = min(2*batch, l.most)
			continue
		}
		end := []byte(prefixEnd(skipping))
		if bytes.Compare(end, to) >= 0 {
			return nil
		}
		from, batch, plain = l.at(end), min(plain+1, firstBatch, l.most), 0
	}
}

// start returns the first position after the given key. If that key is under a
// common prefix, the position is behind the prefix.
func start(after, prefix, delimiter string) (from []byte) {
	if after < prefix || after == "" { // no key is empty, and an empty argument would be NULL
		return []byte(max(prefix, "\x00"))
	}
	if common, ok := commonPrefix(after, prefix, delimiter); ok {
		return []byte(prefixEnd(common))
	}
	return keyAfter(after)
}

// ListObjects implements meta.Objects. The queries of one page see one state, so that a page
// never shows a key twice or skips one that was there all along.
func (s *Store) ListObjects(ctx context.Context, q meta.ListQuery) (page meta.ListPage, err error) {
	if err := checkCount("rows", q.Limit, meta.MaxPage); err != nil {
		return page, err
	}
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		page = meta.ListPage{}
		l := objectListing(tx, q)
		return l.run(start(q.After, q.Prefix, q.Delimiter), func(common string, e meta.ListEntry) bool {
			// One entry more than the page holds tells that there is another page.
			if len(page.Entries) == q.Limit {
				page.More = true
				return false
			}
			if common != "" {
				e = meta.ListEntry{CommonPrefix: common}
			}
			page.Entries = append(page.Entries, e)
			page.Next = cmp.Or(common, e.Key)
			return true
		})
	})
	if err != nil || !page.More {
		page.Next = ""
	}
	return page, err
}

// It reads no manifest, wrapped key or marks, which would be most of a row's bytes.
func objectListing(tx Tx, q meta.ListQuery) *listing[[]byte, meta.ListEntry] {
	return &listing[[]byte, meta.ListEntry]{
		prefix: q.Prefix, delimiter: q.Delimiter, most: q.Limit + 1,
		fetch: func(from, to []byte, n int) ([]meta.ListEntry, error) {
			return collect(tx, scanListEntry, `SELECT key, version_id, null_version, owner, size, modified, generation, class, list_record
				FROM objects WHERE bucket_id = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`,
				q.Bucket[:], from, to, n)
		},
		key:   func(e meta.ListEntry) string { return e.Key },
		at:    func(key []byte) []byte { return key },
		after: func(e meta.ListEntry) []byte { return keyAfter(e.Key) },
	}
}

func scanListEntry(r Row) (e meta.ListEntry, err error) {
	err = r.Scan((*textColumn)(&e.Key), (*idColumn)(&e.Version), (*flagColumn)(&e.Null), (*idColumn)(&e.Owner), &e.Size,
		(*timeColumn)(&e.Modified), &e.Generation, (*textColumn)(&e.Class), &e.ListRecord)
	return e, err
}
