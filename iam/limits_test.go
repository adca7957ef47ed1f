package iam_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// A tenant or a user at its limit is told to slow down, in these APIs' own
// words. Others are not, and unproven requests use nothing up.
func TestRates(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	other := g.User(t, "other")
	slow := func(c accounts.Credential, service, action string) (refused int) {
		for range 20 {
			switch a := post(t, g.Gateway, c, service, form("Action", action)); {
			case a.one("Code") == "Throttling" && a.status == 400:
				refused++
			case a.status != 200:
				t.Fatalf("%d %s", a.status, a.body)
			}
			g.call(t, other, "", "ListUsers")
		}
		return refused
	}
	if n := slow(g.tenant, "iam", "ListUsers"); n != 0 {
		t.Errorf("%d of 20 were refused without a limit", n)
	}
	if err := g.Engine.Accounts().SetLimits(t.Context(), g.tenant.Tenant.ID, meta.Limits{Requests: 1}); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"iam", "ListUsers"}, {"sts", "GetCallerIdentity"}} {
		if slow(g.tenant, c[0], c[1]) == 0 {
			t.Errorf("20 of %s passed a limit of one a second", c[1])
		}
	}
	if err := g.Engine.Accounts().SetLimits(t.Context(), g.tenant.Tenant.ID, meta.Limits{Concurrent: 1}); err != nil {
		t.Fatal(err)
	}
	forged := g.tenant
	forged.SecretKey += "x"
	for range 5 { // each ends before the next begins
		g.call(t, forged, "SignatureDoesNotMatch", "ListUsers")
		g.root(t, "", "ListUsers")
	}
}

// The number of tokens that wait for the keys of one provider is bounded.
func TestProviderWaits(t *testing.T) {
	idp := newProvider(t)
	keys := idp.Config.Handler
	refused := make(chan struct{})
	idp.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-refused
		keys.ServeHTTP(w, r)
	})
	g := newRig(t, gatewaytest.Options{ProviderKeys: iam.NewKeys(iam.KeysOptions{Client: idp.Client()})})
	arn := g.root(t, "", "CreateOpenIDConnectProvider", "Url", idp.URL, "ClientIDList.member.1", "app").one("OpenIDConnectProviderArn")
	role := g.root(t, "", "CreateRole", "RoleName", "ci", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"`+arn+`"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`).one("Arn")
	now := time.Now()
	token := idp.sign(t, "RS256", "rsa", map[string]any{"iss": idp.URL, "sub": "x", "aud": "app", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix()})
	assume := func() answer {
		return post(t, g.Gateway, accounts.Credential{}, "",
			form("Action", "AssumeRoleWithWebIdentity", "RoleArn", role, "RoleSessionName", "run", "WebIdentityToken", token))
	}
	var all sync.WaitGroup
	var once sync.Once
	answers := make(chan answer, iam.MaxIssuerWaits+1)
	for range iam.MaxIssuerWaits + 1 {
		all.Go(func() {
			a := assume()
			if a.status != 200 {
				once.Do(func() { close(refused) }) // nobody is answered before
			}
			answers <- a
		})
	}
	all.Wait()
	close(answers)
	n := 0
	for a := range answers {
		if a.one("Code") == "Throttling" {
			n++
		} else if a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n != 1 {
		t.Errorf("%d of %d were refused, want 1", n, iam.MaxIssuerWaits+1)
	}
	if a := assume(); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
	// An accepted token counts with the role's tenant.
	if err := g.Engine.Accounts().SetLimits(t.Context(), g.tenant.Tenant.ID, meta.Limits{Requests: 1}); err != nil {
		t.Fatal(err)
	}
	n = 0
	for range 20 {
		if assume().one("Code") == "Throttling" {
			n++
		}
	}
	if n == 0 {
		t.Error("20 passed a limit of one a second")
	}
}
