package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/meta"
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

// A search for turns reads settings until they cost as much as a step may, counts them, and
// does not remember them in place of those that requests need.
func TestSearchOfTurnsIsBounded(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	l.Rules(expireAfter1)
	settings := l.E.Buckets()
	for n := range 6 {
		b := l.CreateBucket(fmt.Sprintf("large-%d", n), "")
		if err := settings.SetSetting(t.Context(), b, "policy", []byte(strings.Repeat("x", 1<<20-4<<10))); err != nil {
			t.Fatal(err)
		}
	}
	plan := l.PlannedStore(1)
	if _, err := l.E.Buckets().Settings(t.Context(), l.B); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		before := plan.Calls("BucketSettings")
		r, err := l.step()
		if err != nil {
			t.Fatal(err)
		}
		if reads := plan.Calls("BucketSettings") - before; reads > 4 || r.Searched != reads*256 {
			t.Errorf("a step read the settings of %d buckets, for %d rows", reads, r.Searched)
		}
		more = r.More
	}
	if reads := plan.Calls("BucketSettings"); reads != 7 {
		t.Errorf("settings were read %d times, want 7", reads)
	}
	if _, err := l.E.Buckets().Settings(t.Context(), l.B); err != nil || plan.Calls("BucketSettings") != 7 {
		t.Errorf("a request reads the settings of its bucket again after %d reads: %v", plan.Calls("BucketSettings"), err)
	}
}
