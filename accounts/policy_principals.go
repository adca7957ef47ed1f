package accounts

import (
	"context"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
)

// PrincipalIDs looks up the principals of a policy that is about to be stored.
// Each must exist. ids has the access.UniqueID of every user, role and session
// by its ARN, for Policy.WithIDs. nobody is the first name without a principal;
// a principal created later must not get the rights. Names of identity
// providers that are not ARNs, such as google.com, are accepted unchecked.
// Values of conditions are text and not looked at: aws:PrincipalArn means a
// name, as on AWS.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func (a *Accounts) PrincipalIDs(ctx context.Context, p *access.Policy) (ids map[string]string, nobody string, err error) {
	ids = make(map[string]string)
	for _, name := range p.Principals() {
		if u, ok := access.ParseUniqueID(name); ok {
			there, err := a.exists(ctx, u)
			if err != nil || !there {
				return nil, name, err
			}
			continue
		}
		if strings.Contains(name, ".") && !strings.Contains(name, ":") {
			continue
		}
		who, err := a.FindPrincipal(ctx, name)
		if err != nil || !who.Exists {
			return nil, name, err
		}
		if !who.ID.IsZero() {
			ids[name] = idOf(who)
		}
	}
	return ids, "", nil
}

// PrincipalID is the access.UniqueID of the user, role or session that has the
// ARN now; "" when none has.
func (a *Accounts) PrincipalID(ctx context.Context, arn string) (string, error) {
	who, err := a.FindPrincipal(ctx, arn)
	if err != nil || who.ID.IsZero() {
		return "", err
	}
	return idOf(who), nil
}

// idOf is the unique id that a policy is stored with.
func idOf(who NamedPrincipal) string {
	return access.UniqueID{ID: access.ID(who.ID), Role: who.Kind == meta.IdentityRole, Session: who.Session}.String()
}

// exists reports whether there still is an identity with the unique id.
func (a *Accounts) exists(ctx context.Context, u access.UniqueID) (bool, error) {
	found, broken, err := a.IdentitiesByID(ctx, []meta.ID{meta.ID(u.ID)})
	if err != nil {
		return false, err
	}
	if err := broken[meta.ID(u.ID)]; err != nil {
		return false, err
	}
	return isOf(found[meta.ID(u.ID)], u), nil
}

// isOf reports whether the identity has the unique id.
func isOf(i Identity, u access.UniqueID) bool {
	kind := meta.IdentityUser
	if u.Role {
		kind = meta.IdentityRole
	}
	return i.ID == meta.ID(u.ID) && i.Kind == kind
}

// ARNs returns the present ARNs of the unique ids in policies, by the ids. Ids
// of deleted identities are missing; they are shown as they are.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-users
func (a *Accounts) ARNs(ctx context.Context, policies ...*access.Policy) (map[string]string, error) {
	named := make(map[string]access.UniqueID)
	var ids []meta.ID
	for _, p := range policies {
		for _, name := range p.Principals() {
			if u, ok := access.ParseUniqueID(name); ok {
				named[name], ids = u, append(ids, meta.ID(u.ID))
			}
		}
	}
	found, _, err := a.IdentitiesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	arns := make(map[string]string)
	for name, u := range named {
		i := found[meta.ID(u.ID)]
		switch {
		case !isOf(i, u):
		case u.Session != "":
			arns[name] = i.SessionARN(u.Session)
		default:
			arns[name] = i.ARN()
		}
	}
	return arns, nil
}
