package iam_test

import (
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// Tags of users, roles and requests are condition keys in every script,
// regardless of the case in policy and tag.
func TestTagsInConditions(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	for i, tag := range []struct{ policy, key string }{
		{"Team", "team"}, {"κλάδος", "ΚΛΆΔΟΣ"}, {"sınıf", "sınıf"}, {"Straße", "straße"}, {"ſ", "ſ"},
	} {
		user := fmt.Sprint("admin", i)
		g.root(t, "", "CreateUser", "UserName", user, "Tags.member.1.Key", tag.key, "Tags.member.1.Value", "red")
		admin := credentialOf(g.root(t, "", "CreateAccessKey", "UserName", user))
		limit := func(key string) {
			g.root(t, "", "PutUserPolicy", "UserName", user, "PolicyName", "p", "PolicyDocument",
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","sts:*"],"Resource":"*"},
				{"Effect":"Deny","Action":["iam:*","sts:*"],"Resource":"*","Condition":{"StringEquals":{"`+key+`":"red"}}}]}`)
		}
		limit("aws:PrincipalTag/" + tag.policy)
		g.call(t, admin, "AccessDenied", "ListUsers")

		limit("aws:RequestTag/" + tag.policy)
		target := fmt.Sprint("target", i)
		tags := []string{"Tags.member.1.Key", tag.key, "Tags.member.1.Value", "red"}
		g.call(t, admin, "AccessDenied", "CreateUser", append(tags, "UserName", target)...)
		g.root(t, "", "CreateUser", "UserName", target)
		g.call(t, admin, "AccessDenied", "TagUser", append(tags, "UserName", target)...)
		role := fmt.Sprint("role", i)
		g.root(t, "", "CreateRole", "RoleName", role, "AssumeRolePolicyDocument",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":["sts:AssumeRole","sts:TagSession"]}}`)
		arn := "arn:aws:iam::" + account + ":role/" + role
		g.call(t, admin, "", "AssumeRole", "RoleArn", arn, "RoleSessionName", "some")
		g.call(t, admin, "AccessDenied", "AssumeRole", append(tags, "RoleArn", arn, "RoleSessionName", "some")...)

		// So is the list of their keys, for who may set or remove them, where a
		// variable is the key too.
		for _, c := range []struct{ operator, keys string }{
			{"StringEquals", tag.policy}, {"StringLike", tag.policy},
			{"StringEquals", "${aws:PrincipalTag/none, '" + tag.policy + "'}"}, {"StringLike", "${aws:PrincipalTag/key}*"},
		} {
			g.root(t, "", "TagUser", "UserName", user, "Tags.member.1.Key", "key", "Tags.member.1.Value", tag.policy)
			g.root(t, "", "PutUserPolicy", "UserName", user, "PolicyName", "p", "PolicyDocument",
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","sts:*"],"Resource":"*"},
				{"Effect":"Deny","Action":["iam:*","sts:*"],"Resource":"*","Condition":{"ForAnyValue:`+c.operator+`":{"aws:TagKeys":"`+c.keys+`"}}}]}`)
			g.call(t, admin, "AccessDenied", "CreateUser", append(tags, "UserName", target+"2")...)
			g.call(t, admin, "AccessDenied", "TagUser", append(tags, "UserName", target)...)
			g.call(t, admin, "AccessDenied", "UntagUser", "UserName", target, "TagKeys.member.1", "other", "TagKeys.member.2", tag.key)
			g.call(t, admin, "AccessDenied", "AssumeRole", append(tags, "RoleArn", arn, "RoleSessionName", "some")...)
			g.call(t, admin, "", "TagUser", "UserName", target, "Tags.member.1.Key", "other", "Tags.member.1.Value", "red")
			g.call(t, admin, "", "UntagUser", "UserName", target, "TagKeys.member.1", "other")
		}

		for _, family := range []string{"aws:ResourceTag/", "iam:ResourceTag/"} {
			limit(family + tag.policy)
			g.call(t, admin, "", "GetUser", "UserName", target)
			g.root(t, "", "TagUser", append(tags, "UserName", target)...)
			g.root(t, "", "TagRole", append(tags, "RoleName", role)...)
			g.call(t, admin, "AccessDenied", "GetUser", "UserName", target)
			g.call(t, admin, "AccessDenied", "CreateAccessKey", "UserName", target)
			g.call(t, admin, "AccessDenied", "AssumeRole", "RoleArn", arn, "RoleSessionName", "some")
			g.root(t, "", "UntagUser", "UserName", target, "TagKeys.member.1", tag.policy)
			g.root(t, "", "UntagRole", "RoleName", role, "TagKeys.member.1", tag.policy)
		}
		g.root(t, "InvalidInput", "TagUser", append(tags, "UserName", target, "Tags.member.2.Key", tag.policy, "Tags.member.2.Value", "blue",
			"Tags.member.3.Key", tag.policy, "Tags.member.3.Value", "green")...)
	}
}

// The region of IAM is us-east-1 and that of STS the gateway's, whatever region a
// request is signed for.
func TestRegionInConditions(t *testing.T) {
	g := newRig(t, gatewaytest.Options{Region: "eu-central-1"})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "CreateRole", "RoleName", "role", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole"}}`)
	for region, denied := range map[string]string{"us-east-1": "ListUsers", "eu-central-1": "AssumeRole", "eu-west-1": ""} {
		g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","sts:*"],"Resource":"*"},
			{"Effect":"Deny","Action":["iam:*","sts:*"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"`+region+`"}}}]}`)
		code := func(action string) string { return map[bool]string{true: "AccessDenied"}[action == denied] }
		g.call(t, g.cred, code("ListUsers"), "ListUsers")
		g.call(t, g.cred, code("AssumeRole"), "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/role", "RoleSessionName", "some")
	}
}

// The right to remove a tag is checked, and policies have tags too.
func TestTagKeysThatAreTakenAway(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	arn := g.root(t, "", "CreatePolicy", "PolicyName", "some", "PolicyDocument", readOnly, "Tags.member.1.Key", "owner", "Tags.member.1.Value", "ops").one("Arn")
	g.root(t, "", "CreateUser", "UserName", "admin")
	admin := credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "admin"))
	limit := func(condition string) {
		g.root(t, "", "PutUserPolicy", "UserName", "admin", "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"},
			{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":`+condition+`}]}`)
	}
	limit(`{"ForAnyValue:StringEquals":{"aws:TagKeys":"owner"}}`)
	g.call(t, admin, "AccessDenied", "UntagUser", "UserName", "dev", "TagKeys.member.1", "team", "TagKeys.member.2", "owner")
	g.call(t, admin, "AccessDenied", "UntagPolicy", "PolicyArn", arn, "TagKeys.member.1", "owner")
	g.call(t, admin, "", "UntagPolicy", "PolicyArn", arn, "TagKeys.member.1", "team")
	limit(`{"StringEquals":{"aws:ResourceTag/owner":"ops"}}`)
	g.call(t, admin, "AccessDenied", "DeletePolicy", "PolicyArn", arn)
	g.root(t, "", "UntagPolicy", "PolicyArn", arn, "TagKeys.member.1", "owner")
	g.call(t, admin, "", "DeletePolicy", "PolicyArn", arn)
}

// An administrator may be limited to users and roles that have a boundary.
func TestBoundaryOfWhoIsChanged(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	boundary := g.root(t, "", "CreatePolicy", "PolicyName", "boundary", "PolicyDocument", readOnly).one("Arn")
	g.root(t, "", "CreateUser", "UserName", "bound", "PermissionsBoundary", boundary)
	g.root(t, "", "CreateUser", "UserName", "free")
	g.root(t, "", "CreateUser", "UserName", "admin")
	g.root(t, "", "PutUserPolicy", "UserName", "admin", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+boundary+`"}}}}`)
	admin := credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "admin"))
	for name, code := range map[string]string{"bound": "", "free": "AccessDenied"} {
		g.call(t, admin, code, "PutUserPolicy", "UserName", name, "PolicyName", "p", "PolicyDocument", readOnly)
		g.call(t, admin, code, "AttachUserPolicy", "UserName", name, "PolicyArn", boundary)
		g.call(t, admin, code, "DetachUserPolicy", "UserName", name, "PolicyArn", boundary)
		g.call(t, admin, "AccessDenied", "GetUser", "UserName", name)
	}
	g.call(t, admin, "AccessDenied", "PutUserPermissionsBoundary", "UserName", "bound", "PermissionsBoundary", boundary+"2")
}

// A session's tag replaces its role's, regardless of case.
func TestTagsOfSessions(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	g.root(t, "", "CreateUser", "UserName", "who")
	g.root(t, "", "PutUserPolicy", "UserName", "who", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*"}}`)
	who := credentialOf(g.root(t, "", "CreateAccessKey", "UserName", "who"))
	g.root(t, "", "CreateRole", "RoleName", "tagged", "Tags.member.1.Key", "Team", "Tags.member.1.Value", "blue", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":["sts:AssumeRole","sts:TagSession"]}}`)
	g.root(t, "", "PutRolePolicy", "RoleName", "tagged", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}}}`)
	assume := []string{"RoleArn", "arn:aws:iam::" + account + ":role/tagged", "RoleSessionName", "some"}
	g.call(t, credentialOf(g.call(t, who, "", "AssumeRole", assume...)), "AccessDenied", "ListUsers")
	red := append(assume, "Tags.member.1.Key", "team", "Tags.member.1.Value", "red")
	g.call(t, credentialOf(g.call(t, who, "", "AssumeRole", red...)), "", "ListUsers")
}

// A decision about an existing identity knows its tags, whichever of its names
// it is about.
func TestTagsOfEveryResource(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	account := accounts.Account(g.tenant.Tenant.ID)
	limit := func(resource string) {
		g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"},
			{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::`+account+resource+`","Condition":{"StringEquals":{"aws:ResourceTag/of":"others"}}}]}`)
	}
	g.root(t, "", "CreateUser", "UserName", "target", "Tags.member.1.Key", "of", "Tags.member.1.Value", "others")
	key := g.root(t, "", "CreateAccessKey", "UserName", "target").one("AccessKeyId")
	limit(":user/*")
	g.call(t, g.cred, "AccessDenied", "GetUser", "UserName", "target")
	g.call(t, g.cred, "AccessDenied", "GetAccessKeyLastUsed", "AccessKeyId", key)
	limit(":user/admins/*")
	g.call(t, g.cred, "AccessDenied", "UpdateUser", "UserName", "target", "NewPath", "/admins/")
	limit(":user/boss")
	g.call(t, g.cred, "AccessDenied", "UpdateUser", "UserName", "target", "NewUserName", "boss")
	g.call(t, g.cred, "", "UpdateUser", "UserName", "target", "NewUserName", "aide")
	// A right that the tag gives suffices for a new name.
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"iam:ResourceTag/of":"others"}}}}`)
	g.call(t, g.cred, "", "UpdateUser", "UserName", "aide", "NewUserName", "target")
	// The root's keys are the account's and not the caller's.
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::`+account+`:user/dev"}}`)
	g.call(t, g.cred, "AccessDenied", "GetAccessKeyLastUsed", "AccessKeyId", g.tenant.AccessKey)
	g.call(t, g.cred, "", "GetAccessKeyLastUsed", "AccessKeyId", g.cred.AccessKey)
}
