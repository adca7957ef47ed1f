package iam_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// chain is a tenant with roles that may assume one another.
type chain struct {
	*rig
	account string
}

func newChain(t *testing.T, o gatewaytest.Options, roles ...string) *chain {
	t.Helper()
	c := &chain{rig: newRig(t, o)}
	c.account = accounts.Account(c.tenant.Tenant.ID)
	c.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}}`)
	for _, role := range roles {
		c.root(t, "", "CreateRole", "RoleName", role, "AssumeRolePolicyDocument", c.trust("sts:*"))
		c.root(t, "", "PutRolePolicy", "RoleName", role, "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["sts:*","iam:ListUsers"],"Resource":"*"}}`)
	}
	return c
}

// trust allows everybody in the account some actions, under a condition.
func (c *chain) trust(actions string, condition ...string) string {
	more := ""
	if len(condition) > 0 {
		more = `,"Condition":` + condition[0]
	}
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + c.account + `"},"Action":["` + strings.ReplaceAll(actions, " ",
		`","`) + `"]` + more + `}}`
}

func (c *chain) assume(t *testing.T, by accounts.Credential, code, role string, more ...string) accounts.Credential {
	t.Helper()
	return credentialOf(c.call(t, by, code, "AssumeRole",
		append([]string{"RoleArn", "arn:aws:iam::" + c.account + ":role/" + role, "RoleSessionName", "some"}, more...)...))
}

// onlyIf allows the role to list users under a condition.
func (c *chain) onlyIf(t *testing.T, role, condition string) {
	t.Helper()
	c.root(t, "", "PutRolePolicy", "RoleName", role, "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"},{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":`+condition+`}]}`)
}

// A source identity belongs to the whole chain. It needs a right of its own,
// policies see it, and it can be neither changed nor dropped.
func TestSourceIdentity(t *testing.T) {
	c := newChain(t, gatewaytest.Options{}, "one", "two")
	for _, bad := range []string{"a", "a b", "aws:ann", strings.Repeat("a", 65), "a/b"} {
		c.assume(t, c.cred, "ValidationError", "one", "SourceIdentity", bad)
	}
	is := func(name string) string { return `{"StringEquals":{"aws:SourceIdentity":"` + name + `"}}` }
	c.onlyIf(t, "one", is("ann"))
	c.onlyIf(t, "two", is("ann"))
	ann := c.assume(t, c.cred, "", "one", "SourceIdentity", "ann")
	c.call(t, ann, "", "ListUsers")
	c.call(t, c.assume(t, c.cred, "", "one", "SourceIdentity", "bob"), "AccessDenied", "ListUsers")
	c.call(t, c.assume(t, c.cred, "", "one"), "AccessDenied", "ListUsers")
	if a := c.call(t, c.cred, "", "AssumeRole", "RoleArn", "arn:aws:iam::"+c.account+":role/one", "RoleSessionName", "some",
		"SourceIdentity", "ann"); a.one("SourceIdentity") != "ann" {
		t.Error(a.body)
	}

	c.call(t, c.assume(t, ann, "", "two"), "", "ListUsers")
	c.call(t, c.assume(t, ann, "", "two", "SourceIdentity", "ann"), "", "ListUsers")
	c.assume(t, ann, "AccessDenied", "two", "SourceIdentity", "bob")

	c.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "two", "PolicyDocument", c.trust("sts:AssumeRole sts:TagSession"))
	c.assume(t, ann, "AccessDenied", "two")
	c.assume(t, c.cred, "AccessDenied", "two", "SourceIdentity", "ann")
	c.assume(t, c.cred, "", "two")
	c.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "two", "PolicyDocument",
		c.trust("sts:AssumeRole sts:SetSourceIdentity", `{"StringEquals":{"sts:SourceIdentity":"ann"}}`))
	c.assume(t, ann, "", "two")
	c.assume(t, c.cred, "AccessDenied", "two", "SourceIdentity", "bob")
	c.assume(t, c.cred, "AccessDenied", "two")
}

// Transitive tags are passed on to the end of the chain, others are not.
func TestTransitiveTags(t *testing.T) {
	c := newChain(t, gatewaytest.Options{}, "one", "two", "three")
	tags := []string{"Tags.member.1.Key", "Team", "Tags.member.1.Value", "red", "Tags.member.2.Key", "k", "Tags.member.2.Value", "v"}
	handOn := append(tags, "TransitiveTagKeys.member.1", "team")
	c.assume(t, c.cred, "ValidationError", "one", append(tags, "TransitiveTagKeys.member.1", "other")...)
	for _, role := range []string{"two", "three"} {
		c.onlyIf(t, role, `{"StringEquals":{"aws:PrincipalTag/team":"red"},"Null":{"aws:PrincipalTag/k":"true"}}`)
	}
	one := c.assume(t, c.cred, "", "one", handOn...)
	two := c.assume(t, one, "", "two")
	c.call(t, two, "", "ListUsers")
	c.call(t, c.assume(t, two, "", "three", "Tags.member.1.Key", "other", "Tags.member.1.Value", "x"), "", "ListUsers")
	c.call(t, c.assume(t, c.assume(t, c.cred, "", "one", tags...), "", "two"), "AccessDenied", "ListUsers")
	for _, role := range []string{"three", "none"} { // the answer does not reveal whether the role exists
		c.assume(t, two, "ValidationError", role, "Tags.member.1.Key", "TEAM", "Tags.member.1.Value", "blue")
	}
	for n, code := range map[int]string{49: "", 50: "ValidationError"} { // 50 with the inherited ones
		var many []string
		for i := range n {
			many = append(many, fmt.Sprintf("Tags.member.%d.Key", i+1), fmt.Sprint("t", i), fmt.Sprintf("Tags.member.%d.Value", i+1), "v")
		}
		c.assume(t, two, code, "three", many...)
		if code != "" {
			c.assume(t, two, code, "none", many...)
		}
	}

	// A trusting role may test what is passed on, and has to allow it.
	c.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "three", "PolicyDocument", c.trust("sts:AssumeRole sts:SetSourceIdentity"))
	c.assume(t, two, "AccessDenied", "three")
	c.assume(t, c.cred, "", "three")
	c.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "three", "PolicyDocument",
		c.trust("sts:AssumeRole sts:TagSession", `{"StringEquals":{"aws:RequestTag/team":"red"},"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":["Team"]}}`))
	c.assume(t, two, "", "three")
	c.assume(t, c.cred, "", "three", handOn...)
	c.assume(t, c.cred, "AccessDenied", "three", append(handOn, "TransitiveTagKeys.member.2", "k")...)
	c.assume(t, c.cred, "AccessDenied", "three")
}

// A provider passes tags and a source identity by claims, in either form, and
// nothing else of AWS's.
func TestPassedByProvider(t *testing.T) {
	idp := newProvider(t)
	c := newChain(t, gatewaytest.Options{ProviderKeys: iam.NewKeys(iam.KeysOptions{Client: idp.Client()})}, "two")
	arn := c.root(t, "", "CreateOpenIDConnectProvider", "Url", idp.URL, "ClientIDList.member.1", "app", "Tags.member.1.Key",
		"owner", "Tags.member.1.Value", "ops").one("OpenIDConnectProviderArn")
	if a := c.root(t, "", "GetOpenIDConnectProvider", "OpenIDConnectProviderArn", arn); a.one("Key") != "owner" || a.one("Value") != "ops" {
		t.Errorf("tags of a provider: %s", a.body)
	}
	trust := func(actions string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + arn + `"},"Action":["` + strings.ReplaceAll(actions,
			" ", `","`) + `"]}]}`
	}
	const all = "sts:AssumeRoleWithWebIdentity sts:TagSession sts:SetSourceIdentity"
	role := c.root(t, "", "CreateRole", "RoleName", "ci", "AssumeRolePolicyDocument", trust(all)).one("Arn")
	c.onlyIf(t, "ci", `{"StringEquals":{"aws:PrincipalTag/team":"red","aws:SourceIdentity":"ann"}}`)
	c.onlyIf(t, "two", `{"StringEquals":{"aws:PrincipalTag/team":"red","aws:SourceIdentity":"ann"}}`)
	assume := func(code string, claims ...any) answer {
		t.Helper()
		body := map[string]any{"iss": idp.URL, "sub": "x", "aud": "app", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
		for i := 0; i+1 < len(claims); i += 2 {
			body[claims[i].(string)] = claims[i+1]
		}
		a := post(t, c.Gateway, accounts.Credential{}, "",
			form("Action", "AssumeRoleWithWebIdentity", "RoleArn", role, "RoleSessionName", "run", "WebIdentityToken", idp.sign(t, "RS256", "rsa", body)))
		if got := a.one("Code"); got != code {
			t.Errorf("%v: %d %s, want %q", claims, a.status, a.body, code)
		}
		return a
	}
	const tags, source = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"
	nested := map[string]any{"principal_tags": map[string]any{"Team": []string{"red"}}, "transitive_tag_keys": []string{"Team"}}
	for _, claims := range [][]any{
		{source, "ann", tags, nested},
		{source, "ann", tags + "/principal_tags/Team", []string{"red"}, tags + "/transitive_tag_keys", []string{"Team"}},
		{source, "ann", tags + "/principal_tags/Team", "red", tags + "/transitive_tag_keys", "Team"},
	} {
		a := assume("", claims...)
		if a.one("SourceIdentity") != "ann" {
			t.Error(a.body)
		}
		c.call(t, credentialOf(a), "", "ListUsers")
		c.call(t, c.assume(t, credentialOf(a), "", "two"), "", "ListUsers")
	}
	c.call(t, credentialOf(assume("", source, "ann")), "AccessDenied", "ListUsers")
	// A session is known by the provider of its token, and by none if another session made it.
	of := func(operator string) string { return `{"` + operator + `":{"aws:FederatedProvider":"` + arn + `"}}` }
	c.onlyIf(t, "ci", of("StringEquals"))
	c.onlyIf(t, "two", of("StringNotEquals"))
	by := credentialOf(assume(""))
	c.call(t, by, "", "ListUsers")
	c.call(t, c.assume(t, by, "", "two"), "", "ListUsers")
	c.onlyIf(t, "ci", of("StringNotEquals"))
	c.call(t, by, "AccessDenied", "ListUsers")
	for _, claims := range [][]any{
		{source, 7}, {source, ""}, {source, nil}, {source, []string{"ann"}}, {tags, "Team"}, {tags, []string{"Team"}},
		{tags, map[string]any{"principal_tags": map[string]any{"Team": []string{"red", "blue"}}}},
		{tags, map[string]any{"principal_tags": map[string]any{"Team": []string{}}}},
		{tags, map[string]any{"principal_tags": map[string]any{"Team": 7}}},
		{tags, map[string]any{"other": 1}}, {tags + "/other", "x"}, {tags, nested, tags + "/principal_tags/Team", "blue"},
	} {
		assume("InvalidIdentityToken", claims...)
	}
	assume("ValidationError", source, "a b")
	assume("ValidationError", tags+"/transitive_tag_keys", "Team")
	assume("InvalidInput", tags, map[string]any{"principal_tags": map[string]any{"Team": "red", "team": "blue"}})
	c.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "ci", "PolicyDocument", trust("sts:AssumeRoleWithWebIdentity sts:TagSession"))
	assume("AccessDenied", source, "ann")
	c.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "ci", "PolicyDocument", trust("sts:AssumeRoleWithWebIdentity sts:SetSourceIdentity"))
	assume("AccessDenied", tags, nested)
}

// A caller that may create but not tag creates nothing with tags.
func TestTagsAtCreation(t *testing.T) {
	c := newChain(t, gatewaytest.Options{})
	c.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"},
		{"Effect":"Deny","Action":"iam:Tag*","Resource":"*"}]}`)
	for action, parameters := range map[string][]string{
		"CreateUser":                  {"UserName", "made"},
		"CreateRole":                  {"RoleName", "made", "AssumeRolePolicyDocument", c.trust("sts:AssumeRole")},
		"CreatePolicy":                {"PolicyName", "made", "PolicyDocument", readOnly},
		"CreateOpenIDConnectProvider": {"Url", "https://idp.test"},
	} {
		c.call(t, c.cred, "AccessDenied", action, append(parameters, "Tags.member.1.Key", "k", "Tags.member.1.Value", "v")...)
		c.call(t, c.cred, "", action, parameters...)
	}
}
