package iam

import (
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// usage counts the uses of a policy.
type usage struct{ attached, boundary int }

// The uses of a policy, as PolicyUsageFilter names them. An unused policy
// counts as one for permissions.
const (
	usedAsPolicy   = "PermissionsPolicy"
	usedAsBoundary = "PermissionsBoundary"
)

var usageFilters = []string{usedAsPolicy, usedAsBoundary}

// usages counts the uses of all policies of the tenant.
func (c *call) usages() (map[meta.ID]usage, error) {
	all := make(map[meta.ID]usage)
	_, err := c.holders(func(i *accounts.Identity) bool {
		for _, id := range i.Attached {
			u := all[id]
			u.attached++
			all[id] = u
		}
		// Identities without a boundary are counted under the zero id, which is
		// no policy's.
		u := all[i.Boundary]
		u.boundary++
		all[i.Boundary] = u
		return false
	}, meta.IdentityUser, meta.IdentityGroup, meta.IdentityRole)
	return all, err
}

// listEntitiesForPolicy lists the users, groups and roles that have a policy.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html
func listEntitiesForPolicy(c *call) (any, error) {
	p, err := c.managed()
	if err != nil {
		return nil, err
	}
	use, err := c.form.choice("PolicyUsageFilter", usageFilters...)
	if err != nil {
		return nil, err
	}
	kind, err := c.form.choice("EntityFilter", "User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy")
	if err != nil {
		return nil, err
	}
	holders, err := c.holders(func(i *accounts.Identity) bool {
		held := i.Boundary == p.ID
		// Only this filter asks for boundaries. All others ask for attached
		// policies.
		if use != usedAsBoundary {
			held = slices.Contains(i.Attached, p.ID)
		}
		return held && strings.HasPrefix(i.Path, c.form["PathPrefix"]) &&
			(kind == "" || kind+"Name" == nameParameters[i.Kind])
	}, meta.IdentityUser, meta.IdentityGroup, meta.IdentityRole)
	if err != nil {
		return nil, err
	}
	at := func(i accounts.Identity) string { return accounts.KindLabel(i.Kind) + "/" + i.Name }
	slices.SortFunc(holders, func(a, b accounts.Identity) int { return strings.Compare(at(a), at(b)) })
	page, end, err := cut(c.form, holders, at)
	return holdersShown(page, end), err
}

// holdersShown describes a page of holders of a policy, each kind in a list of
// its own.
func holdersShown(page []accounts.Identity, end paging) any {
	type user struct{ UserName, UserId string }
	type group struct{ GroupName, GroupId string }
	type role struct{ RoleName, RoleId string }
	var x struct {
		PolicyUsers  members[user]
		PolicyGroups members[group]
		PolicyRoles  members[role]
		paging
	}
	x.paging = end
	for _, h := range page {
		switch h.Kind {
		case meta.IdentityUser:
			x.PolicyUsers.Member = append(x.PolicyUsers.Member, user{h.Name, uniqueID(&h)})
		case meta.IdentityGroup:
			x.PolicyGroups.Member = append(x.PolicyGroups.Member, group{h.Name, uniqueID(&h)})
		case meta.IdentityRole:
			x.PolicyRoles.Member = append(x.PolicyRoles.Member, role{h.Name, uniqueID(&h)})
		}
	}
	return x
}
