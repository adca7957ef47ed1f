package lifecycle_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/internal/enginetest"
)

// A turn of one tenant that takes many steps does not keep another's from its own.
func TestExpireBesideLongTurn(t *testing.T) {
	two := enginetest.NewTwoTenants(t)
	x := &lifecycleRig{Clocked: two.Clocked}
	x.B = two.Long
	x.Rules(expireAfter1)
	x.B = two.Short
	x.Rules(expireAfter1)
	x.Now = x.Now.Add(3 * enginetest.Day)
	for range 2 {
		if _, err := x.step(); err != nil {
			t.Fatal(err)
		}
	}
	x.WantVersions(map[string][]int64{})
	x.B = two.Long
	if left := len(x.Versions()); left == 0 {
		t.Error("the long turn was over before")
	}
	if sum := x.expire(); sum.Buckets != 1 {
		t.Errorf("%d turns were left, want 1", sum.Buckets)
	}
	x.WantVersions(map[string][]int64{})
	if sum := x.expire(); sum.Rows != 0 || sum.Buckets != 0 {
		t.Errorf("again on the same day: %+v", sum)
	}
}
