package postgres

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// mayScan may be read from one end: tables with one row, or one for each
// process, backend or deleted bucket.
var mayScan = []string{"deployment", "holders", "dying_buckets", "backends", "leases"}

var scans = regexp.MustCompile(`Seq Scan on (\w+)`)

// explain fails the test if a statement that came up reads a table from one end
// to the other: its cost would grow with the store. The planner is told to do so
// only where it must, for the tables here are small.
func explain(t *testing.T) {
	name := files18.database(t)
	conn := files18.conn(t, name)
	if _, err := conn.Exec(t.Context(), "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	seen := 0
	rewritten.Range(func(_, text any) bool {
		seen++
		rows, err := conn.Query(t.Context(), "EXPLAIN (GENERIC_PLAN, COSTS OFF) "+text.(string),
			pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var plan strings.Builder
		for rows.Next() {
			var step string
			if err := rows.Scan(&step); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(step + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, m := range scans.FindAllStringSubmatch(plan.String(), -1) {
			if !slices.Contains(mayScan, m[1]) {
				t.Errorf("%s\n%s", text, plan.String())
			}
		}
		return true
	})
	if seen < 50 {
		t.Errorf("only %d statements were seen", seen)
	}
}
