package accounts_test

import (
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// A right that is taken away at this gateway is gone at once, even if a request
// was reading it from the store at that time.
func TestChangedWhileRead(t *testing.T) {
	a, plan := open(t)
	tenant, err := a.CreateTenant(t.Context(), "tenant", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	user, err := a.CreateIdentity(t.Context(), accounts.Identity{
		Tenant: tenant.Tenant.ID, Kind: meta.IdentityUser, Name: "ann",
		Inline: []accounts.InlinePolicy{{Name: "p", Document: `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}},
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.CreateAccessKey(t.Context(), tenant.Tenant, user.ID, "", "")
	if err != nil {
		t.Fatal(err)
	}
	// underway lets change happen after the store has answered op, and before the answer arrives.
	underway := func(op faults.Op, change func() error) {
		t.Helper()
		plan.Clear()
		plan.Add(faults.Rule{Op: op, When: faults.After, N: 1, Hook: func() {
			plan.Clear()
			if err := change(); err != nil {
				t.Error(err)
			}
		}})
	}
	ask := func() (accounts.Credential, error) { return a.Credential(t.Context(), key.AccessKey, "") }

	underway("IdentitiesByID", func() error {
		_, err := a.ChangeIdentity(t.Context(), user.Tenant, user.Kind, "ann", func(i *accounts.Identity) error {
			i.Inline = nil
			return nil
		})
		return err
	})
	if _, err := ask(); err != nil {
		t.Fatal(err)
	}
	if c, err := ask(); err != nil || len(c.Principal.Policies) != 0 {
		t.Errorf("after its policy was taken away, the user has %v, %v", c.Principal, err)
	}

	other, err := a.CreateAccessKey(t.Context(), tenant.Tenant, user.ID, "", "")
	if err != nil {
		t.Fatal(err)
	}
	key = other
	underway("AccessKey", func() error { return a.SetAccessKeyInactive(t.Context(), key.AccessKey, true) })
	if _, err := ask(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(); !errors.Is(err, s3err.InvalidAccessKeyID) {
		t.Errorf("an inactive key: %v", err)
	}

	underway("Tenant", func() error { return a.SetLimits(t.Context(), tenant.Tenant.ID, meta.Limits{Buckets: 1}) })
	if _, err := a.Limits(t.Context(), tenant.Tenant.ID); err != nil {
		t.Fatal(err)
	}
	if l, err := a.Limits(t.Context(), tenant.Tenant.ID); err != nil || l.Buckets != 1 {
		t.Errorf("limits that were set meanwhile: %+v, %v", l, err)
	}
}
