package iam

import (
	"slices"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// groupXML describes a group.
type groupXML struct{ Path, GroupName, GroupId, Arn, CreateDate string }

// groupShown describes a group for an answer.
func groupShown(g accounts.Identity) groupXML {
	return groupXML{g.Path, g.Name, uniqueID(&g), g.ARN(), stamp(g.Created)}
}

// createGroup creates a group without members or rights.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateGroup.html
func createGroup(c *call) (any, error) {
	name, err := c.form.need("GroupName")
	if err != nil {
		return nil, err
	}
	path := c.pathOrRoot()
	if err := c.allow(c.arn(meta.IdentityGroup, path, name)); err != nil {
		return nil, err
	}
	g, err := c.Accounts.CreateIdentity(c.ctx, accounts.Identity{Tenant: c.tenant(), Kind: meta.IdentityGroup, Name: name, Path: path})
	if err != nil {
		return nil, err
	}
	return struct{ Group groupXML }{groupShown(g)}, nil
}

// inGroup returns the users of a group. Members are not stored with the group,
// so all users are read.
func (c *call) inGroup(g accounts.Identity) ([]accounts.Identity, error) {
	return c.holders(func(u *accounts.Identity) bool { return slices.Contains(u.Groups, g.ID) }, meta.IdentityUser)
}

// getGroup shows a group with its users.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetGroup.html
func getGroup(c *call) (any, error) {
	g, err := c.named(meta.IdentityGroup)
	if err != nil {
		return nil, err
	}
	users, err := c.inGroup(g)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(users, byName)
	page, end, err := cut(c.form, users, func(u accounts.Identity) string { return u.Name })
	return struct {
		Group groupXML
		Users members[userXML]
		paging
	}{groupShown(g), membersOf(page, userShown), end}, err
}

// byName orders by bytes, so that markers of pages work.
func byName(a, b accounts.Identity) int {
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}

// listGroups lists the tenant's groups.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroups.html
func listGroups(c *call) (any, error) {
	if err := c.allow(c.arn(meta.IdentityGroup, "/", "")); err != nil {
		return nil, err
	}
	found, end, err := c.listed(meta.IdentityGroup)
	return struct {
		Groups members[groupXML]
		paging
	}{membersOf(found, groupShown), end}, err
}

// deleteGroup refuses a group with users or policies, as AWS does.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteGroup.html
func deleteGroup(c *call) (any, error) {
	g, err := c.named(meta.IdentityGroup)
	if err != nil {
		return nil, err
	}
	// A group in use is refused, because its users would lose permissions, or
	// denials, unnoticed.
	users, err := c.inGroup(g)
	switch {
	case err != nil:
		return nil, err
	case len(users) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must remove users from group first.")
	case len(g.Attached) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must detach all policies first.")
	case len(g.Inline) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must delete policies first.")
	}
	return nil, c.Accounts.DeleteIdentity(c.ctx, g)
}

// addUserToGroup succeeds if the user is already in the group.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddUserToGroup.html
func addUserToGroup(c *call) (any, error) {
	return c.changeGroups(func(u *accounts.Identity, group meta.ID) error {
		if slices.Contains(u.Groups, group) {
			return nil
		}
		if len(u.Groups) >= accounts.MaxGroups {
			return s3err.New(s3err.LimitExceeded, "Cannot exceed quota for GroupsPerUser: %d", accounts.MaxGroups)
		}
		u.Groups = append(u.Groups, group)
		return nil
	})
}

// removeUserFromGroup succeeds if the user is not in the group.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveUserFromGroup.html
func removeUserFromGroup(c *call) (any, error) {
	return c.changeGroups(func(u *accounts.Identity, group meta.ID) error {
		u.Groups = slices.DeleteFunc(u.Groups, func(id meta.ID) bool { return id == group })
		return nil
	})
}

// changeGroups changes a user's groups. As on AWS, it needs the right to the
// group, not to the user.
func (c *call) changeGroups(change func(*accounts.Identity, meta.ID) error) (any, error) {
	user, err := c.form.need("UserName")
	if err != nil {
		return nil, err
	}
	g, err := c.named(meta.IdentityGroup)
	if err != nil {
		return nil, err
	}
	// The user is changed as it is at that time, so that two changes do not
	// undo each other.
	_, err = c.Accounts.ChangeIdentity(c.ctx, c.tenant(), meta.IdentityUser, user, func(u *accounts.Identity) error { return change(u, g.ID) })
	return nil, err
}

// listGroupsForUser lists the groups of a user, ordered by name.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroupsForUser.html
func listGroupsForUser(c *call) (any, error) {
	u, err := c.named(meta.IdentityUser)
	if err != nil {
		return nil, err
	}
	found, _, err := c.Accounts.IdentitiesByID(c.ctx, u.Groups)
	if err != nil {
		return nil, err
	}
	var groups []accounts.Identity
	// A group that was deleted meanwhile is simply not found.
	for _, g := range found {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, byName)
	page, end, err := cut(c.form, groups, func(g accounts.Identity) string { return g.Name })
	return struct {
		Groups members[groupXML]
		paging
	}{membersOf(page, groupShown), end}, err
}
