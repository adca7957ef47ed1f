package iam_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// The memory that a request may need, client and server together: so many bytes
// for each byte of its form, and those of any request.
const (
	formFactor  = 40
	formAllowed = 4 << 20
)

// Every parameter of every action is sent texts that are too long or
// meaningless, and lists that are too long. Each is refused or taken literally,
// at a cost bounded by the form's length, and changes nothing.
func TestHostileParameters(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	policy := g.root(t, "", "CreatePolicy", "PolicyName", "p", "PolicyDocument", readOnly).one("Arn")
	provider := g.root(t, "", "CreateOpenIDConnectProvider", "Url", "https://idp.test", "ClientIDList.member.1", "c").one("OpenIDConnectProviderArn")
	trust := trusting(aws(account))
	role := g.root(t, "", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trust).one("Arn")
	g.root(t, "", "CreateGroup", "GroupName", "g")
	picture := func() (text string) {
		for kind := meta.IdentityUser; kind <= meta.IdentityProvider; kind++ {
			all, err := g.Store.ListIdentities(t.Context(), g.tenant.Tenant.ID, kind, "", meta.MaxPage)
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintf("%+v\n", all)
		}
		return text
	}
	sound := map[string]string{
		"UserName": "dev", "GroupName": "g", "RoleName": "r", "PolicyName": "new", "PolicyArn": policy, "PolicyDocument": readOnly, "AssumeRolePolicyDocument": trust,
		"AccessKeyId": g.cred.AccessKey, "Status": "Active", "VersionId": "v1", "Url": "https://other.test", "ClientID": "c", "OpenIDConnectProviderArn": provider,
		"PermissionsBoundary": policy, "RoleArn": role, "RoleSessionName": "some", "WebIdentityToken": "a.b.c", "TagKeys.member.N": "k", "Tags.member.N.Key": "k", "Tags.member.N.Value": "v",
	}
	texts := map[string]string{
		"long": strings.Repeat("a", 200<<10), "zero bytes": strings.Repeat("\x00", 100), "not UTF-8": strings.Repeat("\xff",
			100), "slashes": strings.Repeat("/", 4000),
		"numbers": strings.Repeat("9", 100), "escapes": strings.Repeat("%",
			100), "a line": "a\r\nb", "stars": strings.Repeat("*", 5000), "arn": "arn:" + strings.Repeat(":", 5000),
	}
	documents := gatewaytest.HostileJSON(12 << 10)
	for what, doc := range gatewaytest.HostileJSON(100 << 10) {
		documents["more "+what] = doc
	}
	last := picture()
	for action := range iam.Actions() {
		honours := iam.Honours(action)
		base := form("Action", action)
		for _, name := range honours {
			if v, ok := sound[name]; ok && !strings.Contains(name, ".N") {
				base.Set(name, v)
			}
		}
		if strings.HasPrefix(action, "Delete") && !strings.HasSuffix(action, "Boundary") {
			base = form("Action", action) // it must not find the named thing
		}
		send := func(what, name, value string) {
			t.Helper()
			v := maps.Clone(base)
			v.Set(name, value)
			service := "iam"
			if strings.HasPrefix(action, "Assume") || action == "GetCallerIdentity" || action == "GetSessionToken" {
				service = "sts"
			}
			var was, is runtime.MemStats
			runtime.ReadMemStats(&was)
			a := post(t, g.Gateway, g.tenant, service, v)
			runtime.ReadMemStats(&is)
			if a.status >= 500 || a.status != 200 && a.one("Code") == "" {
				t.Errorf("%s, %s %s: %d %.300s", action, name, what, a.status, a.body)
			}
			if used, most := is.TotalAlloc-was.TotalAlloc, uint64(formFactor*len(v.Encode())+formAllowed); used > most {
				t.Errorf("%s, %s %s: a form of %d bytes allocated %d, more than %d", action, name, what, len(v.Encode()), used, most)
			}
			now := picture()
			if a.status != 200 && now != last {
				t.Errorf("%s, %s %s: a refused request changed something", action, name, what)
			}
			last = now
			if len(value) > 1<<10 && a.status == 200 && !reads(name) {
				t.Errorf("%s takes %s %s: %.300s", action, name, what, a.body)
			}
		}
		for _, name := range honours {
			if name == "Action" || name == "Version" {
				continue
			}
			all := texts
			if strings.Contains(name, "Document") || name == "Policy" {
				all = documents
			}
			for what, value := range all {
				send(what, strings.Replace(name, ".N", ".1", 1), value)
			}
		}
	}
	token := func(claims string) string {
		part := base64.RawURLEncoding.EncodeToString
		return part([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + part([]byte(claims)) + ".AAAA"
	}
	for what, doc := range gatewaytest.HostileJSON(12 << 10) {
		a := post(t, g.Gateway, accounts.Credential{}, "",
			form("Action", "AssumeRoleWithWebIdentity", "RoleArn", role, "RoleSessionName", "some", "WebIdentityToken", token(doc)))
		if a.one("Code") != "InvalidIdentityToken" {
			t.Errorf("claims, %s: %d %.300s", what, a.status, a.body)
		}
	}
}

// reads are parameters that are only looked up, whatever their value.
func reads(name string) bool {
	return name == "PathPrefix" || name == "ExternalId" || strings.HasPrefix(name, "TagKeys")
}
