package iam

import (
	"strings"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// managedMarker begins markers of pages that end among
// accounts.ManagedPolicies, which are listed first. It cannot be a name,
// because no name of an identity has a colon.
const managedMarker = "managed:"

// policyOf returns a policy of a tenant, or one that all tenants have, without
// asking for rights.
func (c *call) policyOf(tenant meta.ID, arn string) (p accounts.Identity, err error) {
	none := s3err.New(s3err.NoSuchEntity, "Policy %s does not exist or is not attachable.", clip(arn))
	if name, ok := strings.CutPrefix(arn, accounts.ManagedPrefix); ok {
		if p, ok = accounts.ManagedPolicy(name); !ok {
			return p, none
		}
		return p, nil
	}
	account, rest, ok := accounts.CutARN(arn, "policy")
	switch {
	case !ok:
		return p, s3err.New(s3err.InvalidInput, "ARN %s is not valid.", clip(arn))
	case account != accounts.Account(tenant):
		return p, none
	}
	p, err = c.Accounts.Identity(c.ctx, tenant, meta.IdentityPolicy, rest[strings.LastIndexByte(rest, '/')+1:])
	// The path is part of the ARN: a policy with the name and another path is
	// not the one that is meant.
	if e := s3err.From(err); e != nil && e.Code == s3err.NoSuchEntity || err == nil && p.ARN() != arn {
		return accounts.Identity{}, none
	}
	return p, err
}

// ownPolicy is managed for an action that changes the policy. Nobody may change
// a policy that every tenant has.
func (c *call) ownPolicy(extra ...string) (accounts.Identity, error) {
	p, err := c.managed(extra...)
	if err == nil && p.Managed() {
		c.reason = "the policy belongs to all accounts"
		return accounts.Identity{}, s3err.New(s3err.AccessDenied,
			"User: %s is not authorized to perform: iam:%s on resource: policy %s", c.principal.ARN(), c.name, p.ARN())
	}
	return p, err
}

// policies returns a page of the selected policies: first those that every
// tenant has, then the caller's.
func (c *call) policies(scope string, asked func(*accounts.Identity) bool) (found []accounts.Identity, end paging, err error) {
	after, limit, err := c.form.page()
	if err != nil {
		return nil, end, err
	}
	last, among := strings.CutPrefix(after, managedMarker)
	if scope != "Local" && (after == "" || among) {
		for _, p := range accounts.ManagedPolicies() {
			if p.Name <= last || !strings.HasPrefix(p.Path, c.form["PathPrefix"]) || !asked(&p) {
				continue
			}
			if len(found) == limit {
				return found, paging{true, marker(managedMarker + found[limit-1].Name)}, nil
			}
			found = append(found, p)
		}
		// The tenant's own policies follow from their beginning.
		after = ""
	}
	switch {
	case scope == "AWS":
		return found, end, nil
	case len(found) == limit: // the next page shows whether more follow
		// The tenant's own policies may follow: the next page begins with them.
		return found, paging{true, marker(managedMarker + found[limit-1].Name)}, nil
	}
	own, end, err := c.listedAfter(meta.IdentityPolicy, after, limit-len(found), asked)
	return append(found, own...), end, err
}
