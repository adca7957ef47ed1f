package postgres

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

// mayScan may be read from one end: tables with one row, or one for each
// process, backend or deleted bucket.
var mayScan = []string{"deployment", "holders", "dying_buckets", "backends", "leases"}

var scans = regexp.MustCompile(`Seq Scan on (\w+)`)

// Every statement of the suite can be answered by way of an index: its cost does
// not grow with the store. The planner is told to scan only where it must, for
// the tables here are small.
func TestPlans(t *testing.T) {
	name := files18.database(t)
	metatest.Run(t, func(t *testing.T) meta.Store {
		files18.empty(t, name)
		return openStore(t, files18.server.URL(name), Options{})
	})
	conn := files18.conn(t, name)
	if _, err := conn.Exec(t.Context(), "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	seen := 0
	rewritten.Range(func(_, text any) bool {
		seen++
		rows, err := conn.Query(t.Context(), "EXPLAIN (GENERIC_PLAN, COSTS OFF) "+text.(string))
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
