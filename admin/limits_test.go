package admin_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/meta"
)

func TestLimits(t *testing.T) {
	s := start(t)
	alice, err := s.Engine.Accounts().CreateTenant(t.Context(), "alice", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Engine.Buckets().Create(t.Context(), "records", "", alice.Tenant.ID); err != nil {
		t.Fatal(err)
	}
	user := accounts.Identity{Tenant: alice.Tenant.ID, Kind: meta.IdentityUser, Name: "carol", Path: "/"}
	if _, err := s.Engine.Accounts().CreateIdentity(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target, body string
		want         meta.Limits
		stored       bool
	}{
		{"/v1/tenants/alice/limits", `{"bytes":1000,"requests":5}`, meta.Limits{Bytes: 1000, Requests: 5}, true},
		{"/v1/buckets/records/limits", `{"versions":7}`, meta.Limits{Versions: 7}, true},
		{"/v1/tenants/alice/users/carol/limits", `{"concurrent":3,"upload":10,"download":20}`, meta.Limits{Concurrent: 3, Upload: 10, Download: 20}, false},
	} {
		decode(t, s.call(t, "PUT", c.target, c.body), 204, nil)
		var got admin.Limits
		decode(t, s.call(t, "GET", c.target, ""), 200, &got)
		if got.Limits != c.want || (got.Usage != nil) != c.stored {
			t.Errorf("%s: %+v", c.target, got)
		}
		for _, bad := range []string{`{"bytes":-1}`, `{"requests":-1}`, `{"gigabytes":1}`, `x`} {
			for _, method := range []string{"PUT", "PATCH"} {
				if a := s.call(t, method, c.target, bad); a.status != 400 {
					t.Errorf("%s %s of %s: %d %s", method, c.target, bad, a.status, a.body)
				}
			}
		}
		// A PATCH changes the limits in its body: a present one, an absent one,
		// none.
		decode(t, s.call(t, "PATCH", c.target, `{"requests":9}`), 204, nil)
		c.want.Requests = 9
		for range 2 {
			decode(t, s.call(t, "GET", c.target, ""), 200, &got)
			if got.Limits != c.want {
				t.Errorf("%s, changed: %+v, not %+v", c.target, got.Limits, c.want)
			}
			decode(t, s.call(t, "PATCH", c.target, `{}`), 204, nil)
		}
		decode(t, s.call(t, "PATCH", c.target, `{"requests":0}`), 204, nil)
		got, c.want.Requests = admin.Limits{}, 0
		decode(t, s.call(t, "GET", c.target, ""), 200, &got)
		if got.Limits != c.want {
			t.Errorf("%s, taken away: %+v, not %+v", c.target, got.Limits, c.want)
		}
	}
	if a := s.call(t, "PUT", "/v1/tenants/alice/users/carol/limits", `{"bytes":1}`); a.status != 400 {
		t.Errorf("a quota of a user: %d %s", a.status, a.body)
	}
	for _, absent := range []string{"/v1/tenants/nobody/limits", "/v1/buckets/nothing/limits", "/v1/tenants/alice/users/nobody/limits"} {
		if a := s.call(t, "PUT", absent, `{"requests":1}`); a.status != 404 {
			t.Errorf("%s: %d %s", absent, a.status, a.body)
		}
	}
}
