package iam_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// absent are the actions about things that nobody has here: those that list
// them, with the element of the list, and those about one, which is reported as
// absent.
var absent = []struct {
	of    string // User, Role, or empty: the account
	list  string
	names string
}{
	{"User", "MFADevices", "ListMFADevices"}, {"User", "SSHPublicKeys", "ListSSHPublicKeys"}, {"User", "Certificates", "ListSigningCertificates"},
	{"User", "ServiceSpecificCredentials", "ListServiceSpecificCredentials"}, {"Role", "InstanceProfiles", "ListInstanceProfilesForRole"},
	{"", "InstanceProfiles", "ListInstanceProfiles"}, {"", "VirtualMFADevices", "ListVirtualMFADevices"},
	{"", "ServerCertificateMetadataList", "ListServerCertificates"}, {"", "SAMLProviderList", "ListSAMLProviders"},
	{"User", "", `GetLoginProfile UpdateLoginProfile DeleteLoginProfile GetMFADevice DeactivateMFADevice GetSSHPublicKey DeleteSSHPublicKey
		DeleteSigningCertificate DeleteServiceSpecificCredential`},
	{"", "", `GetInstanceProfile DeleteInstanceProfile RemoveRoleFromInstanceProfile ListInstanceProfileTags DeleteVirtualMFADevice GetServerCertificate
		DeleteServerCertificate GetSAMLProvider DeleteSAMLProvider GetAccountPasswordPolicy DeleteAccountPasswordPolicy`},
}

// Terraform and AWS's own tools ask for all of them before they delete a user
// or a role.
func TestAbsent(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "CreateRole", "RoleName", "dev", "AssumeRolePolicyDocument", trusting(aws(account)))
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "own", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::*:user/${aws:username}"}}`)
	known := iam.Actions()
	for _, a := range absent {
		for _, name := range strings.Fields(a.names) {
			if !known[name] {
				t.Errorf("unknown action %s", name)
				continue
			}
			code, want := "NoSuchEntity", ""
			if a.list != "" {
				code, want = "", "<"+name+"Result><"+a.list+"></"+a.list+"><IsTruncated>false</IsTruncated></"+name+"Result>"
			}
			says := func(by accounts.Credential, parameters ...string) {
				t.Helper()
				if got := g.call(t, by, code, name, parameters...); !strings.Contains(got.body, want) {
					t.Errorf("%s: %s, want %s", name, got.body, want)
				}
			}
			switch a.of {
			case "":
				says(g.tenant)
				g.call(t, g.cred, "AccessDenied", name)
			case "Role":
				says(g.tenant, "RoleName", "dev")
				g.root(t, "NoSuchEntity", name, "RoleName", "nobody")
				g.root(t, "ValidationError", name)
			case "User":
				says(g.tenant, "UserName", "dev")
				says(g.tenant)
				says(g.cred)
				says(g.cred, "UserName", "dev")
				g.root(t, "NoSuchEntity", name, "UserName", "nobody")
				g.call(t, g.cred, "AccessDenied", name, "UserName", "nobody")
			}
			if a.list != "" {
				g.root(t, "ValidationError", name, a.of+"Name", "dev", "MaxItems", "0")
			}
		}
	}
}

// A trust policy is shown as it was given, letter for letter, except that its
// principals are ARNs.
func TestTrustAsGiven(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	dev := "arn:aws:iam::" + account + ":user/dev"
	given := func(first, all string) string {
		return "{\n  \"Version\" : \"2012-10-17\",\"Statement\":[ {\"Sid\":\"One\",\"Principal\": {\"AWS\":[\"" + first + "\", \"" + all + "\"]},\n" +
			`"Effect":"Allow","Action":[ "sts:AssumeRole" ],"Condition":{"StringEquals":{"sts:ExternalId":"` + account + `","aws:PrincipalArn":["` + dev + `"]}}} ],"Id":"principal ` + account + `"}`
	}
	want := given(dev, "arn:aws:iam::"+account+":root")
	g.root(t, "", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", given(dev, account))
	for _, a := range []answer{g.root(t, "", "GetRole", "RoleName", "r"), g.root(t, "", "ListRoles")} {
		if got, err := url.PathUnescape(a.one("AssumeRolePolicyDocument")); err != nil || got != want {
			t.Errorf("trust is\n%s, want\n%s", got, want)
		}
	}
	g.root(t, "", "UpdateAssumeRolePolicy", "RoleName", "r", "PolicyDocument", want)
	if got, _ := url.PathUnescape(g.root(t, "", "GetRole", "RoleName", "r").one("AssumeRolePolicyDocument")); got != want {
		t.Errorf("put again, trust is\n%s, want\n%s", got, want)
	}
	if a := g.root(t, "", "UpdateRoleDescription", "RoleName", "r", "Description", "of tests"); a.one("Description") != "of tests" {
		t.Error(a.body)
	}
	g.call(t, g.cred, "", "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/r", "RoleSessionName", "me", "ExternalId", account)
}

// Tags and thumbprints of a provider.
func TestProviderTags(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	arn := g.root(t, "", "CreateOpenIDConnectProvider", "Url", "https://issuer.example.com", "ClientIDList.member.1", "app",
		"Tags.member.1.Key", "a", "Tags.member.1.Value", "b").one("OpenIDConnectProviderArn")
	g.root(t, "", "TagOpenIDConnectProvider", "OpenIDConnectProviderArn", arn, "Tags.member.1.Key", "c", "Tags.member.1.Value", "d")
	g.root(t, "", "UntagOpenIDConnectProvider", "OpenIDConnectProviderArn", arn, "TagKeys.member.1", "a")
	g.root(t, "", "UpdateOpenIDConnectProviderThumbprint", "OpenIDConnectProviderArn", arn, "ThumbprintList.member.1", strings.Repeat("0", 40))
	if a := g.root(t, "", "ListOpenIDConnectProviderTags", "OpenIDConnectProviderArn", arn); a.one("Key") != "c" {
		t.Error(a.body)
	}
	if a := g.root(t, "", "GetOpenIDConnectProvider", "OpenIDConnectProviderArn", arn); a.one("Value") != "d" ||
		!strings.Contains(a.body, "<member>"+strings.Repeat("0", 40)) {
		t.Error(a.body)
	}
	for _, key := range []string{"", "a<b", "a\x00", strings.Repeat("ü", 129)} {
		g.root(t, "ValidationError", "TagOpenIDConnectProvider", "OpenIDConnectProviderArn", arn, "Tags.member.1.Key", key, "Tags.member.1.Value", "d")
	}
	g.root(t, "", "TagOpenIDConnectProvider", "OpenIDConnectProviderArn", arn, "Tags.member.1.Key", strings.Repeat("ü", 128),
		"Tags.member.1.Value", "1 + 2=3 @_.:/-")
}
