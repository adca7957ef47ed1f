package sqlite

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// openTest opens a store. The test's end closes it and fails on an error.
func openTest(t *testing.T, path string) meta.Store {
	t.Helper()
	s, err := Open(path, Options{Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestContract runs the suite, and then checks SQLite's plan of each statement that
// was used.
func TestContract(t *testing.T) {
	seen := make(map[string]bool)
	metatest.Run(t, func(t *testing.T) meta.Store {
		r := openRunner(t, filepath.Join(t.TempDir(), "meta.db"))
		s := sqlstore.New(r)
		t.Cleanup(func() {
			gather(seen, r)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
	explain(t, seen)
}

// gather adds the statements that the runner's connections have prepared. No call
// may be in progress.
func gather(seen map[string]bool, r *runner) {
	for text := range r.w.stmts {
		seen[text] = true
	}
	for range r.size {
		c := <-r.idle
		defer func() { r.idle <- c }()
		for text := range c.stmts {
			seen[text] = true
		}
	}
}

// mayScan lists tables that may be read in full: those with one row or one for each
// process or backend; a table that is read for its first row or rows; reservations
// when a backend retires ("held"); the row that a SELECT without a table makes; the
// pages that ScanBlobs and ListVersions merge, which have limits inside; a blob's
// few rows ("places"); the one row of a version ("named", "newest"); and the rows
// that FoldUsage sums up ("used").
var mayScan = []string{"deployment", "holders", "backends", "dying_buckets", "held", "CONSTANT", "reserved", "live", "copied", "dead", "places",
	"currents", "others", "named", "newest", "used", "usage_changes", "entry_changes"}

// mergesPages begins the statements that sort such pages and rows.
const mergesPages = "SELECT * FROM ("

// explain fails the test if a statement reads a whole table or index, or sorts,
// because its cost would grow with the store.
func explain(t *testing.T, statements map[string]bool) {
	db, err := openDB(dsn(newBench(t).path, readerPragmas()), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for text := range statements {
		verb, _, _ := strings.Cut(text, " ")
		if !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, verb) {
			continue
		}
		args := make([]any, strings.Count(text, "?"))
		rows, err := db.Query("EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			table, scans := strings.CutPrefix(step, "SCAN ")
			table, _, _ = strings.Cut(table, " ")
			scans = scans && !strings.HasSuffix(step, "-ROW VALUES CLAUSE") // the statement's own values
			if scans && !slices.Contains(mayScan, table) ||
				strings.Contains(step, "TEMP B-TREE") && !strings.HasPrefix(text, mergesPages) {
				t.Errorf("%s\n%s", text, step)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}
