package iam_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// unsigned are the actions that need no credential, with the reason.
var unsigned = map[string]string{"AssumeRoleWithWebIdentity": "its token is the proof"}

// An unproven sender can take no action and change no identity.
func TestEveryActionRefusesStrangers(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	other := g.User(t, "other")
	session := func(lives time.Duration) accounts.Credential {
		c, err := g.Engine.Accounts().NewSession(accounts.Session{Tenant: g.tenant.Tenant.ID, Holder: g.tenant.Tenant.ID, Expires: time.Now().Add(lives)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	inactive, err := g.Engine.Accounts().CreateAccessKey(t.Context(), g.tenant.Tenant, g.tenant.Tenant.ID, "", "")
	if err == nil {
		err = g.Engine.Accounts().SetAccessKeyInactive(t.Context(), inactive.AccessKey, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	live := session(time.Hour)
	foreign, bare := live, live
	foreign.Token, bare.Token = session(time.Hour).Token, ""
	picture := func() string {
		t.Helper()
		text := ""
		for kind := meta.IdentityUser; kind <= meta.IdentityProvider; kind++ {
			for _, tenant := range []accounts.Credential{g.tenant, other} {
				all, err := g.Store.ListIdentities(t.Context(), tenant.Tenant.ID, kind, "", meta.MaxPage)
				if err != nil {
					t.Fatal(err)
				}
				text += fmt.Sprintf("%+v\n", all)
				ids := []meta.ID{tenant.Tenant.ID}
				for _, i := range all {
					ids = append(ids, i.ID)
				}
				for _, id := range ids {
					keys, err := g.Store.ListAccessKeys(t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
					text += fmt.Sprintf("%+v\n", keys)
				}
			}
		}
		return text
	}
	before := picture()
	for action := range iam.Actions() {
		if unsigned[action] != "" {
			continue
		}
		for name, c := range map[string]struct {
			cred accounts.Credential
			code string
		}{
			"anonymous":                 {accounts.Credential{}, "MissingAuthenticationToken"},
			"unknown key":               {accounts.Credential{AccessKey: "SGUNKNOWN", SecretKey: g.tenant.SecretKey}, "InvalidClientTokenId"},
			"inactive key":              {inactive, "InvalidClientTokenId"},
			"another's secret":          {accounts.Credential{AccessKey: g.tenant.AccessKey, SecretKey: other.SecretKey}, "SignatureDoesNotMatch"},
			"a session that ended":      {session(-time.Minute), "ExpiredToken"},
			"another session's token":   {foreign, "InvalidClientTokenId"},
			"session without its token": {bare, "InvalidClientTokenId"},
		} {
			service := "iam"
			switch action {
			case "GetCallerIdentity", "AssumeRole", "GetSessionToken":
				service = "sts"
			}
			a := post(t, g.Gateway, c.cred, service,
				form("Action", action, "UserName", "dev", "GroupName", "g", "RoleName", "r", "PolicyName", "p", "PolicyDocument", readOnly))
			if a.one("Code") != c.code {
				t.Errorf("%s, %s: %d %s, want %s", action, name, a.status, a.body, c.code)
			}
		}
	}
	if after := picture(); after != before {
		t.Errorf("refused requests changed identities:\nbefore %s\nafter  %s", before, after)
	}
	for action, why := range unsigned {
		if !iam.Actions()[action] {
			t.Errorf("%s (%s): unknown action", action, why)
		} else if a := post(t, g.Gateway, accounts.Credential{}, "sts", form("Action", action)); a.one("Code") == "MissingAuthenticationToken" {
			t.Errorf("%s is not open any more", action)
		}
	}
}
