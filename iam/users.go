package iam

import (
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// tagXML is a tag in the form of these APIs.
type tagXML struct{ Key, Value string }

// tagsXML converts tags for an answer.
func tagsXML(tags []accounts.Tag) members[tagXML] {
	return membersOf(tags, func(t accounts.Tag) tagXML { return tagXML(t) })
}

// tagsShown returns nil without tags, so that the element is left out.
func tagsShown(tags []accounts.Tag) *members[tagXML] {
	if len(tags) == 0 {
		return nil
	}
	t := tagsXML(tags)
	return &t
}

// boundaryXML describes a boundary.
type boundaryXML struct {
	PermissionsBoundaryType string
	PermissionsBoundaryArn  string
}

// userXML describes a user.
type userXML struct {
	Path, UserName, UserId, Arn, CreateDate string
	PermissionsBoundary                     *boundaryXML     `xml:",omitempty"`
	Tags                                    *members[tagXML] `xml:",omitempty"`
}

// userShown leaves out tags and boundary.
func userShown(u accounts.Identity) userXML {
	return userXML{Path: u.Path, UserName: u.Name, UserId: uniqueID(&u), Arn: u.ARN(), CreateDate: stamp(u.Created)}
}

// userInFull shows a user with tags and boundary, as GetUser does.
func (c *call) userInFull(u accounts.Identity) (userXML, error) {
	x := userShown(u)
	x.Tags = tagsShown(u.Tags)
	var err error
	x.PermissionsBoundary, err = c.boundaryShown(u)
	return x, err
}

// boundaryShown returns the identity's boundary, or nil.
func (c *call) boundaryShown(i accounts.Identity) (*boundaryXML, error) {
	if i.Boundary.IsZero() {
		return nil, nil
	}
	found, _, err := c.Accounts.IdentitiesByID(c.ctx, []meta.ID{i.Boundary})
	if err != nil {
		return nil, err
	}
	p, ok := found[i.Boundary]
	if !ok {
		return &boundaryXML{"Policy", ""}, nil // it was deleted, so nothing is allowed
	}
	return &boundaryXML{"Policy", p.ARN()}, nil
}

// boundary returns the policy that the parameter PermissionsBoundary names.
func (c *call) boundary() (id meta.ID, arn string, err error) {
	arn = c.form["PermissionsBoundary"]
	if arn == "" {
		return id, "", nil
	}
	p, err := c.policyOf(c.tenant(), arn)
	return p.ID, arn, err
}

// boundaryContext is the condition key of a boundary that is being set.
func boundaryContext(arn string) []string {
	if arn == "" {
		return nil
	}
	return []string{boundaryKey, arn}
}

// tagContext returns the condition keys of tags that are being set.
func tagContext(tags []accounts.Tag) (extra []string) {
	for _, t := range tags {
		extra = append(extra, requestTag+t.Key, t.Value, "aws:tagkeys", t.Key)
	}
	return extra
}

// pathOrRoot returns the parameter Path, or the default.
func (c *call) pathOrRoot() string {
	if p := c.form["Path"]; p != "" {
		return p
	}
	return "/"
}

// createUser creates a user without policies or access keys.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html
func createUser(c *call) (any, error) {
	name, err := c.form.need("UserName")
	if err != nil {
		return nil, err
	}
	tags, err := c.form.tags()
	if err != nil {
		return nil, err
	}
	path := c.pathOrRoot()
	// The boundary is a condition of the decision, so that a policy can permit
	// creating users with a boundary only.
	err = c.allowWithTags("TagUser", c.arn(meta.IdentityUser, path, name), tags,
		boundaryContext(c.form["PermissionsBoundary"])...)
	if err != nil {
		return nil, err
	}
	// The boundary is looked up after the decision, because its error tells
	// whether the policy exists.
	boundary, _, err := c.boundary()
	if err != nil {
		return nil, err
	}
	u, err := c.Accounts.CreateIdentity(c.ctx, accounts.Identity{
		Tenant: c.tenant(), Kind: meta.IdentityUser, Name: name, Path: path, Tags: tags, Boundary: boundary,
	})
	if err != nil {
		return nil, err
	}
	x, err := c.userInFull(u)
	return struct{ User userXML }{x}, err
}

// self returns the named user, or without UserName the caller.
func (c *call) self() (accounts.Identity, error) {
	if c.form["UserName"] != "" {
		return c.named(meta.IdentityUser)
	}
	// A role and the root have no user of their own to default to.
	if c.principal.Kind != access.User {
		return accounts.Identity{}, s3err.New(s3err.ValidationError, "Must specify userName when calling with non-User credentials")
	}
	return c.find(meta.IdentityUser, c.principal.Name)
}

// getUser shows a user. For root it shows the account, as AWS does.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html
func getUser(c *call) (any, error) {
	if c.form["UserName"] == "" && c.principal.Kind == access.Root {
		t := c.cred.Tenant
		type rootXML struct{ UserName, UserId, Arn, CreateDate string }
		return struct{ User any }{rootXML{t.Name, c.principal.Account, c.principal.ARN(), stamp(t.Created)}}, nil
	}
	u, err := c.self()
	if err != nil {
		return nil, err
	}
	x, err := c.userInFull(u)
	return struct{ User userXML }{x}, err
}

// listUsers lists the tenant's users, without tags and boundaries, as AWS does.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html
func listUsers(c *call) (any, error) {
	if err := c.allow(c.arn(meta.IdentityUser, "/", "")); err != nil {
		return nil, err
	}
	found, end, err := c.listed(meta.IdentityUser)
	return struct {
		Users members[userXML]
		paging
	}{membersOf(found, userShown), end}, err
}

// rename is UpdateUser and UpdateGroup. It needs the right to the old and to
// the new ARN.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html
func rename(c *call) (any, error) {
	kind := c.action.kind
	i, err := c.named(kind)
	if err != nil {
		return nil, err
	}
	_, err = c.change(i, func(i *accounts.Identity) error {
		if v := c.form["New"+nameParameters[kind]]; v != "" {
			i.Name = v
		}
		if v := c.form["NewPath"]; v != "" {
			i.Path = v
		}
		// Without this check a permission for one path could move users out of
		// it or into it. The tags are conditions of both decisions.
		return c.allowOn(i, nil)
	})
	return nil, err
}

// deleteUser refuses a user with policies, groups or access keys, as AWS does.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
func deleteUser(c *call) (any, error) {
	u, err := c.named(meta.IdentityUser)
	if err != nil {
		return nil, err
	}
	switch {
	case len(u.Attached) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must detach all policies first.")
	case len(u.Inline) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must delete policies first.")
	case len(u.Groups) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must remove users from group first.")
	}
	return nil, c.Accounts.DeleteIdentity(c.ctx, u)
}

// tag is TagUser, TagRole, TagPolicy and TagOpenIDConnectProvider.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagUser.html
func tag(c *call) (any, error) {
	tags, err := c.form.tags()
	if err != nil {
		return nil, err
	}
	i, err := c.tagged(tagContext(tags)...)
	if err != nil {
		return nil, err
	}
	_, err = c.change(i, func(i *accounts.Identity) error {
		for _, t := range tags {
			// The new tag replaces one whose key differs in case only.
			i.Tags = append(without(i.Tags, t.Key), t)
		}
		// The bound holds for the result: the request may also replace tags.
		if len(i.Tags) > maxTags {
			return s3err.New(s3err.LimitExceeded, "An identity can have at most %d tags.", maxTags)
		}
		return nil
	})
	return nil, err
}

// tagged returns the identity whose tags an action is about.
func (c *call) tagged(extra ...string) (accounts.Identity, error) {
	switch c.action.kind {
	case meta.IdentityPolicy:
		if c.name != "ListPolicyTags" {
			return c.ownPolicy(extra...)
		}
		return c.managed(extra...)
	case meta.IdentityProvider:
		return c.provider(extra...)
	}
	return c.named(c.action.kind, extra...)
}

// without returns the tags except the one with the key, in any case.
func without(tags []accounts.Tag, key string) (kept []accounts.Tag) {
	for _, t := range tags {
		if access.FoldCase(t.Key) != access.FoldCase(key) {
			kept = append(kept, t)
		}
	}
	return kept
}

// untag removes tags; unknown keys are no error.
func untag(c *call) (any, error) {
	keys := c.form.list("TagKeys")
	var extra []string
	// The keys are a condition of the decision, so that a policy can protect
	// some tags.
	for _, k := range keys {
		extra = append(extra, "aws:tagkeys", k)
	}
	i, err := c.tagged(extra...)
	if err != nil {
		return nil, err
	}
	_, err = c.change(i, func(i *accounts.Identity) error {
		for _, k := range keys {
			i.Tags = without(i.Tags, k)
		}
		return nil
	})
	return nil, err
}

// listTags lists the tags, ordered by key.
func listTags(c *call) (any, error) {
	i, err := c.tagged()
	if err != nil {
		return nil, err
	}
	tags := slices.Clone(i.Tags)
	slices.SortFunc(tags, func(a, b accounts.Tag) int { return strings.Compare(a.Key, b.Key) })
	page, end, err := cut(c.form, tags, func(t accounts.Tag) string { return t.Key })
	return struct {
		Tags members[tagXML]
		paging
	}{tagsXML(page), end}, err
}

// setBoundary is PutUserPermissionsBoundary and PutRolePermissionsBoundary.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html
func setBoundary(c *call) (any, error) {
	arn, err := c.form.need("PermissionsBoundary")
	if err != nil {
		return nil, err
	}
	return c.changeBoundary(boundaryContext(arn)...)
}

// dropBoundary removes the boundary.
func dropBoundary(c *call) (any, error) {
	// The action has no such parameter; without it changeBoundary removes the
	// boundary.
	delete(c.form, "PermissionsBoundary")
	return c.changeBoundary()
}

// changeBoundary sets the boundary that the form has, or removes it without
// one.
func (c *call) changeBoundary(extra ...string) (any, error) {
	i, err := c.named(c.action.kind, extra...)
	if err != nil {
		return nil, err
	}
	id, _, err := c.boundary()
	if err != nil {
		return nil, err
	}
	_, err = c.change(i, func(i *accounts.Identity) error {
		i.Boundary = id
		return nil
	})
	return nil, err
}
