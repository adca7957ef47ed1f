package inventory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/meta"
)

// largeSettings gives n buckets settings of a megabyte each, under which no list is due.
func largeSettings(i *inventoryRig, n int) {
	i.T.Helper()
	for n := range n {
		b := i.CreateBucket(fmt.Sprintf("large-%d", n), "")
		if err := i.E.Buckets().SetSetting(i.T.Context(), b, "policy", []byte(strings.Repeat("x", 1<<20-4<<10))); err != nil {
			i.T.Fatal(err)
		}
	}
}

// A search for lists reads settings until they cost as much as a step may, and counts them.
// A bucket without lists is read once a day, and again when its settings have changed.
func TestSearchOfListsIsBounded(t *testing.T) {
	i := newInventoryRig(t, meta.VersioningOff)
	largeSettings(i, 6)
	plan := i.PlannedStore(1)
	const one = 256 // cost of the settings of a bucket, in rows
	round := func() (steps int) {
		t.Helper()
		before := plan.Calls("BucketSettings")
		for {
			reads := plan.Calls("BucketSettings")
			r, err := i.step()
			if err != nil {
				t.Fatal(err)
			}
			reads = plan.Calls("BucketSettings") - reads
			if reads > 4 || r.Searched != reads*one {
				t.Errorf("a step read the settings of %d buckets, for %d rows", reads, r.Searched)
			}
			if steps++; !r.More {
				return plan.Calls("BucketSettings") - before
			}
		}
	}
	for n, want := range []int{6, 0} {
		if reads := round(); reads != want {
			t.Errorf("round %d read the settings of %d buckets, want %d", n, reads, want)
		}
	}
	b, err := i.E.Buckets().Get(t.Context(), "large-3")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.E.Buckets().SetSetting(t.Context(), b, "policy", []byte(strings.Repeat("y", 1<<20-4<<10))); err != nil {
		t.Fatal(err)
	}
	if reads := round(); reads != 1 {
		t.Errorf("after a change the settings of %d buckets were read, want 1", reads)
	}
	i.Now = i.Now.Add(24 * time.Hour)
	if reads := round(); reads != 6 {
		t.Errorf("a day later the settings of %d buckets were read, want 6", reads)
	}
}

// Lists that are complete are looked up by several steps, if there are many, and each step
// counts what it looked up.
func TestSearchOfCompleteListsIsBounded(t *testing.T) {
	i := newInventoryRig(t, meta.VersioningOff)
	// The names of nine minutes are taken, so that each list is looked up thirty times.
	const lists = 100
	to := i.to
	for n := range lists {
		id := fmt.Sprintf("list-%03d", n)
		i.configure(id, "")
		i.B, to = to, i.B
		for minute := range 9 {
			i.MustPut(fmt.Sprintf("inv/first-bucket/%s/hive/dt=2030-01-15-00-%02d/symlink.txt", id, minute), nil)
		}
		i.MustPut(fmt.Sprintf("inv/first-bucket/%s/2030-01-15T00-09Z/manifest.checksum", id), nil)
		i.B, to = to, i.B
	}
	plan := i.PlannedStore(1)
	steps := 0
	for more := true; more; steps++ {
		before := plan.Calls("Object")
		var r inventory.Report
		var err error
		if r, err = i.step(); err != nil {
			t.Fatal(err)
		}
		if looks := plan.Calls("Object") - before; looks > 1030 || r.Searched < looks || r.Lists > 0 {
			t.Errorf("a step looked up %d objects: %+v", looks, r)
		}
		more = r.More
	}
	if looks := plan.Calls("Object"); looks != lists*28 {
		t.Errorf("%d objects were looked up in %d steps, want %d", looks, steps, lists*28)
	}
	if steps < 3 {
		t.Errorf("all were looked up in %d steps", steps)
	}
}
