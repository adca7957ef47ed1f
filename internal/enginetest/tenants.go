package enginetest

import (
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// TwoTenants is a Clocked with a bucket of many objects, and behind it by name one of few
// of another tenant, each with a bucket for lists of its own.
type TwoTenants struct {
	*Clocked
	Long, Lists, Short, ShortLists meta.Bucket
}

// NewTwoTenants returns a TwoTenants whose B is Short.
func NewTwoTenants(t *testing.T) *TwoTenants {
	t.Helper()
	c := NewClocked(t, meta.VersioningOff)
	other, err := c.E.Accounts().CreateTenant(t.Context(), "other", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	x := &TwoTenants{Clocked: c, Long: c.B, Lists: c.CreateBucket("lists", "")}
	for name, b := range map[string]*meta.Bucket{"second-bucket": &x.Short, "second-lists": &x.ShortLists} {
		if *b, err = c.E.Buckets().Create(t.Context(), name, "", other.Tenant.ID); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3*meta.MaxPage + 1 {
		c.MustPut(fmt.Sprintf("logs/%05d", n), nil)
	}
	c.B = x.Short
	c.MustPut("logs/one", nil)
	return x
}
