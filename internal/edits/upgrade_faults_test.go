package edits

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
)

// Whichever call of the store fails while an old one is sealed, before its effect or
// after it, and whether the process ends with it or goes on: it is sealed whole in the
// end, and says what it said before.
func TestUpgradeMeetsEachFault(t *testing.T) {
	for _, when := range []faults.When{faults.Before, faults.After} {
		for _, dies := range []bool{true, false} {
			for n := 1; ; n++ {
				if !upgradeWithFault(t, n, when, dies) {
					if n < 20 {
						t.Errorf("an upgrade is only %d calls", n)
					}
					break
				}
			}
		}
	}
}

// upgradeWithFault has the n-th call of the upgrade fail, and reports whether there is
// such a call.
func upgradeWithFault(t *testing.T, n int, when faults.When, dies bool) (fired bool) {
	what := fmt.Sprintf("%s call %d, the process ends %t", when, n, dies)
	o := openOld(t)
	honest := o.config.Store
	plan := faults.NewPlan(uint64(n))
	o.config.Store = faults.Store(honest, plan)
	g := o.open()
	plan.Add(faults.Rule{When: when, N: n})
	before := plan.Fired()
	for step := 0; ; step++ {
		if step == 100 {
			t.Fatalf("%s: it is never done", what)
		}
		r, err := g.Resealing.Step(t.Context())
		if err != nil && !errors.Is(err, faults.ErrInjected) || r.Failed > 0 {
			t.Fatalf("%s: %+v, %v", what, r, err)
		}
		if r.Sealing == meta.SealingWhole && err == nil {
			break
		}
		if err != nil && dies {
			plan.Clear()
			g = o.open() // without a word of the one before
		}
	}
	plan.Clear()
	o.config.Store = honest
	o.same(o.open(), what)
	return plan.Fired() > before
}
