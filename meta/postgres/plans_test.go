package postgres

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayScan lists tables that may be read in full: those with one row, or one for
// each process, backend or deleted bucket, and the reservations of all gateways,
// which are read when a backend retires.
var mayScan = []string{"deployment", "holders", "dying_buckets", "backends", "leases", "reservations held", "copies held"}

var scans = regexp.MustCompile(`Seq Scan on (\w+( held)?)`)

// explain fails the test if a statement reads a whole table, because its cost would
// grow with the store. The planner is told to avoid that, because the tables here
// are small.
func explain(t *testing.T) {
	name := files18.database(t)
	conn := files18.conn(t, name)
	if _, err := conn.Exec(t.Context(), "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	seen := 0
	rewritten.Range(func(_, text any) bool {
		seen++
		results, err := conn.PgConn().Exec(t.Context(), "EXPLAIN (GENERIC_PLAN, COSTS OFF) "+text.(string)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var plan strings.Builder
		for _, row := range results[0].Rows {
			plan.Write(append(row[0], '\n'))
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
