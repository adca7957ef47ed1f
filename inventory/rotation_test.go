package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/meta"
)

// twoTenants has the inventories of two tenants' rig.
type twoTenants struct {
	*inventoryRig
	two *enginetest.TwoTenants
}

func newTwoTenants(t *testing.T) *twoTenants {
	t.Helper()
	two := enginetest.NewTwoTenants(t)
	return &twoTenants{&inventoryRig{Clocked: two.Clocked, permit: anything}, two}
}

// listOf configures a list of a bucket.
func (x *twoTenants) listOf(b, to meta.Bucket) {
	x.T.Helper()
	doc := fmt.Sprintf(`{"id":"l","enabled":true,"versions":false,"weekly":false,"target":%q,"target_id":%q,"format":"CSV"}`, to.Name, to.ID.String())
	if err := x.E.Buckets().SetSetting(x.T.Context(), b, inventory.Setting+"l", []byte(doc)); err != nil {
		x.T.Fatal(err)
	}
}

// The same is true of lists.
func TestInventoryBesideLongList(t *testing.T) {
	x := newTwoTenants(t)
	x.listOf(x.two.Long, x.two.Lists)
	x.listOf(x.two.Short, x.two.ShortLists)
	var order []string
	for more := true; more; {
		r, err := x.step()
		if err != nil {
			t.Fatal(err)
		}
		if more = r.More; r.Lists > 0 {
			order = append(order, inventory.LastWritten(x.steps))
		}
	}
	if fmt.Sprint(order) != "[second-bucket first-bucket]" {
		t.Errorf("lists were written of %v", order)
	}
}

// A failing list of one tenant waits for its next try, while another tenant's goes on.
func TestInventoryBesideFailures(t *testing.T) {
	x := newTwoTenants(t)
	refused := errors.New("refused")
	x.permit = func(_ context.Context, d inventory.Delivery) error {
		if d.From.ID == x.two.Long.ID {
			return refused
		}
		return nil
	}
	x.listOf(x.two.Long, x.two.Lists)
	x.listOf(x.two.Short, x.two.ShortLists)
	steps := func() (failed, lists int) {
		for range 100 {
			r, err := x.step()
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
	x.Now = x.Now.Add(time.Hour)
	if failed, _ := steps(); failed != 1 {
		t.Errorf("%d steps failed at the next try, want 1", failed)
	}
	x.permit = anything
	x.Now = x.Now.Add(time.Hour)
	if failed, lists := steps(); failed != 0 || lists != 1 {
		t.Errorf("when it may be written: %d steps failed, %d lists were written", failed, lists)
	}
}
