package iam_test

import (
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// answer is a document with the texts of its elements in order.
type answer struct {
	status int
	body   string
}

// all returns the texts of the elements with a name.
func (a answer) all(name string) (texts []string) {
	d := xml.NewDecoder(strings.NewReader(a.body))
	for {
		token, err := d.Token()
		if err != nil {
			return texts
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == name {
			var s string
			if d.DecodeElement(&s, &start) == nil {
				texts = append(texts, s)
			}
		}
	}
}

func (a answer) one(name string) string {
	if all := a.all(name); len(all) == 1 {
		return all[0]
	}
	return ""
}

func form(parameters ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		v.Add(parameters[i], parameters[i+1])
	}
	return v
}

// post sends a form to a service, signed like SDKs do: without the payload's
// hash in a header.
func post(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, service string, v url.Values) answer {
	t.Helper()
	body := []byte(v.Encode())
	r := g.Request(t, "POST", "/", body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
	}
	if c.AccessKey != "" {
		if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, "eu-south-7", service, sigv4.PayloadHash(body), g.Now()); err != nil {
			t.Fatal(err)
		}
	}
	resp := g.Send(t, r)
	return answer{resp.Status, string(resp.Body)}
}

// call sends an action. The code of its error must be the given one; empty:
// success.
func (g *rig) call(t *testing.T, c accounts.Credential, code, action string, parameters ...string) answer {
	t.Helper()
	service := "iam"
	if strings.HasPrefix(action, "Assume") || action == "GetCallerIdentity" || action == "GetSessionToken" {
		service = "sts"
	}
	v := form(parameters...)
	v.Set("Action", action)
	a := post(t, g.Gateway, c, service, v)
	if got := a.one("Code"); got != code || (a.status == 200) != (code == "") {
		t.Fatalf("%s %v: %d %s, want %q", action, parameters, a.status, a.body, code)
	}
	return a
}

func (g *rig) root(t *testing.T, code, action string, parameters ...string) answer {
	t.Helper()
	return g.call(t, g.tenant, code, action, parameters...)
}

func credentialOf(a answer) accounts.Credential {
	return accounts.Credential{AccessKey: a.one("AccessKeyId"), SecretKey: a.one("SecretAccessKey"), Token: a.one("SessionToken")}
}

func TestUsers(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	a := g.root(t, "", "CreateUser", "UserName", "ann", "Path", "/eng/", "Tags.member.1.Key", "team", "Tags.member.1.Value", "a b")
	if a.one("Arn") != "arn:aws:iam::"+account+":user/eng/ann" || !strings.HasPrefix(a.one("UserId"), "AIDA") || a.one("RequestId") == "" {
		t.Errorf("created: %s", a.body)
	}
	g.root(t, "EntityAlreadyExists", "CreateUser", "UserName", "ANN")
	g.root(t, "ValidationError", "CreateUser", "UserName", "a/b")
	g.root(t, "ValidationError", "CreateUser", "UserName", strings.Repeat("a", 65))
	g.root(t, "ValidationError", "CreateUser")
	g.root(t, "ValidationError", "CreateUser", "UserName", "x", "Path", "eng")
	g.root(t, "InvalidInput", "CreateUser", "UserName", "x", "Tags.member.1.Key", "A", "Tags.member.1.Value", "",
		"Tags.member.2.Key", "a", "Tags.member.2.Value", "")
	g.root(t, "NoSuchEntity", "GetUser", "UserName", "nobody")
	if a := g.root(t, "", "GetUser", "UserName", "Ann"); a.one("UserName") != "ann" || a.one("Value") != "a b" {
		t.Errorf("got: %s", a.body)
	}
	if a := g.root(t, "", "GetUser"); a.one("UserId") != account {
		t.Errorf("root itself: %s", a.body)
	}
	for i := range 3 {
		g.root(t, "", "CreateUser", "UserName", fmt.Sprint("u", i))
	}
	var names []string
	for marker := ""; ; {
		p := []string{"MaxItems", "2"}
		if marker != "" {
			p = append(p, "Marker", marker)
		}
		a := g.root(t, "", "ListUsers", p...)
		names = append(names, a.all("UserName")...)
		if marker = a.one("Marker"); (marker == "") != (a.one("IsTruncated") == "false") {
			t.Fatal(a.body)
		} else if marker == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"ann", "dev", "u0", "u1", "u2"}) {
		t.Errorf("listed %v", names)
	}
	if a := g.root(t, "", "ListUsers", "PathPrefix", "/eng/"); !slices.Equal(a.all("UserName"), []string{"ann"}) {
		t.Errorf("by path: %s", a.body)
	}
	g.root(t, "ValidationError", "ListUsers", "MaxItems", "0")
	g.root(t, "ValidationError", "ListUsers", "Marker", "%")
	g.root(t, "EntityAlreadyExists", "UpdateUser", "UserName", "u0", "NewUserName", "U1")
	g.root(t, "", "UpdateUser", "UserName", "u0", "NewUserName", "zed", "NewPath", "/z/")
	if a := g.root(t, "", "GetUser", "UserName", "zed"); a.one("Path") != "/z/" {
		t.Error(a.body)
	}
	g.root(t, "", "TagUser", "UserName", "ann", "Tags.member.1.Key", "TEAM", "Tags.member.1.Value", "x", "Tags.member.2.Key", "k", "Tags.member.2.Value", "v")
	g.root(t, "", "UntagUser", "UserName", "ann", "TagKeys.member.1", "K")
	if a := g.root(t, "", "ListUserTags", "UserName", "ann"); a.one("Key") != "TEAM" || a.one("Value") != "x" {
		t.Error(a.body)
	}
	g.root(t, "DeleteConflict", "DeleteUser", "UserName", "dev") // it has an access key
	g.root(t, "", "DeleteUser", "UserName", "ann")
	g.root(t, "NoSuchEntity", "DeleteUser", "UserName", "ann")
}

func TestAccessKeys(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "read", "PolicyDocument", readOnly)
	second := credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "dev"))
	g.want(t, second, "GET", "/bucket/key", "")
	g.root(t, "LimitExceeded", "CreateAccessKey", "UserName", "dev")
	a := g.root(t, "", "ListAccessKeys", "UserName", "dev")
	if len(a.all("AccessKeyId")) != 2 || strings.Contains(a.body, second.SecretKey) || len(a.all("SecretAccessKey")) > 0 {
		t.Error(a.body)
	}
	if a := g.root(t, "", "GetAccessKeyLastUsed", "AccessKeyId", second.AccessKey); a.one("UserName") != "dev" {
		t.Error(a.body)
	}
	g.root(t, "AccessDenied", "GetAccessKeyLastUsed", "AccessKeyId", g.Root.AccessKey)
	g.root(t, "", "UpdateAccessKey", "UserName", "dev", "AccessKeyId", second.AccessKey, "Status", "Inactive")
	g.want(t, second, "GET", "/bucket/key", "InvalidAccessKeyId")
	g.call(t, second, "InvalidClientTokenId", "GetCallerIdentity")
	g.root(t, "", "UpdateAccessKey", "UserName", "dev", "AccessKeyId", second.AccessKey, "Status", "Active")
	g.want(t, second, "GET", "/bucket/key", "")
	g.root(t, "ValidationError", "UpdateAccessKey", "UserName", "dev", "AccessKeyId", second.AccessKey, "Status", "active")
	g.root(t, "NoSuchEntity", "DeleteAccessKey", "UserName", "dev", "AccessKeyId", g.tenant.AccessKey)
	g.root(t, "NoSuchEntity", "DeleteAccessKey", "UserName", "dev", "AccessKeyId", g.Root.AccessKey)
	g.root(t, "", "DeleteAccessKey", "UserName", "dev", "AccessKeyId", second.AccessKey)
	g.want(t, second, "GET", "/bucket/key", "InvalidAccessKeyId")
	// The tenant's root has its own keys.
	if a := g.root(t, "", "ListAccessKeys"); a.one("AccessKeyId") != g.tenant.AccessKey {
		t.Error(a.body)
	}
}

// No action succeeds without a policy that allows it, and a policy allows no
// more than it says.
func TestRightsToIAM(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	other := g.User(t, "other")
	for action := range iam.Actions() {
		switch action {
		case "GetCallerIdentity", "GetSessionToken", "AssumeRole", "AssumeRoleWithWebIdentity":
			continue
		}
		g.call(t, g.cred, "AccessDenied", action, honoured(action, "UserName", "dev", "GroupName", "g", "RoleName", "r", "PolicyName", "p",
			"PolicyArn", "arn:aws:iam::"+accounts.Account(g.tenant.Tenant.ID)+":policy/p", "PolicyDocument", readOnly, "AssumeRolePolicyDocument", "{}",
			"AccessKeyId", g.cred.AccessKey, "Status", "Active", "VersionId", "v1", "Url", "https://idp.test", "ClientID", "c",
			"OpenIDConnectProviderArn", "arn:aws:iam::"+accounts.Account(g.tenant.Tenant.ID)+":oidc-provider/idp.test",
			"PermissionsBoundary", "arn:aws:iam::"+accounts.Account(g.tenant.Tenant.ID)+":policy/p")...)
	}
	g.call(t, other, "NoSuchEntity", "GetUser", "UserName", "dev")
	g.call(t, accounts.Credential{}, "MissingAuthenticationToken", "ListUsers")
	g.call(t, accounts.Credential{AccessKey: "unknown", SecretKey: "secret-secret"}, "InvalidClientTokenId", "ListUsers")
	g.call(t, accounts.Credential{AccessKey: g.cred.AccessKey, SecretKey: "wrong-secret"}, "SignatureDoesNotMatch", "ListUsers")
	if a := post(t, g.Gateway, g.tenant, "s3", form("Action", "ListUsers")); a.one("Code") != "IncompleteSignature" {
		t.Errorf("signed for another service: %s", a.body)
	}
	if a := post(t, g.Gateway, g.tenant, "iam", form("Action", "ListUsers", "Version", "2011-06-15")); a.one("Code") != "InvalidAction" {
		t.Errorf("of another version: %s", a.body)
	}
	g.root(t, "InvalidAction", "DeleteEverything")

	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "iam", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"arn:aws:iam::*:user/${aws:username}"}}`)
	mine := credentialOf(g.call(t, g.cred, "", "CreateAccessKey"))
	g.call(t, mine, "", "ListAccessKeys", "UserName", "dev")
	g.root(t, "", "CreateUser", "UserName", "ops")
	g.call(t, mine, "AccessDenied", "CreateAccessKey", "UserName", "ops")
	g.call(t, mine, "AccessDenied", "ListUsers")
	// A session of the user would outlive the key that made it, so it cannot
	// use IAM.
	session := credentialOf(g.call(t, mine, "", "GetSessionToken"))
	g.call(t, session, "InvalidClientTokenId", "CreateAccessKey")
	g.call(t, session, "AccessDenied", "GetSessionToken")
	if a := g.call(t, session, "", "GetCallerIdentity"); !strings.HasSuffix(a.one("Arn"), ":user/dev") {
		t.Error(a.body)
	}
}

func TestManagedPolicies(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	a := g.root(t, "", "CreatePolicy", "PolicyName", "read", "PolicyDocument", readOnly)
	arn := a.one("Arn")
	g.root(t, "EntityAlreadyExists", "CreatePolicy", "PolicyName", "read", "PolicyDocument", readOnly)
	g.root(t, "MalformedPolicyDocument", "CreatePolicy", "PolicyName", "bad", "PolicyDocument", "{")
	large := strings.Replace(readOnly, `"s3:GetObject"`, `"s3:GetObject","s3:`+strings.Repeat("x", 6144)+`"`, 1)
	g.root(t, "LimitExceeded", "CreatePolicy", "PolicyName", "large", "PolicyDocument", large)
	g.root(t, "", "AttachUserPolicy", "UserName", "dev", "PolicyArn", arn)
	g.root(t, "", "AttachUserPolicy", "UserName", "dev", "PolicyArn", arn)
	g.want(t, g.cred, "GET", "/bucket/key", "")
	g.root(t, "NoSuchEntity", "AttachUserPolicy", "UserName", "dev", "PolicyArn", arn+"x")
	g.root(t, "NoSuchEntity", "AttachUserPolicy", "UserName", "dev", "PolicyArn", strings.Replace(arn, ":policy/", ":policy/other/", 1))
	if a := g.root(t, "", "ListAttachedUserPolicies", "UserName", "dev"); a.one("PolicyArn") != arn {
		t.Error(a.body)
	}
	if a := g.root(t, "", "ListEntitiesForPolicy", "PolicyArn", arn); a.one("UserName") != "dev" {
		t.Error(a.body)
	}
	if a := g.root(t, "", "ListPolicies", "Scope", "Local", "OnlyAttached", "true"); a.one("AttachmentCount") != "1" {
		t.Error(a.body)
	}
	deny := strings.Replace(readOnly, "Allow", "Deny", 1)
	g.root(t, "", "CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", deny)
	g.want(t, g.cred, "GET", "/bucket/key", "")
	g.root(t, "", "SetDefaultPolicyVersion", "PolicyArn", arn, "VersionId", "v2")
	g.want(t, g.cred, "GET", "/bucket/key", "AccessDenied")
	g.root(t, "DeleteConflict", "DeletePolicyVersion", "PolicyArn", arn, "VersionId", "v2")
	if a := g.root(t, "", "GetPolicyVersion", "PolicyArn", arn, "VersionId",
		"v1"); a.one("Document") != strings.ReplaceAll(url.QueryEscape(readOnly), "+", "%20") {
		t.Error(a.body)
	}
	for range 3 {
		g.root(t, "", "CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", readOnly, "SetAsDefault", "true")
	}
	g.root(t, "LimitExceeded", "CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", readOnly)
	g.want(t, g.cred, "GET", "/bucket/key", "")
	g.root(t, "", "DeletePolicyVersion", "PolicyArn", arn, "VersionId", "v1")
	g.root(t, "NoSuchEntity", "GetPolicyVersion", "PolicyArn", arn, "VersionId", "v1")
	g.root(t, "DeleteConflict", "DeletePolicy", "PolicyArn", arn)
	g.root(t, "", "DetachUserPolicy", "UserName", "dev", "PolicyArn", arn)
	g.want(t, g.cred, "GET", "/bucket/key", "AccessDenied")
	g.root(t, "NoSuchEntity", "DetachUserPolicy", "UserName", "dev", "PolicyArn", arn)
	for _, v := range g.root(t, "", "ListPolicyVersions", "PolicyArn", arn).all("VersionId") {
		if v != "v5" {
			g.root(t, "", "DeletePolicyVersion", "PolicyArn", arn, "VersionId", v)
		}
	}
	g.root(t, "", "DeletePolicy", "PolicyArn", arn)
	g.root(t, "NoSuchEntity", "GetPolicy", "PolicyArn", arn)
}

func TestGroups(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	g.root(t, "", "CreateGroup", "GroupName", "readers")
	g.root(t, "", "PutGroupPolicy", "GroupName", "readers", "PolicyName", "read", "PolicyDocument", readOnly)
	g.want(t, g.cred, "GET", "/bucket/key", "AccessDenied")
	g.root(t, "", "AddUserToGroup", "GroupName", "readers", "UserName", "dev")
	g.want(t, g.cred, "GET", "/bucket/key", "")
	if a := g.root(t, "", "GetGroup", "GroupName", "readers"); a.one("UserName") != "dev" {
		t.Error(a.body)
	}
	if a := g.root(t, "", "ListGroupsForUser", "UserName", "dev"); a.one("GroupName") != "readers" {
		t.Error(a.body)
	}
	if a := g.root(t, "", "GetGroupPolicy", "GroupName", "readers", "PolicyName", "read"); a.one("GroupName") != "readers" || a.one("PolicyDocument") == "" {
		t.Error(a.body)
	}
	g.root(t, "", "UpdateGroup", "GroupName", "readers", "NewGroupName", "viewers")
	g.want(t, g.cred, "GET", "/bucket/key", "")
	g.root(t, "DeleteConflict", "DeleteGroup", "GroupName", "viewers")
	g.root(t, "", "RemoveUserFromGroup", "GroupName", "viewers", "UserName", "dev")
	g.want(t, g.cred, "GET", "/bucket/key", "AccessDenied")
	g.root(t, "DeleteConflict", "DeleteGroup", "GroupName", "viewers")
	g.root(t, "", "DeleteGroupPolicy", "GroupName", "viewers", "PolicyName", "read")
	g.root(t, "", "DeleteGroup", "GroupName", "viewers")
	for i := range 11 {
		name := fmt.Sprint("g", i)
		g.root(t, "", "CreateGroup", "GroupName", name)
		code := ""
		if i == accounts.MaxGroups {
			code = "LimitExceeded"
		}
		g.root(t, code, "AddUserToGroup", "GroupName", name, "UserName", "dev")
	}
}

func TestRoles(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	dev := "arn:aws:iam::" + account + ":user/dev"
	trust := func(principal, condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"` + condition + `}]}`
	}
	role := g.root(t, "", "CreateRole", "RoleName", "reader", "AssumeRolePolicyDocument", trust(dev, "")).one("Arn")
	g.root(t, "MalformedPolicyDocument", "CreateRole", "RoleName", "x", "AssumeRolePolicyDocument", trust(dev+"x", ""))
	g.root(t, "ValidationError", "CreateRole", "RoleName", "x", "AssumeRolePolicyDocument", trust(dev, ""), "MaxSessionDuration", "60")
	g.root(t, "", "PutRolePolicy", "RoleName", "reader", "PolicyName", "read", "PolicyDocument", readOnly)
	assume := func(c accounts.Credential, code string, more ...string) accounts.Credential {
		t.Helper()
		return credentialOf(g.call(t, c, code, "AssumeRole", append([]string{"RoleArn", role, "RoleSessionName", "me"}, more...)...))
	}
	s := assume(g.cred, "")
	if a := g.call(t, s, "", "GetCallerIdentity"); a.one("Arn") != "arn:aws:sts::"+account+":assumed-role/reader/me" ||
		!strings.HasSuffix(a.one("UserId"), ":me") {
		t.Error(a.body)
	}
	g.want(t, s, "GET", "/bucket/key", "")
	g.want(t, s, "PUT", "/bucket/key", "AccessDenied")
	g.call(t, s, "AccessDenied", "GetSessionToken")
	assume(g.tenant, "AccessDenied")
	assume(s, "AccessDenied")
	assume(g.cred, "ValidationError", "DurationSeconds", "3601")
	assume(g.cred, "ValidationError", "DurationSeconds", "899")
	assume(g.cred, "MalformedPolicyDocument", "Policy", "{")
	assume(g.cred, "PackedPolicyTooLarge", "Policy", strings.Repeat(" ", 2049))
	assume(g.cred, "AccessDenied", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v") // sts:TagSession is not trusted
	narrow := assume(g.cred, "", "Policy", strings.Replace(readOnly, `"s3:GetObject",`, "", 1))
	g.want(t, narrow, "GET", "/bucket/key", "AccessDenied")
	g.want(t, narrow, "GET", "/bucket", "")
	g.call(t, g.cred, "AccessDenied", "AssumeRole", "RoleArn", role+"x", "RoleSessionName", "me")
	g.call(t, g.cred, "ValidationError", "AssumeRole", "RoleArn", role, "RoleSessionName", "m/e")

	// An external id that the trust policy demands.
	g.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "reader", "PolicyDocument", trust(dev, `,"Condition":{"StringEquals":{"sts:ExternalId":"secret"}}`))
	assume(g.cred, "AccessDenied")
	assume(g.cred, "AccessDenied", "ExternalId", "guess")
	assume(g.cred, "", "ExternalId", "secret")
	// A role's policy applies to existing sessions.
	g.root(t, "", "DeleteRolePolicy", "RoleName", "reader", "PolicyName", "read")
	g.want(t, s, "GET", "/bucket/key", "AccessDenied")

	// From another account, both sides must allow.
	other := g.User(t, "other")
	theirs := credentialOf(func() answer {
		g.call(t, other, "", "CreateUser", "UserName", "them")
		return g.call(t, other, "", "CreateAccessKey", "UserName", "them")
	}())
	g.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "reader", "PolicyDocument", trust(accounts.Account(other.Tenant.ID), ""))
	assume(theirs, "AccessDenied")
	g.call(t, other, "", "PutUserPolicy", "UserName", "them", "PolicyName", "assume", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"`+role+`"}}`)
	assume(theirs, "")
	assume(g.cred, "AccessDenied")

	// A principal that was trusted by name is trusted by id, and shown by name
	// while it exists.
	g.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "reader", "PolicyDocument", trust(dev, ""))
	assume(g.cred, "")
	shown := func(want string) {
		t.Helper()
		for _, a := range []answer{g.root(t, "", "GetRole", "RoleName", "reader"), g.root(t, "", "ListRoles")} {
			text, err := url.PathUnescape(a.one("AssumeRolePolicyDocument"))
			if err != nil || !strings.Contains(text, want) {
				t.Errorf("trust is %s, %v; want %s", text, err, want)
			}
		}
	}
	id := g.root(t, "", "GetUser", "UserName", "dev").one("UserId")
	shown(`"` + dev + `"`)
	g.root(t, "", "UpdateUser", "UserName", "dev", "NewUserName", "dev2")
	shown(`"` + dev + `2"`)
	g.root(t, "", "UpdateUser", "UserName", "dev2", "NewUserName", "dev")
	g.root(t, "", "DeleteAccessKey", "UserName", "dev", "AccessKeyId", g.cred.AccessKey)
	g.root(t, "", "DeleteUser", "UserName", "dev")
	g.root(t, "", "CreateUser", "UserName", "dev")
	shown(`"` + id + `"`)
	assume(credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "dev")), "AccessDenied")
	g.root(t, "", "DeleteRole", "RoleName", "reader")
	g.want(t, s, "GET", "/bucket/key", "InvalidToken")
}

// A role can deny sessions that are older than some time, as AWS's console
// does; so can a user.
func TestRevokeOlderSessions(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	g := newRig(t, gatewaytest.Options{Now: func() time.Time { return now }})
	role := g.root(t, "", "CreateRole", "RoleName", "reader", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+accounts.Account(g.tenant.Tenant.ID)+`"},"Action":"sts:AssumeRole"}]}`).one("Arn")
	g.root(t, "", "PutRolePolicy", "RoleName", "reader", "PolicyName", "read", "PolicyDocument", readOnly)
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "read", "PolicyDocument", readOnly)
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "assume", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)
	ofRole := func() accounts.Credential {
		return credentialOf(g.call(t, g.cred, "", "AssumeRole", "RoleArn", role, "RoleSessionName", "me"))
	}
	ofUser := func() accounts.Credential { return credentialOf(g.call(t, g.cred, "", "GetSessionToken")) }
	old := []accounts.Credential{ofRole(), ofUser()}
	for _, s := range old {
		g.want(t, s, "GET", "/bucket/key", "")
	}
	now = now.Add(time.Minute)
	revoke := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"` +
		now.UTC().Format("2006-01-02T15:04:05.000Z") + `"}}}]}`
	g.root(t, "", "PutRolePolicy", "RoleName", "reader", "PolicyName", "AWSRevokeOlderSessions", "PolicyDocument", revoke)
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "AWSRevokeOlderSessions", "PolicyDocument", revoke)
	for _, s := range old {
		g.want(t, s, "GET", "/bucket/key", "AccessDenied")
	}
	g.want(t, g.cred, "GET", "/bucket/key", "") // not a session
	for _, s := range []accounts.Credential{ofRole(), ofUser()} {
		g.want(t, s, "GET", "/bucket/key", "")
	}
}

// summaryKeys are the keys of AWS's answer.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html
var summaryKeys = strings.Fields(`AccessKeysPerUserQuota AccountAccessKeysPresent AccountMFAEnabled AccountSigningCertificatesPresent
	AssumeRolePolicySizeQuota AttachedPoliciesPerGroupQuota AttachedPoliciesPerRoleQuota AttachedPoliciesPerUserQuota GlobalEndpointTokenVersion
	GroupPolicySizeQuota Groups GroupsPerUserQuota GroupsQuota InstanceProfiles InstanceProfilesQuota MFADevices MFADevicesInUse Policies
	PoliciesQuota PolicySizeQuota PolicyVersionsInUse PolicyVersionsInUseQuota Providers RolePolicySizeQuota Roles RolesQuota
	ServerCertificates ServerCertificatesQuota SigningCertificatesPerUserQuota UserPolicySizeQuota Users UsersQuota VersionsPerPolicyQuota`)

func TestAccount(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	g.root(t, "", "CreatePolicy", "PolicyName", "p", "PolicyDocument", readOnly)
	a := g.root(t, "", "GetAccountSummary")
	keys, values := a.all("key"), a.all("value")
	for i, key := range summaryKeys {
		if !slices.Contains(keys, key) {
			t.Errorf("%s is not in the summary", key)
		}
		if slices.Contains(summaryKeys[:i], key) {
			t.Errorf("%s is listed twice", key)
		}
	}
	for i, key := range keys {
		want := map[string]string{"Users": "1", "UsersQuota": "5000", "GroupsQuota": "300", "RolesQuota": "1000",
			"Policies": "1", "PoliciesQuota": "1500", "PolicyVersionsInUse": "1",
			"AccountAccessKeysPresent": "1", "PolicySizeQuota": "6144", "RolePolicySizeQuota": "10240", "AssumeRolePolicySizeQuota": "2048", "MFADevices": "0"}[key]
		if want != "" && values[i] != want {
			t.Errorf("%s is %s, want %s", key, values[i], want)
		}
	}
	if a := g.root(t, "", "ListAccountAliases"); a.one("member") != "tenant" {
		t.Error(a.body)
	}
	if a := g.root(t, "", "ListGroups"); !strings.Contains(a.body, "<Groups></Groups>") {
		t.Errorf("an empty list: %s", a.body)
	}
}

// Secrets in answers never appear in the log.
func TestNoSecretInLog(t *testing.T) {
	var log strings.Builder
	g := newRig(t, gatewaytest.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	key := credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "dev"))
	session := credentialOf(g.call(t, key, "", "GetSessionToken"))
	g.call(t, session, "InvalidClientTokenId", "ListUsers")
	g.want(t, session, "GET", "/bucket/key", "AccessDenied")
	g.Server.Close()
	for _, secret := range []string{key.SecretKey, session.SecretKey, session.Token, session.Token[:40]} {
		if secret == "" || strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if !strings.Contains(log.String(), "iam:CreateAccessKey") {
		t.Error("the action is not in the log")
	}
}

func TestFormLimits(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	for name, c := range map[string]struct{ body, code string }{
		"large":      {"Action=ListUsers&x=" + strings.Repeat("x", iam.MaxBody), "MaxMessageLengthExceeded"},
		"many":       {"Action=ListUsers" + strings.Repeat("&a=b", 512), "ValidationError"},
		"twice":      {"Action=ListUsers&Action=ListUsers", "ValidationError"},
		"bad escape": {"Action=%zz", "ValidationError"},
		"nothing":    {"", "InvalidAction"},
	} {
		r := g.Request(t, http.MethodPost, "/", []byte(c.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := sigv4.Sign(r, g.tenant.AccessKey, g.tenant.SecretKey, g.Region, "iam", sigv4.PayloadHash([]byte(c.body)), time.Now()); err != nil {
			t.Fatal(err)
		}
		resp := g.Send(t, r)
		if a := (answer{resp.Status, string(resp.Body)}); a.one("Code") != c.code {
			t.Errorf("%s: %d %s", name, resp.Status, resp.Body)
		}
	}
}
