package accounts

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
)

// Principal holds the facts about a credential's holder within its tenant that
// decisions need. It is shared and never changes.
type Principal struct {
	Kind       meta.IdentityKind // 0: the tenant's root; IdentityUser; IdentityRole
	ID         meta.ID           // the user's or role's; the tenant's for root
	Name, Path string
	Policies   []PolicyText
	Boundary   *PolicyText
	Tags       map[string]string
	Limits     meta.Limits // of a user
	// Broken is set if a policy is missing or unreadable. Then nothing is
	// allowed.
	Broken error

	once sync.Once
	made *access.Principal // see compiled
}

// PolicyText is a policy with its name for reasons.
type PolicyText struct{ Name, Document string }

// all returns the policies and the boundary.
func (p *Principal) all() []PolicyText {
	if p.Boundary == nil {
		return p.Policies
	}
	return append(slices.Clip(p.Policies), *p.Boundary)
}

// size is the principal's memory in bytes, without the texts of its policies.
func (p *Principal) size() int {
	return identityBytes + len(p.Name) + len(p.Path) + tagsSize(p.Tags) + policiesSize(p.all())
}

// policiesSize is the memory of policies in bytes, without their texts.
func policiesSize(all []PolicyText) (n int) {
	for _, p := range all {
		n += policyTextBytes + 2*len(p.Name)
	}
	return n
}

// policyTextBytes is the memory of a PolicyText besides its texts, and of its
// compiled form besides the shared part.
const policyTextBytes = 320

// rootPrincipal is the principal of a tenant's root.
func rootPrincipal(t meta.Tenant) *Principal { return &Principal{ID: t.ID, Name: t.Name} }

// principalOf reads the policies of a user or role. A missing or unreadable one
// makes the principal broken. It returns an error only if the store fails.
func (a *Accounts) principalOf(ctx context.Context, i Identity) (*Principal, error) {
	p := &Principal{
		Kind: i.Kind, ID: i.ID, Name: i.Name, Path: i.Path, Limits: i.Limits, Tags: make(map[string]string, len(i.Tags)),
	}
	for _, t := range i.Tags {
		p.Tags[t.Key] = t.Value
	}
	groups, err := a.references(ctx, p, i.Tenant, meta.IdentityGroup, i.Groups)
	if err != nil {
		return nil, err
	}
	p.inline(&i)
	attached := slices.Clone(i.Attached)
	for n := range groups {
		p.inline(&groups[n])
		attached = append(attached, groups[n].Attached...)
	}
	if p.Policies, err = a.policyTexts(ctx, p, i.Tenant, attached, p.Policies); err != nil {
		return nil, err
	}
	if !i.Boundary.IsZero() {
		boundary, err := a.policyTexts(ctx, p, i.Tenant, []meta.ID{i.Boundary}, nil)
		if err != nil {
			return nil, err
		}
		// If it is missing, policyTexts has marked the principal as broken, so that
		// no boundary does not mean no bound.
		if len(boundary) == 1 {
			p.Boundary = &boundary[0]
			p.Boundary.Document = a.holders.Shared(p.Boundary.Document)
		}
	}
	for i := range p.Policies {
		// Holders with the same policy share one copy of its text.
		p.Policies[i].Document = a.holders.Shared(p.Policies[i].Document)
	}
	return p, nil
}

// inline adds the inline policies of an identity, under names that tell where
// they are.
func (p *Principal) inline(of *Identity) {
	for _, policy := range of.Inline {
		p.Policies = append(p.Policies, PolicyText{kindLabels[of.Kind] + " " + of.Name + ", " + policy.Name, policy.Document})
	}
}

// references reads identities of a tenant and kind in the order of ids. A
// missing or unreadable one makes the principal broken.
func (a *Accounts) references(ctx context.Context, p *Principal, tenant meta.ID, kind meta.IdentityKind, ids []meta.ID) (all []Identity, err error) {
	ids = unique(ids)
	found, broken, err := a.IdentitiesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		i, ok := found[id]
		switch {
		case broken[id] != nil:
			p.Broken = broken[id]
		// An id of another tenant's identity does not count, whatever refers to
		// it.
		case !ok || i.Tenant != tenant && !i.Managed() || i.Kind != kind:
			p.Broken = fmt.Errorf("%s %s does not exist", kindLabels[kind], id)
		default:
			all = append(all, i)
		}
	}
	return all, nil
}

// policyTexts appends the texts in effect of policies.
func (a *Accounts) policyTexts(ctx context.Context, p *Principal, tenant meta.ID, ids []meta.ID, to []PolicyText) ([]PolicyText, error) {
	policies, err := a.references(ctx, p, tenant, meta.IdentityPolicy, ids)
	if err != nil {
		return nil, err
	}
	for _, policy := range policies {
		text, ok := policy.Policy.Document()
		if !ok {
			p.Broken = fmt.Errorf("policy %s has no version in effect", policy.Name)
			continue
		}
		to = append(to, PolicyText{policy.Name, text})
	}
	return to, nil
}

// unique removes duplicates and keeps the order.
func unique(ids []meta.ID) []meta.ID {
	seen := make(map[meta.ID]bool, len(ids))
	var out []meta.ID
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}
