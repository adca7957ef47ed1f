//go:build linux

package clustertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// eventually asks until the answer has the status. A gateway may go by what it
// remembers for accounts.CredentialTTL; by then, with time to ask in, it has to
// know.
func (p *pair) eventually(what string, status int, ask func() gatewaytest.Response) {
	p.t.Helper()
	began := time.Now()
	for {
		asked := time.Since(began)
		res := ask()
		if res.Status == status {
			return
		}
		if asked > accounts.CredentialTTL {
			p.t.Fatalf("%s: after %s still %d %s, want %d", what, asked, res.Status, res.Code(), status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The other gateway goes by the rights that one was told: at once where they are
// a bucket's, and within accounts.CredentialTTL where it is a user's.
func TestPoliciesReachOtherGateways(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	alice, bob := p.a.User(t, "alice"), p.a.User(t, "bob")
	on := func(g *gatewaytest.Gateway, c accounts.Credential, status int, method, target, body string) {
		t.Helper()
		if res := g.Do(t, c, method, target, []byte(body)); res.Status != status {
			t.Fatalf("%s %s: %d %s, want %d", method, target, res.Status, res.Body, status)
		}
	}
	on(p.a, alice, 200, "PUT", "/bucket", "")
	on(p.a, alice, 200, "PUT", "/bucket/key", "data")

	// A bucket's policy, and what else decides about it, back and forth.
	allow := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`, accounts.Account(bob.Tenant.ID))
	on(p.b, bob, 403, "GET", "/bucket/key", "") // it has read the settings
	for range 5 {
		on(p.a, alice, 204, "PUT", "/bucket?policy", allow)
		on(p.b, bob, 200, "GET", "/bucket/key", "")
		on(p.b, alice, 204, "DELETE", "/bucket?policy", "")
		on(p.a, bob, 403, "GET", "/bucket/key", "")
	}
	on(p.a, alice, 200, "PUT", "/bucket?ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>")
	grant := func(g *gatewaytest.Gateway, to string) {
		t.Helper()
		if res := g.Do(t, alice, "PUT", "/bucket/key?acl", nil, "X-Amz-Grant-Read", `id="`+to+`"`); res.Status != 200 {
			t.Fatalf("%d %s", res.Status, res.Body)
		}
	}
	grant(p.b, bob.Tenant.ID.Canonical())
	on(p.a, bob, 200, "GET", "/bucket/key", "")
	grant(p.a, alice.Tenant.ID.Canonical())
	on(p.b, bob, 403, "GET", "/bucket/key", "")

	// A user's policy, its session, and its access key.
	user, err := p.a.Engine.Accounts().CreateIdentity(t.Context(), accounts.Identity{Tenant: alice.Tenant.ID, Kind: meta.IdentityUser, Name: "dev"})
	must(t, err)
	dev, err := p.a.Engine.Accounts().CreateAccessKey(t.Context(), alice.Tenant, user.ID, "", "")
	must(t, err)
	session, err := p.a.Engine.Accounts().NewSession(accounts.Session{Tenant: alice.Tenant.ID, Holder: user.ID, Kind: user.Kind, Expires: p.now().Add(time.Hour)})
	must(t, err)
	get := func(c accounts.Credential) func() gatewaytest.Response {
		return func() gatewaytest.Response {
			t.Helper()
			if c.Token == "" {
				return p.b.Do(t, c, "GET", "/bucket/key", nil)
			}
			return p.b.Do(t, c, "GET", "/bucket/key", nil, "X-Amz-Security-Token", c.Token)
		}
	}
	change := func(policy string) {
		t.Helper()
		_, err := p.a.Engine.Accounts().ChangeIdentity(t.Context(), alice.Tenant.ID, meta.IdentityUser, "dev", func(i *accounts.Identity) error {
			i.Inline = nil
			if policy != "" {
				i.Inline = []accounts.InlinePolicy{{Name: "own", Document: policy}}
			}
			return nil
		})
		must(t, err)
	}
	const statement = `{"Version":"2012-10-17","Statement":[{"Effect":"%s","Action":"s3:*","Resource":"*"}]}`
	for _, step := range []struct {
		policy string
		status int
	}{{"", 403}, {fmt.Sprintf(statement, "Allow"), 200}, {fmt.Sprintf(statement, "Deny"), 403}, {fmt.Sprintf(statement, "Allow"), 200}} {
		change(step.policy)
		p.eventually("the user", step.status, get(dev))
		p.eventually("its session", step.status, get(session))
	}
	must(t, p.a.Engine.Accounts().SetAccessKeyInactive(t.Context(), dev.AccessKey, true))
	p.eventually("an inactive key", 403, get(dev))
	must(t, p.a.Engine.Accounts().SetAccessKeyInactive(t.Context(), dev.AccessKey, false))
	p.eventually("an active key", 200, get(dev))
}
