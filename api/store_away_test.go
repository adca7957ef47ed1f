package api_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/internal/faults"
)

// A request whose decision needs a row that the store cannot give at the moment is one
// to repeat, and no denial: clients do not repeat those.
func TestAwayStoreIsNoDenial(t *testing.T) {
	g, alice, _, plan := counted(t)
	expect(t, "put", g.Do(t, alice, "PUT", "/bucket/k", []byte("x")), 200, "")
	met := map[faults.Op]int{}
	for _, c := range []struct{ method, target string }{
		{"PUT", "/bucket/new"}, {"GET", "/bucket/k"}, {"HEAD", "/bucket/k"}, {"GET", "/bucket/k?tagging"}, {"DELETE", "/bucket/new"},
		{"GET", "/bucket?list-type=2"}, {"POST", "/bucket/m?uploads"}, {"GET", "/bucket?acl"},
	} {
		for _, op := range []faults.Op{"BucketSettings", "Find", "Object"} {
			// A revision of the settings that nobody has read yet.
			expect(t, "tags", g.Do(t, alice, "PUT", "/bucket?tagging", []byte("<Tagging><TagSet/></Tagging>")), 204, "")
			before := plan.Calls(op)
			plan.Add(faults.Rule{Op: op, N: 1})
			res := g.Do(t, alice, c.method, c.target, nil)
			plan.Clear()
			if plan.Calls(op) == before {
				continue
			}
			if met[op]++; res.Status != 503 {
				t.Errorf("%s %s while %s fails: %d %s", c.method, c.target, op, res.Status, res.Body)
			}
		}
	}
	if met["BucketSettings"] < 8 || met["Find"] == 0 {
		t.Errorf("requests that met a failing call: %v", met)
	}
}
