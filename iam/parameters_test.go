package iam_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// honoured returns the supported ones of the parameters.
func honoured(action string, parameters ...string) (kept []string) {
	if iam.Honours(action) == nil {
		return parameters
	}
	for i := 0; i+1 < len(parameters); i += 2 {
		if slices.Contains(iam.Honours(action), parameters[i]) {
			kept = append(kept, parameters[i], parameters[i+1])
		}
	}
	return kept
}

const (
	page = " Marker MaxItems"
	tags = " Tags.member.N.Key Tags.member.N.Value"
)

// documented are the parameters that AWS documents for each action. Those after
// a bar are refused, the others supported.
// Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html,
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
var documented = map[string]string{
	"AddClientIDToOpenIDConnectProvider":      "ClientID OpenIDConnectProviderArn",
	"AddUserToGroup":                          "GroupName UserName",
	"AssumeRole":                              "DurationSeconds ExternalId Policy PolicyArns.member.N.arn RoleArn RoleSessionName SourceIdentity TransitiveTagKeys.member.N" + tags + " | ProvidedContexts.member.N.ProviderArn ProvidedContexts.member.N.ContextAssertion SerialNumber TokenCode",
	"AssumeRoleWithWebIdentity":               "DurationSeconds Policy PolicyArns.member.N.arn RoleArn RoleSessionName WebIdentityToken | ProviderId",
	"AttachGroupPolicy":                       "GroupName PolicyArn",
	"AttachRolePolicy":                        "PolicyArn RoleName",
	"AttachUserPolicy":                        "PolicyArn UserName",
	"CreateAccessKey":                         "UserName",
	"CreateGroup":                             "GroupName Path",
	"CreateOpenIDConnectProvider":             "ClientIDList.member.N ThumbprintList.member.N Url" + tags,
	"CreatePolicy":                            "Description Path PolicyDocument PolicyName" + tags,
	"CreatePolicyVersion":                     "PolicyArn PolicyDocument SetAsDefault",
	"CreateRole":                              "AssumeRolePolicyDocument Description MaxSessionDuration Path PermissionsBoundary RoleName" + tags,
	"CreateUser":                              "Path PermissionsBoundary UserName" + tags,
	"DeleteAccessKey":                         "AccessKeyId UserName",
	"DeleteGroup":                             "GroupName",
	"DeleteGroupPolicy":                       "GroupName PolicyName",
	"DeleteOpenIDConnectProvider":             "OpenIDConnectProviderArn",
	"DeletePolicy":                            "PolicyArn",
	"DeletePolicyVersion":                     "PolicyArn VersionId",
	"DeleteRole":                              "RoleName",
	"DeleteRolePermissionsBoundary":           "RoleName",
	"DeleteRolePolicy":                        "PolicyName RoleName",
	"DeleteUser":                              "UserName",
	"DeleteUserPermissionsBoundary":           "UserName",
	"DeleteUserPolicy":                        "PolicyName UserName",
	"DetachGroupPolicy":                       "GroupName PolicyArn",
	"DetachRolePolicy":                        "PolicyArn RoleName",
	"DetachUserPolicy":                        "PolicyArn UserName",
	"GetAccessKeyLastUsed":                    "AccessKeyId",
	"GetAccountSummary":                       "",
	"GetCallerIdentity":                       "",
	"GetGroup":                                "GroupName" + page,
	"GetGroupPolicy":                          "GroupName PolicyName",
	"GetOpenIDConnectProvider":                "OpenIDConnectProviderArn",
	"GetPolicy":                               "PolicyArn",
	"GetPolicyVersion":                        "PolicyArn VersionId",
	"GetRole":                                 "RoleName",
	"GetRolePolicy":                           "PolicyName RoleName",
	"GetSessionToken":                         "DurationSeconds | SerialNumber TokenCode",
	"GetUser":                                 "UserName",
	"GetUserPolicy":                           "PolicyName UserName",
	"ListAccessKeys":                          "UserName" + page,
	"ListAccountAliases":                      page,
	"ListAttachedGroupPolicies":               "GroupName PathPrefix" + page,
	"ListAttachedRolePolicies":                "PathPrefix RoleName" + page,
	"ListAttachedUserPolicies":                "PathPrefix UserName" + page,
	"ListEntitiesForPolicy":                   "EntityFilter PathPrefix PolicyArn PolicyUsageFilter" + page,
	"ListGroupPolicies":                       "GroupName" + page,
	"ListGroups":                              "PathPrefix" + page,
	"ListGroupsForUser":                       "UserName" + page,
	"ListOpenIDConnectProviders":              "",
	"ListPolicies":                            "OnlyAttached PathPrefix PolicyUsageFilter Scope" + page,
	"ListPolicyTags":                          "PolicyArn" + page,
	"ListPolicyVersions":                      "PolicyArn" + page,
	"ListRolePolicies":                        "RoleName" + page,
	"ListRoleTags":                            "RoleName" + page,
	"ListRoles":                               "PathPrefix" + page,
	"ListUserPolicies":                        "UserName" + page,
	"ListUserTags":                            "UserName" + page,
	"ListUsers":                               "PathPrefix" + page,
	"PutGroupPolicy":                          "GroupName PolicyDocument PolicyName",
	"PutRolePermissionsBoundary":              "PermissionsBoundary RoleName",
	"PutRolePolicy":                           "PolicyDocument PolicyName RoleName",
	"PutUserPermissionsBoundary":              "PermissionsBoundary UserName",
	"PutUserPolicy":                           "PolicyDocument PolicyName UserName",
	"RemoveClientIDFromOpenIDConnectProvider": "ClientID OpenIDConnectProviderArn",
	"RemoveUserFromGroup":                     "GroupName UserName",
	"SetDefaultPolicyVersion":                 "PolicyArn VersionId",
	"TagPolicy":                               "PolicyArn" + tags,
	"TagRole":                                 "RoleName" + tags,
	"TagUser":                                 "UserName" + tags,
	"UntagPolicy":                             "PolicyArn TagKeys.member.N",
	"UntagRole":                               "RoleName TagKeys.member.N",
	"UntagUser":                               "TagKeys.member.N UserName",
	"UpdateAccessKey":                         "AccessKeyId Status UserName",
	"UpdateAssumeRolePolicy":                  "PolicyDocument RoleName",
	"UpdateGroup":                             "GroupName NewGroupName NewPath",
	"UpdateRole":                              "Description MaxSessionDuration RoleName",
	"UpdateUser":                              "NewPath NewUserName UserName",
	"UpdateRoleDescription":                   "Description RoleName",
	"UpdateOpenIDConnectProviderThumbprint":   "OpenIDConnectProviderArn ThumbprintList.member.N",
	"TagOpenIDConnectProvider":                "OpenIDConnectProviderArn" + tags,
	"UntagOpenIDConnectProvider":              "OpenIDConnectProviderArn TagKeys.member.N",
	"ListOpenIDConnectProviderTags":           "OpenIDConnectProviderArn" + page,
}

// Every parameter that AWS documents is supported, or refused by its name
// before anything is done. Undocumented ones and lists with gaps are refused
// too.
func TestParametersAreHonouredOrRefused(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	refused := func(action, name string) {
		t.Helper()
		name = strings.Replace(name, ".N", ".1", 1)
		if a := g.root(t, "ValidationError", action, name, "x"); !strings.Contains(a.one("Message"), name) {
			t.Errorf("%s with %s: %s", action, name, a.body)
		}
	}
	does := iam.Actions()
	for _, nothing := range absent {
		for name := range strings.FieldsSeq(nothing.names) {
			delete(does, name)
		}
	}
	for action := range does {
		text, ok := documented[action]
		if !ok {
			t.Errorf("a documented parameter of %s is not in the table", action)
			continue
		}
		kept, not, _ := strings.Cut(text, "|")
		has := slices.DeleteFunc(slices.Clone(iam.Honours(action)), func(p string) bool { return p == "Action" || p == "Version" })
		want := strings.Fields(kept)
		slices.Sort(has)
		if slices.Sort(want); !slices.Equal(has, want) {
			t.Errorf("%s honours %v; the table has %v", action, has, want)
		}
		for _, name := range append(strings.Fields(not), "Whatever", "userName", "Tags.member.1.Colour") {
			refused(action, name)
		}
		for _, name := range has {
			list, rest, found := strings.Cut(name, ".N")
			if !found {
				refused(action, name+".member.1")
				continue
			}
			for _, n := range []string{"0", "01", "+1", "-1", "1e0", "513", "99999999999999999999"} {
				refused(action, list+"."+n+rest)
			}
			if a := g.root(t, "ValidationError", action, list+".2"+rest, "x"); !strings.Contains(a.one("Message"), "no entry 1") {
				t.Errorf("%s without the first of %s: %s", action, name, a.body)
			}
		}
	}
}

// Lists are split into pages without gaps and repetitions, and filters select
// what they say.
func TestListsAreFiltered(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := strings.Split(g.root(t, "", "GetUser").one("Arn"), ":")[4]
	arn := func(n int) string {
		return fmt.Sprintf("arn:aws:iam::%s:policy%sp%d", account, []string{"/", "/a/", "/b/"}[n], n)
	}
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}}`
	for n, path := range []string{"/", "/a/", "/b/"} {
		g.root(t, "", "CreatePolicy", "PolicyName", fmt.Sprint("p", n), "Path", path, "PolicyDocument", readOnly)
		g.root(t, "", "CreateUser", "UserName", fmt.Sprint("u", n), "Path", path)
		g.root(t, "", "CreateGroup", "GroupName", fmt.Sprint("g", n), "Path", path)
		g.root(t, "", "CreateRole", "RoleName", fmt.Sprint("r", n), "Path", path, "AssumeRolePolicyDocument", trust)
		g.root(t, "", "CreatePolicyVersion", "PolicyArn", arn(0), "PolicyDocument", readOnly)
	}
	for kind, name := range map[string]string{"User": "u0", "Group": "g0", "Role": "r0"} {
		for n := range 3 {
			g.root(t, "", "Attach"+kind+"Policy", kind+"Name", name, "PolicyArn", arn(n))
			g.root(t, "", "Put"+kind+"Policy", kind+"Name", name, "PolicyName", fmt.Sprint("i", n), "PolicyDocument",
				strings.Replace(readOnly, "s3:GetObject", "s3:Get*", 1))
		}
	}
	for n := range 3 {
		for kind, named := range map[string][2]string{"User": {"UserName", "u0"}, "Role": {"RoleName", "r0"}, "Policy": {"PolicyArn", arn(0)}} {
			g.root(t, "", "Tag"+kind, named[0], named[1], "Tags.member.1.Key", fmt.Sprint("t", n), "Tags.member.1.Value", "v")
		}
		g.root(t, "", "AddUserToGroup", "GroupName", fmt.Sprint("g", n), "UserName", "u0")
		g.root(t, "", "AddUserToGroup", "GroupName", "g0", "UserName", fmt.Sprint("u", n))
	}
	g.root(t, "", "CreateAccessKey", "UserName", "u0")
	g.root(t, "", "CreateAccessKey", "UserName", "u0")
	g.root(t, "", "PutUserPermissionsBoundary", "UserName", "u1", "PermissionsBoundary", arn(1))
	g.root(t, "", "CreatePolicy", "PolicyName", "only-boundary", "PolicyDocument", readOnly)
	g.root(t, "", "PutRolePermissionsBoundary", "RoleName", "r1", "PermissionsBoundary", "arn:aws:iam::"+account+":policy/only-boundary")

	provider := g.root(t, "", "CreateOpenIDConnectProvider", "Url", "https://idp.test").one("OpenIDConnectProviderArn")
	for n := range 3 {
		g.root(t, "", "TagOpenIDConnectProvider", "OpenIDConnectProviderArn", provider, "Tags.member.1.Key", fmt.Sprint("t", n), "Tags.member.1.Value", "v")
	}
	p0 := arn(0)
	var names []string
	for _, m := range managedNames {
		names = append(names, m.name)
	}
	managed := strings.Join(names, " ")
	listings := []struct {
		action, parameters, element string
		want                        string // "": three or more
	}{
		{"ListUsers", "", "UserName", "dev u0 u1 u2"},
		{"ListUsers", "PathPrefix=/a/", "UserName", "u1"},
		{"ListGroups", "", "GroupName", "g0 g1 g2"},
		{"ListGroups", "PathPrefix=/b", "GroupName", "g2"},
		{"ListRoles", "", "RoleName", "r0 r1 r2"},
		{"ListRoles", "PathPrefix=/a/", "RoleName", "r1"},
		{"ListPolicies", "", "PolicyName", managed + " only-boundary p0 p1 p2"},
		{"ListPolicies", "PathPrefix=/b/", "PolicyName", "p2"},
		{"ListPolicies", "OnlyAttached=true", "PolicyName", "p0 p1 p2"},
		{"ListPolicies", "OnlyAttached=false Scope=Local", "PolicyName", "only-boundary p0 p1 p2"},
		{"ListPolicies", "Scope=AWS", "PolicyName", managed},
		{"ListPolicies", "PolicyUsageFilter=PermissionsBoundary", "PolicyName", "only-boundary p1"},
		{"ListPolicies", "PolicyUsageFilter=PermissionsPolicy", "PolicyName", managed + " p0 p1 p2"},
		{"ListPolicyVersions", "PolicyArn=" + p0, "VersionId", "v4 v3 v2 v1"},
		{"ListPolicyTags", "PolicyArn=" + p0, "Key", "t0 t1 t2"},
		{"ListUserTags", "UserName=u0", "Key", "t0 t1 t2"},
		{"ListRoleTags", "RoleName=r0", "Key", "t0 t1 t2"},
		{"ListOpenIDConnectProviderTags", "OpenIDConnectProviderArn=" + provider, "Key", "t0 t1 t2"},
		{"ListAttachedUserPolicies", "UserName=u0", "PolicyName", "p0 p1 p2"},
		{"ListAttachedUserPolicies", "UserName=u0 PathPrefix=/a/", "PolicyName", "p1"},
		{"ListAttachedGroupPolicies", "GroupName=g0 PathPrefix=/b/", "PolicyName", "p2"},
		{"ListAttachedRolePolicies", "RoleName=r0", "PolicyName", "p0 p1 p2"},
		{"ListUserPolicies", "UserName=u0", "member", "i0 i1 i2"},
		{"ListGroupPolicies", "GroupName=g0", "member", "i0 i1 i2"},
		{"ListRolePolicies", "RoleName=r0", "member", "i0 i1 i2"},
		{"ListGroupsForUser", "UserName=u0", "GroupName", "g0 g1 g2"},
		{"GetGroup", "GroupName=g0", "UserName", "u0 u1 u2"},
		{"ListAccessKeys", "UserName=u0", "AccessKeyId", ""},
		{"ListAccountAliases", "", "member", ""},
		{"ListEntitiesForPolicy", "PolicyArn=" + p0, "UserName GroupName RoleName", "g0 r0 u0"},
		{"ListEntitiesForPolicy", "PolicyArn=" + p0 + " EntityFilter=Group", "UserName GroupName RoleName", "g0"},
		{"ListEntitiesForPolicy", "PolicyArn=" + p0 + " EntityFilter=LocalManagedPolicy", "UserName GroupName RoleName", "-"},
		{"ListEntitiesForPolicy", "PolicyArn=" + p0 + " PathPrefix=/a/", "UserName GroupName RoleName", "-"},
		{"ListEntitiesForPolicy", "PolicyArn=" + arn(1) + " PolicyUsageFilter=PermissionsBoundary", "UserName GroupName RoleName", "u1"},
		{"ListEntitiesForPolicy", "PolicyArn=" + arn(1) + " PolicyUsageFilter=PermissionsPolicy", "UserName GroupName RoleName", "g0 r0 u0"},
	}
	paged := make(map[string]bool)
	for _, l := range listings {
		var parameters []string
		for p := range strings.FieldsSeq(l.parameters) {
			name, value, _ := strings.Cut(p, "=")
			parameters = append(parameters, name, value)
		}
		texts := func(a answer) (all []string) {
			for element := range strings.FieldsSeq(l.element) {
				all = append(all, a.all(element)...)
			}
			if l.action == "GetGroup" {
				all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
			}
			return all
		}
		whole := texts(g.root(t, "", l.action, parameters...))
		if slices.Sort(whole); strings.HasPrefix(l.want, "v") {
			slices.Reverse(whole)
		}
		if got := strings.Join(whole, " "); l.want != "" && got != strings.TrimPrefix(l.want, "-") {
			t.Errorf("%s %s: %s", l.action, l.parameters, got)
		}
		var pages []string
		marker := []string{"MaxItems", "1"}
		for range len(whole) + 1 {
			a := g.root(t, "", l.action, append(marker, parameters...)...)
			found := texts(a)
			if len(found) > 1 {
				t.Errorf("%s %s: a page of 1 has %v", l.action, l.parameters, found)
			}
			pages = append(pages, found...)
			if a.one("IsTruncated") != "true" {
				break
			}
			marker = []string{"MaxItems", "1", "Marker", a.one("Marker")}
		}
		if slices.Sort(pages); strings.HasPrefix(l.want, "v") {
			slices.Reverse(pages)
		}
		if !slices.Equal(pages, whole) {
			t.Errorf("%s %s: pages have %v, not %v", l.action, l.parameters, pages, whole)
		}
		paged[l.action] = true
	}
	for _, action := range slices.Sorted(maps.Keys(iam.Actions())) {
		if slices.Contains(iam.Honours(action), "MaxItems") && !paged[action] {
			t.Errorf("%s is not tried", action)
		}
	}
	for _, bad := range [][3]string{{"ListPolicies", "Scope", "local"}, {"ListPolicies", "OnlyAttached", "True"},
		{"ListPolicies", "PolicyUsageFilter", "x"}, {"ListEntitiesForPolicy", "EntityFilter", "user"}, {"ListEntitiesForPolicy", "PolicyUsageFilter", "x"}} {
		g.root(t, "ValidationError", bad[0], honoured(bad[0], "PolicyArn", p0, bad[1], bad[2])...)
	}
	g.root(t, "ValidationError", "CreatePolicyVersion", "PolicyArn", p0, "PolicyDocument", readOnly, "SetAsDefault", "yes")
}
