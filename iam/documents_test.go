package iam_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

func trusting(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":["sts:AssumeRole","sts:AssumeRoleWithWebIdentity"]}]}`
}

func aws(name string) string { return `{"AWS":"` + name + `"}` }

// TestPrincipalsExist puts existing and unknown names into every document that
// has principals.
func TestPrincipalsExist(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	iamARN, stsARN := "arn:aws:iam::"+account+":", "arn:aws:sts::"+account+":"
	g.root(t, "", "CreateUser", "UserName", "Ana", "Path", "/team/")
	g.root(t, "", "CreateUser", "UserName", "dotted.name")
	app := g.root(t, "", "CreateRole", "RoleName", "app", "Path", "/svc/", "AssumeRolePolicyDocument", trusting(aws(account))).one("RoleId")
	g.root(t, "", "CreateRole", "RoleName", "put", "AssumeRolePolicyDocument", trusting(aws(account)))
	dev := g.root(t, "", "GetUser", "UserName", "dev").one("UserId")
	gone := g.root(t, "", "CreateUser", "UserName", "gone").one("UserId")
	g.root(t, "", "DeleteUser", "UserName", "gone")
	provider := g.root(t, "", "CreateOpenIDConnectProvider", "Url", "https://issuer.example.com", "ClientIDList.member.1", "app").one("OpenIDConnectProviderArn")

	there := []string{
		account, iamARN + "root", iamARN + "user/dev", iamARN + "user/team/Ana", iamARN + "user/dotted.name", iamARN + "role/svc/app",
		strings.Replace(iamARN, "arn:aws:", "arn:aws-cn:", 1) + "user/dev", stsARN + "assumed-role/app/s1", dev, app, app + ":s1",
	}
	nobody := []string{
		"123456789012", "arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:user/dev", "arn:aws:iam::123456789012:user/a.b",
		"arn:aws:sts::123456789012:assumed-role/app/s1",
		iamARN + "user/no.user", iamARN + "user/nouser", iamARN + "role/no.role", iamARN + "role/norole", iamARN + "user/accounts.google.com",
		iamARN + "user/DEV", iamARN + "user/x/dev", iamARN + "user//dev", iamARN + "user/Ana", iamARN + "user/team/ana", iamARN + "user/Team/Ana", iamARN + "user/team/team/Ana",
		iamARN + "user/app", iamARN + "role/app", iamARN + "role/svc/App", iamARN + "role/svc/dev", iamARN + "user/dev/", iamARN + "User/dev",
		iamARN + "group/dev", iamARN + "root/dev", iamARN + "assumed-role/app/s1", stsARN + "role/app",
		stsARN + "assumed-role/App/s1", stsARN + "assumed-role/no.role/s1", stsARN + "assumed-role/svc/app/s1", stsARN + "assumed-role/dev/s1", stsARN + "assumed-role/app",
		gone, "AIDA" + strings.Repeat("0", 32), "AROA" + strings.Repeat("0", 32), "AROA" + strings.Repeat("1", 32) + ":s1",
		strings.Replace(dev, "AIDA", "AROA", 1), strings.Replace(app, "AROA", "AIDA", 1), dev + ":s1", app + ":", app + ":a b", strings.ToUpper(dev), dev + ".x",
		strings.Repeat("0", 64), "dev", "user/dev", "no.user",
	}
	type document struct {
		name string
		put  func(principal string) string // returns the code of the answer
	}
	inPolicy := func(form string) func(string) string {
		return func(principal string) string {
			res := g.Do(t, g.tenant, "PUT", "/bucket?policy", []byte(`{"Version":"2012-10-17","Statement":[`+fmt.Sprintf(form, principal)+`]}`))
			return res.Code()
		}
	}
	n := 0
	documents := []document{
		{"CreateRole", func(principal string) string {
			n++
			a := post(t, g.Gateway, g.tenant, "iam", form("Action", "CreateRole", "RoleName", fmt.Sprint("r", n), "AssumeRolePolicyDocument", trusting(principal)))
			return a.one("Code")
		}},
		{"UpdateAssumeRolePolicy", func(principal string) string {
			a := post(t, g.Gateway, g.tenant, "iam", form("Action", "UpdateAssumeRolePolicy", "RoleName", "put", "PolicyDocument", trusting(principal)))
			return a.one("Code")
		}},
		{"bucket policy", inPolicy(`{"Effect":"Allow","Principal":%s,"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}`)},
		{"NotPrincipal", inPolicy(`{"Effect":"Deny","NotPrincipal":%s,"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}`)},
		{"second statement",
			inPolicy(`{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"},{"Effect":"Deny","Principal":%s,"Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*"}`)},
	}
	for _, d := range documents {
		for _, name := range there {
			if code := d.put(aws(name)); code != "" {
				t.Errorf("%s refuses %s: %s", d.name, name, code)
			}
		}
		for _, name := range nobody {
			for _, principal := range []string{aws(name), `{"AWS":["` + account + `","` + name + `"]}`} {
				if code := d.put(principal); code != "MalformedPolicyDocument" && code != "MalformedPolicy" {
					t.Errorf("%s takes %s: %q", d.name, principal, code)
				}
			}
		}
	}
	for _, d := range documents[:2] {
		for principal, code := range map[string]string{
			provider: "", provider + "/x": "MalformedPolicyDocument", strings.ToUpper(provider): "MalformedPolicyDocument", "accounts.google.com": "",
			iamARN + "oidc-provider/other.example.com":            "MalformedPolicyDocument",
			iamARN + "saml-provider/any":                          "MalformedPolicyDocument",
			strings.Replace(provider, account, "123456789012", 1): "MalformedPolicyDocument",
		} {
			if got := d.put(`{"Federated":"` + principal + `"}`); got != code {
				t.Errorf("%s with provider %s: %q, want %q", d.name, principal, got, code)
			}
		}
	}
}

// TestNamesMadeAgain deletes each kind of principal that a document names, and
// creates another with its name. It gets no rights, and the document shows the
// id of the first.
func TestNamesMadeAgain(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "CreateRole", "RoleName", "target", "AssumeRolePolicyDocument", trusting(aws(account)))
	user := func() (id string, c accounts.Credential) {
		id = g.root(t, "", "CreateUser", "UserName", "again").one("UserId")
		return id, credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "again"))
	}
	role := func() (id string, c accounts.Credential) {
		id = g.root(t, "", "CreateRole", "RoleName", "again", "AssumeRolePolicyDocument", trusting(aws(account))).one("RoleId")
		g.root(t, "", "PutRolePolicy", "RoleName", "again", "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}}`)
		g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}}`)
		return id, credentialOf(g.call(t, g.cred, "", "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/again", "RoleSessionName", "s1"))
	}
	for _, c := range []struct {
		name, arn string
		make      func() (string, accounts.Credential)
		remove    func(accounts.Credential)
		suffix    string
	}{
		{"user", "arn:aws:iam::" + account + ":user/again", user, func(k accounts.Credential) {
			g.root(t, "", "DeleteAccessKey", "UserName", "again", "AccessKeyId", k.AccessKey)
			g.root(t, "", "DeleteUser", "UserName", "again")
		}, ""},
		{"role", "arn:aws:iam::" + account + ":role/again", role, func(accounts.Credential) {
			g.root(t, "", "DeleteRolePolicy", "RoleName", "again", "PolicyName", "p")
			g.root(t, "", "DeleteRole", "RoleName", "again")
		}, ""},
		{"session", "arn:aws:sts::" + account + ":assumed-role/again/s1", role, func(accounts.Credential) {
			g.root(t, "", "DeleteRolePolicy", "RoleName", "again", "PolicyName", "p")
			g.root(t, "", "DeleteRole", "RoleName", "again")
		}, ":s1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, first := c.make()
			policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + c.arn + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`
			if res := g.Do(t, g.tenant, "PUT", "/bucket?policy", []byte(policy)); res.Status != 204 {
				t.Fatalf("%d %s", res.Status, res.Body)
			}
			g.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "target", "PolicyDocument", trusting(aws(c.arn)))
			target := []string{"RoleArn", "arn:aws:iam::" + account + ":role/target", "RoleSessionName", "me"}
			g.want(t, first, "GET", "/bucket/key", "")
			g.call(t, first, "", "AssumeRole", target...)
			shown := func() (bucket, trust string) {
				text, err := url.PathUnescape(g.root(t, "", "GetRole", "RoleName", "target").one("AssumeRolePolicyDocument"))
				if err != nil {
					t.Fatal(err)
				}
				return string(g.Do(t, g.tenant, "GET", "/bucket?policy", nil).Body), text
			}
			if bucket, trust := shown(); bucket != policy || !strings.Contains(trust, `"`+c.arn+`"`) {
				t.Errorf("shown %s and %s", bucket, trust)
			}
			c.remove(first)
			_, second := c.make()
			defer c.remove(second)
			g.want(t, second, "GET", "/bucket/key", "AccessDenied")
			g.call(t, second, "AccessDenied", "AssumeRole", target...)
			if bucket, trust := shown(); strings.Contains(bucket+trust, c.arn) ||
				!strings.Contains(bucket, `"`+id+c.suffix+`"`) || !strings.Contains(trust, `"`+id+c.suffix+`"`) {
				t.Errorf("shown %s and %s, want %s", bucket, trust, id+c.suffix)
			}
		})
	}
}

// TestTrustOfNobody: a trust policy that an earlier release stored with an
// unknown name does not trust a principal that gets the name later.
func TestTrustOfNobody(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "CreateRole", "RoleName", "target", "AssumeRolePolicyDocument", trusting(aws(account)))
	_, err := g.Engine.Accounts().ChangeIdentity(t.Context(), g.tenant.Tenant.ID, meta.IdentityRole, "target", func(r *accounts.Identity) error {
		r.Role.Trust = trusting(aws("arn:aws:iam::" + account + ":user/no.user"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	g.root(t, "", "CreateUser", "UserName", "no.user")
	c := credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "no.user"))
	g.call(t, c, "AccessDenied", "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/target", "RoleSessionName", "me")
}

// An earlier release stored sessions in policies by their ARNs. Such a policy
// means the sessions that have the names when it is first read, and nobody
// later. A Deny for a name stays in effect.
func TestPoliciesWithoutIDs(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}}`)
	make := func(name string) accounts.Credential {
		g.root(t, "", "CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trusting(aws(account)))
		return credentialOf(g.call(t, g.cred, "", "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/"+name, "RoleSessionName", "s1"))
	}
	session := func(role string) string { return `"arn:aws:sts::` + account + `:assumed-role/` + role + `/s1"` }
	stored := func(statements string) {
		t.Helper()
		text, err := json.Marshal(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		b, err := g.Engine.Buckets().Get(t.Context(), "bucket")
		if err == nil {
			err = g.Engine.Buckets().SetSetting(t.Context(), b, "policy", []byte(`{"document":`+string(text)+`}`))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	statement := func(effect, principal string) string {
		return `{"Effect":"` + effect + `",` + principal + `,"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}`
	}
	there := make("there")
	stored(statement("Allow", `"Principal":{"AWS":[`+session("there")+`,`+session("later")+`]}`))
	g.want(t, there, "GET", "/bucket/key", "")
	later := make("later")
	g.want(t, later, "GET", "/bucket/key", "AccessDenied")
	g.root(t, "", "DeleteRole", "RoleName", "there")
	g.want(t, make("there"), "GET", "/bucket/key", "AccessDenied")

	all := statement("Allow", `"Principal":{"AWS":"`+account+`"}`)
	g.root(t, "", "PutRolePolicy", "RoleName", "later", "PolicyName", "p", "PolicyDocument", readOnly)
	stored(all)
	g.want(t, later, "GET", "/bucket/key", "")
	stored(all + "," + statement("Deny", `"Principal":{"AWS":[`+session("later")+`,`+session("nobody")+`]}`))
	g.want(t, later, "GET", "/bucket/key", "AccessDenied")
	g.want(t, g.tenant, "GET", "/bucket/key", "")
	nobody := make("nobody")
	g.root(t, "", "PutRolePolicy", "RoleName", "nobody", "PolicyName", "p", "PolicyDocument", readOnly)
	g.want(t, nobody, "GET", "/bucket/key", "AccessDenied")
	excepted := `"NotPrincipal":{"AWS":["` + account + `","arn:aws:iam::` + account + `:role/some",` + session("some") + `]}`
	stored(all + "," + statement("Deny", excepted))
	g.want(t, later, "GET", "/bucket/key", "AccessDenied")
	some := make("some")
	g.root(t, "", "PutRolePolicy", "RoleName", "some", "PolicyName", "p", "PolicyDocument", readOnly)
	g.want(t, some, "GET", "/bucket/key", "AccessDenied")
}

// A trust policy of an earlier release that names a session by its ARN trusts
// nobody's session.
func TestTrustOfSessionsWithoutIDs(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}}`)
	g.root(t, "", "CreateRole", "RoleName", "app", "AssumeRolePolicyDocument", trusting(aws(account)))
	g.root(t, "", "CreateRole", "RoleName", "target", "AssumeRolePolicyDocument", trusting(aws(account)))
	_, err := g.Engine.Accounts().ChangeIdentity(t.Context(), g.tenant.Tenant.ID, meta.IdentityRole, "target", func(r *accounts.Identity) error {
		r.Role.Trust = trusting(aws("arn:aws:sts::" + account + ":assumed-role/app/s1"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := credentialOf(g.call(t, g.cred, "", "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/app", "RoleSessionName", "s1"))
	g.call(t, s, "AccessDenied", "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/target", "RoleSessionName", "me")
}
