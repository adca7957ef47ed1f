package iam

import (
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// nameParameters are the parameters with the names of identities.
var nameParameters = map[meta.IdentityKind]string{
	meta.IdentityUser: "UserName", meta.IdentityGroup: "GroupName", meta.IdentityRole: "RoleName", meta.IdentityPolicy: "PolicyName",
}

// arn is the ARN of an identity of the caller's tenant, whether or not it
// exists.
func (c *call) arn(kind meta.IdentityKind, path, name string) string {
	return accounts.ARN(c.principal.Account, kind, path, name)
}

// uniqueID is an identity's id as answers show it.
func uniqueID(i *accounts.Identity) string {
	switch i.Kind {
	case meta.IdentityUser:
		return access.UserUniqueID(access.ID(i.ID))
	case meta.IdentityRole:
		return access.RoleUniqueID(access.ID(i.ID))
	case meta.IdentityGroup:
		return "AGPA" + i.ID.String()
	}
	return "ANPA" + i.ID.String()
}

// named returns the identity that a parameter names, if the caller may take the
// action on it. A caller without the right does not learn whether it exists.
func (c *call) named(kind meta.IdentityKind, extra ...string) (accounts.Identity, error) {
	name, err := c.form.need(nameParameters[kind])
	if err != nil {
		return accounts.Identity{}, err
	}
	return c.find(kind, name, extra...)
}

// find is named for a name that is at hand. The decision comes first, also for
// an absent identity.
func (c *call) find(kind meta.IdentityKind, name string, extra ...string) (accounts.Identity, error) {
	i, err := c.Accounts.Identity(c.ctx, c.tenant(), kind, name)
	if err != nil {
		// The path of an absent identity is not known, so the decision is made
		// for the default path.
		if denied := c.allow(c.arn(kind, "/", name), extra...); denied != nil {
			return i, denied
		}
		return i, err
	}
	return i, c.allowOn(&i, extra)
}

// listed returns one page of identities with the requested PathPrefix.
func (c *call) listed(kind meta.IdentityKind) ([]accounts.Identity, paging, error) {
	return c.listedWhere(kind, func(*accounts.Identity) bool { return true })
}

// listedWhere is listed for the selected identities.
func (c *call) listedWhere(kind meta.IdentityKind, asked func(*accounts.Identity) bool) ([]accounts.Identity, paging, error) {
	after, limit, err := c.form.page()
	if err != nil {
		return nil, paging{}, err
	}
	return c.listedAfter(kind, after, limit, asked)
}

// listedAfter is listedWhere for at most limit identities after a name. limit
// is at least one.
func (c *call) listedAfter(kind meta.IdentityKind, after string, limit int, asked func(*accounts.Identity) bool) ([]accounts.Identity, paging, error) {
	// Reading all identities is expensive for the store, so such requests of a
	// tenant take turns.
	leave, err := c.turn()
	if err != nil {
		return nil, paging{}, err
	}
	defer leave()
	var all []accounts.Identity
	for {
		found, err := c.Accounts.ListIdentities(c.ctx, c.tenant(), kind, after, meta.MaxPage)
		if err != nil {
			return nil, paging{}, err
		}
		for _, i := range found {
			// Also for an entry that is left out, because it is the position in the
			// store.
			after = i.Name
			if !strings.HasPrefix(i.Path, c.form["PathPrefix"]) || !asked(&i) {
				continue
			}
			// One entry more than a page tells that another page follows.
			if len(all) == limit {
				return all, paging{true, marker(all[limit-1].Name)}, nil
			}
			all = append(all, i)
		}
		if len(found) < meta.MaxPage {
			return all, paging{}, nil
		}
	}
}
