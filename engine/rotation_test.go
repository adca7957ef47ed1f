package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// twoTenants is a rig with a bucket of many objects, and behind it by name one of few of
// another tenant, each with a bucket for lists of its own.
type twoTenants struct {
	*inventoryRig
	long, short, shortLists meta.Bucket
}

func newTwoTenants(t *testing.T) *twoTenants {
	t.Helper()
	i := newInventoryRig(t, meta.VersioningOff)
	other, err := i.e.Accounts().CreateTenant(t.Context(), "other", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	x := &twoTenants{inventoryRig: i, long: i.b}
	for name, b := range map[string]*meta.Bucket{"second-bucket": &x.short, "second-lists": &x.shortLists} {
		if *b, err = i.e.CreateBucket(t.Context(), name, "", other.Tenant.ID); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3*meta.MaxPage + 1 {
		i.mustPut(fmt.Sprintf("logs/%05d", n), nil)
	}
	i.b = x.short
	i.mustPut("logs/one", nil)
	return x
}

// A turn of one tenant that takes many steps does not keep another's from its own.
func TestExpireBesideLongTurn(t *testing.T) {
	x := newTwoTenants(t)
	x.b = x.long
	x.rules(expireAfter1)
	x.b = x.short
	x.rules(expireAfter1)
	x.now = x.now.Add(3 * oneDay)
	for range 2 {
		if _, err := x.e.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	x.wantVersions(map[string][]int64{})
	x.b = x.long
	if left := len(x.versions()); left == 0 {
		t.Error("the long turn was over before")
	}
	if sum := x.expire(); sum.Buckets != 1 {
		t.Errorf("%d turns were left, want 1", sum.Buckets)
	}
	x.wantVersions(map[string][]int64{})
	if sum := x.expire(); sum.Rows != 0 || sum.Buckets != 0 {
		t.Errorf("again on the same day: %+v", sum)
	}
}

// listOf configures a list of a bucket.
func (x *twoTenants) listOf(b, to meta.Bucket) {
	x.t.Helper()
	doc := fmt.Sprintf(`{"id":"l","enabled":true,"versions":false,"weekly":false,"target":%q,"target_id":%q,"format":"CSV"}`, to.Name, to.ID.String())
	if err := x.e.SetSetting(x.t.Context(), b, engine.InventorySetting+"l", []byte(doc)); err != nil {
		x.t.Fatal(err)
	}
}

// The same is true of lists.
func TestInventoryBesideLongList(t *testing.T) {
	x := newTwoTenants(t)
	x.listOf(x.long, x.to)
	x.listOf(x.short, x.shortLists)
	var order []string
	for more := true; more; {
		r, err := x.e.Inventory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if more = r.More; r.Lists > 0 {
			order = append(order, engine.LastInventory(x.e))
		}
	}
	if fmt.Sprint(order) != "[second-bucket first-bucket]" {
		t.Errorf("lists were written of %v", order)
	}
}

// What fails of one tenant waits for its next try, while another's goes on.
func TestInventoryBesideFailures(t *testing.T) {
	x := newTwoTenants(t)
	refused := errors.New("refused")
	x.e.PermitDeliveries(func(_ context.Context, d engine.Delivery) error {
		if d.From.ID == x.long.ID {
			return refused
		}
		return nil
	})
	x.listOf(x.long, x.to)
	x.listOf(x.short, x.shortLists)
	steps := func() (failed, lists int) {
		for range 100 {
			r, err := x.e.Inventory(t.Context())
			if lists += r.Lists; err != nil {
				if failed++; !errors.Is(err, refused) {
					t.Fatal(err)
				}
			}
			if !r.More {
				break
			}
		}
		return failed, lists
	}
	if failed, lists := steps(); failed != 1 || lists != 1 {
		t.Errorf("%d steps failed, want 1, and %d lists were written, want 1", failed, lists)
	}
	if failed, _ := steps(); failed != 0 {
		t.Errorf("%d steps failed before it was time for another try", failed)
	}
	x.now = x.now.Add(hour)
	if failed, _ := steps(); failed != 1 {
		t.Errorf("%d steps failed at the next try, want 1", failed)
	}
	x.e.PermitDeliveries(func(context.Context, engine.Delivery) error { return nil })
	x.now = x.now.Add(hour)
	if failed, lists := steps(); failed != 0 || lists != 1 {
		t.Errorf("when it may be written: %d steps failed, %d lists were written", failed, lists)
	}
}
