package iam_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// managedNames are the policies of AWS that every account has, each with its
// effect for a user who has it alone: to read and to write an object, to list
// users, to create a user, and actions of the operator.
var managedNames = []struct {
	name                        string
	read, write, users, newUser bool
}{
	{"AdministratorAccess", true, true, true, true},
	{"AmazonS3FullAccess", true, true, false, false},
	{"AmazonS3ReadOnlyAccess", true, false, false, false},
	{"IAMFullAccess", false, false, true, true},
	{"IAMReadOnlyAccess", false, false, true, false},
	{"IAMUserChangePassword", false, false, false, false},
	{"PowerUserAccess", true, true, false, false},
	{"ReadOnlyAccess", true, false, true, false},
}

func TestManagedByAWS(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "CreateGroup", "GroupName", "dev")
	g.root(t, "", "CreateRole", "RoleName", "dev", "AssumeRolePolicyDocument", trusting(aws(account)))
	g.root(t, "", "AddUserToGroup", "GroupName", "dev", "UserName", "dev")
	code := func(ok bool) string {
		if ok {
			return ""
		}
		return "AccessDenied"
	}
	made := 0
	for _, m := range managedNames {
		arn := "arn:aws:iam::aws:policy/" + m.name
		a := g.root(t, "", "GetPolicy", "PolicyArn", arn)
		if a.one("Arn") != arn || a.one("PolicyName") != m.name || a.one("DefaultVersionId") != "v1" ||
			a.one("AttachmentCount") != "0" || a.one("IsAttachable") != "true" || a.one("Description") == "" {
			t.Errorf("%s: %s", m.name, a.body)
		}
		text, err := url.PathUnescape(g.root(t, "", "GetPolicyVersion", "PolicyArn", arn, "VersionId", "v1").one("Document"))
		if err == nil {
			_, err = access.ParseIdentityPolicy("", []byte(text))
		}
		if err != nil {
			t.Errorf("%s: %s: %v", m.name, text, err)
		}
		for _, kind := range []string{"User", "Group"} {
			g.root(t, "", "Attach"+kind+"Policy", kind+"Name", "dev", "PolicyArn", arn)
			g.want(t, g.cred, "GET", "/bucket/key", code(m.read))
			g.want(t, g.cred, "PUT", "/bucket/key", code(m.write))
			g.call(t, g.cred, code(m.users), "ListUsers")
			made++
			g.call(t, g.cred, code(m.newUser), "CreateUser", "UserName", fmt.Sprint("made", made))
			if a := g.root(t, "", "ListAttached"+kind+"Policies", kind+"Name", "dev"); a.one("PolicyArn") != arn || a.one("PolicyName") != m.name {
				t.Errorf("%s: %s", m.name, a.body)
			}
			if a := g.root(t, "", "ListEntitiesForPolicy", "PolicyArn", arn); a.one(kind+"Name") != "dev" {
				t.Errorf("%s: %s", m.name, a.body)
			}
			if a := g.root(t, "", "ListPolicies", "OnlyAttached", "true"); a.one("Arn") != arn || a.one("AttachmentCount") != "1" {
				t.Errorf("%s: %s", m.name, a.body)
			}
			g.root(t, "", "Detach"+kind+"Policy", kind+"Name", "dev", "PolicyArn", arn)
			g.root(t, "NoSuchEntity", "Detach"+kind+"Policy", kind+"Name", "dev", "PolicyArn", arn)
			g.want(t, g.cred, "GET", "/bucket/key", "AccessDenied")
		}
		// As a boundary or a session policy it gives nothing more.
		g.root(t, "", "AttachRolePolicy", "RoleName", "dev", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
		g.root(t, "", "PutUserPermissionsBoundary", "UserName", "dev", "PermissionsBoundary", arn)
		g.root(t, "", "AttachUserPolicy", "UserName", "dev", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
		if a := g.root(t, "", "GetUser", "UserName", "dev"); a.one("PermissionsBoundaryArn") != arn {
			t.Errorf("%s: %s", m.name, a.body)
		}
		g.want(t, g.cred, "PUT", "/bucket/key", code(m.write))
		g.root(t, "", "DeleteUserPermissionsBoundary", "UserName", "dev")
		session := credentialOf(g.call(t, g.cred, "", "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/dev",
			"RoleSessionName", "me", "PolicyArns.member.1.arn", arn))
		g.want(t, session, "GET", "/bucket/key", code(m.read))
		g.want(t, session, "PUT", "/bucket/key", code(m.write))
		g.root(t, "", "DetachUserPolicy", "UserName", "dev", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
		g.root(t, "", "DetachRolePolicy", "RoleName", "dev", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
		// Nobody can change it.
		for _, who := range []accounts.Credential{g.tenant, g.Root} {
			for _, action := range []string{"DeletePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion", "TagPolicy", "UntagPolicy"} {
				parameters := honoured(action, "PolicyArn", arn, "VersionId", "v1", "PolicyDocument", readOnly)
				switch action {
				case "TagPolicy":
					parameters = append(parameters, "Tags.member.1.Key", "a", "Tags.member.1.Value", "b")
				case "UntagPolicy":
					parameters = append(parameters, "TagKeys.member.1", "a")
				}
				g.call(t, who, "AccessDenied", action, parameters...)
			}
			g.call(t, who, "", "ListPolicyTags", "PolicyArn", arn)
		}
	}
	for _, arn := range []string{"arn:aws:iam::aws:policy/None", "arn:aws:iam::aws:policy/",
		"arn:aws:iam::aws:policy/job-function/AdministratorAccess", "arn:aws:iam::aws:policy/administratoraccess",
		"arn:aws:iam::" + account + ":policy/AdministratorAccess"} {
		for _, action := range []string{"GetPolicy", "AttachUserPolicy", "PutUserPermissionsBoundary", "ListEntitiesForPolicy"} {
			g.root(t, "NoSuchEntity", action, honoured(action, "UserName", "dev", "PolicyArn", arn, "PermissionsBoundary", arn)...)
		}
	}
}

// Policies are listed by scope and page by page, in every list that has them.
func TestPolicyLists(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	var all, managed []string
	for _, m := range managedNames {
		managed = append(managed, "arn:aws:iam::aws:policy/"+m.name)
	}
	own := []string{}
	for _, name := range []string{"/a/one", "/a/two", "/AmazonS3FullAccess"} {
		i := strings.LastIndexByte(name, '/')
		own = append(own, g.root(t, "", "CreatePolicy", "PolicyName", name[i+1:], "Path", name[:i+1], "PolicyDocument", readOnly, "Description", "d").one("Arn"))
	}
	slices.Sort(own)
	all = append(slices.Clone(managed), own...)
	for _, arn := range []string{managed[1], own[0], own[1], own[2]} {
		g.root(t, "", "AttachUserPolicy", "UserName", "dev", "PolicyArn", arn)
	}
	for _, name := range []string{"z", "b", "a"} {
		g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", name, "PolicyDocument", readOnly)
		g.root(t, "", "CreatePolicyVersion", "PolicyArn", own[0], "PolicyDocument", readOnly)
		g.root(t, "", "TagUser", "UserName", "dev", "Tags.member.1.Key", name, "Tags.member.1.Value", "v")
		g.root(t, "", "CreateUser", "UserName", name, "Path", "/p/")
		g.root(t, "", "AttachUserPolicy", "UserName", name, "PolicyArn", own[0])
	}
	for _, c := range []struct {
		action, element string
		want            []string
		parameters      []string
	}{
		{"ListPolicies", "Arn", all, nil},
		{"ListPolicies", "Arn", all, []string{"Scope", "All"}},
		{"ListPolicies", "Arn", managed, []string{"Scope", "AWS"}},
		{"ListPolicies", "Arn", own, []string{"Scope", "Local"}},
		{"ListPolicies", "Arn", own[1:], []string{"PathPrefix", "/a/"}},
		{"ListPolicies", "Arn", []string{managed[1], own[0], own[1], own[2]}, []string{"OnlyAttached", "true"}},
		{"ListPolicies", "Arn", nil, []string{"PolicyUsageFilter", "PermissionsBoundary"}},
		{"ListAttachedUserPolicies", "PolicyArn", []string{own[0], managed[1], own[1], own[2]}, []string{"UserName", "dev"}},
		{"ListAttachedUserPolicies", "PolicyArn", own[1:], []string{"UserName", "dev", "PathPrefix", "/a"}},
		{"ListUserPolicies", "member", []string{"a", "b", "z"}, []string{"UserName", "dev"}},
		{"ListUserTags", "Key", []string{"a", "b", "z"}, []string{"UserName", "dev"}},
		{"ListPolicyVersions", "VersionId", []string{"v4", "v3", "v2", "v1"}, []string{"PolicyArn", own[0]}},
		{"ListEntitiesForPolicy", "UserName", []string{"a", "b", "dev", "z"}, []string{"PolicyArn", own[0]}},
		{"ListEntitiesForPolicy", "UserName", []string{"a", "b", "z"}, []string{"PolicyArn", own[0], "PathPrefix", "/p/"}},
		{"ListEntitiesForPolicy", "UserName", nil, []string{"PolicyArn", own[0], "EntityFilter", "Group"}},
		{"ListEntitiesForPolicy", "UserName", nil, []string{"PolicyArn", own[0], "PolicyUsageFilter", "PermissionsBoundary"}},
		{"ListUsers", "UserName", []string{"a", "b", "z"}, []string{"PathPrefix", "/p/"}},
	} {
		for _, size := range []string{"", "1", "2", "3", "8", "1000"} {
			var got []string
			for marker, pages := "", 0; pages < 20; pages++ {
				p := slices.Clone(c.parameters)
				if size != "" {
					p = append(p, "MaxItems", size)
				}
				if marker != "" {
					p = append(p, "Marker", marker)
				}
				a := g.root(t, "", c.action, p...)
				got = append(got, a.all(c.element)...)
				if strings.Contains(a.body, "<Description>") {
					t.Errorf("%s shows descriptions", c.action)
				}
				if marker = a.one("Marker"); (marker == "") != (a.one("IsTruncated") == "false") {
					t.Fatal(a.body)
				} else if marker == "" {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s %q by %q: %q, want %q", c.action, c.parameters, size, got, c.want)
			}
		}
		for _, bad := range [][]string{{"MaxItems", "1001"}, {"Marker", "!"}} {
			g.root(t, "ValidationError", c.action, append(slices.Clone(c.parameters), bad...)...)
		}
	}
	for _, bad := range [][]string{{"Scope", "aws"}, {"PathPrefix", "a"}, {"PathPrefix", "/ä"}, {"PolicyUsageFilter", "x"},
		{"PathPrefix", "/" + strings.Repeat("a", 512)}} {
		g.root(t, "ValidationError", "ListPolicies", bad...)
	}
	g.root(t, "ValidationError", "ListEntitiesForPolicy", "PolicyArn", own[0], "EntityFilter", "user")
	for _, action := range []string{"ListUsers", "ListGroups", "ListRoles"} {
		g.root(t, "ValidationError", action, "PathPrefix", "eng/")
	}
}
