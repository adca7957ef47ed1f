package iam_test

import (
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// The decision about an action on an identity depends on its path, tags and
// boundary. If they change during the request, it is decided again. A new
// identity under the same name is not changed.
func TestIdentitiesChangedUnderway(t *testing.T) {
	plan := faults.NewPlan(1)
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	g := newRig(t, gatewaytest.Options{Store: faults.Store(store, plan)})
	const all = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	// dev may change identities with the tag.
	g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/of":"dev"}}}]}`)
	const managed = "arn:aws:iam::aws:policy/AdministratorAccess"
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}`
	tag := []string{"Tags.member.1.Key", "of", "Tags.member.1.Value", "dev"}
	for name, c := range map[string]struct {
		kind   string // of the identity, as parameters call it
		action string
		more   []string
	}{
		"a policy for a user": {"User", "PutUserPolicy", []string{"PolicyName", "p", "PolicyDocument", all}},
		"a managed policy":    {"User", "AttachUserPolicy", []string{"PolicyArn", managed}},
		"a boundary":          {"User", "PutUserPermissionsBoundary", []string{"PermissionsBoundary", managed}},
		"another name":        {"User", "TagUser", []string{"Tags.member.1.Key", "a", "Tags.member.1.Value", "b"}},
		"a policy for a role": {"Role", "PutRolePolicy", []string{"PolicyName", "p", "PolicyDocument", all}},
		"a trust policy":      {"Role", "UpdateAssumeRolePolicy", []string{"PolicyDocument", trust}},
		"a role's duration":   {"Role", "UpdateRole", []string{"MaxSessionDuration", "7200"}},
	} {
		t.Run(name, func(t *testing.T) {
			who := []string{c.kind + "Name", "target"}
			make := append([]string{}, who...)
			if c.kind == "Role" {
				make = append(make, "AssumeRolePolicyDocument", trust)
			}
			for _, meanwhile := range []struct {
				name, code string
				do         func()
			}{
				{"nothing", "", func() {}},
				{"its tag is taken away", "AccessDenied", func() { g.root(t, "", "Untag"+c.kind, append(who, "TagKeys.member.1", "of")...) }},
				{"another tag comes", "", func() {
					g.root(t, "", "Tag"+c.kind, append(who, "Tags.member.1.Key", "more", "Tags.member.1.Value", "x")...)
				}},
			} {
				g.root(t, "", "Create"+c.kind, append(make, tag...)...)
				plan.Clear()
				plan.Add(faults.Rule{Op: "UpdateIdentity", N: 1, Hook: func() {
					plan.Clear()
					meanwhile.do()
				}})
				g.call(t, g.cred, meanwhile.code, c.action, append(who, c.more...)...)
				plan.Clear()
				g.clear(t, c.kind, who)
			}
			// It is deleted, and created again for another purpose.
			g.root(t, "", "Create"+c.kind, append(make, tag...)...)
			plan.Add(faults.Rule{Op: "UpdateIdentity", N: 1, Hook: func() {
				plan.Clear()
				g.root(t, "", "Delete"+c.kind, who...)
				g.root(t, "", "Create"+c.kind, append(make, tag...)...)
			}})
			g.call(t, g.cred, "NoSuchEntity", c.action, append(who, c.more...)...)
			plan.Clear()
			g.clear(t, c.kind, who)
		})
	}
}

// clear removes a user or role with its policies, groups and keys.
func (r *rig) clear(t *testing.T, kind string, who []string) {
	t.Helper()
	for _, p := range r.root(t, "", "List"+kind+"Policies", who...).all("member") {
		r.root(t, "", "Delete"+kind+"Policy", append(who, "PolicyName", p)...)
	}
	for _, arn := range r.root(t, "", "ListAttached"+kind+"Policies", who...).all("PolicyArn") {
		r.root(t, "", "Detach"+kind+"Policy", append(who, "PolicyArn", arn)...)
	}
	r.root(t, "", "Delete"+kind, who...)
}
