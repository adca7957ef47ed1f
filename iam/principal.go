package iam

import (
	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// PrincipalOf is who a credential proves, with its policies compiled. They are
// compiled once for each time that the engine reads them. root is the
// deployment's root tenant, whose root is the operator: with a credential that
// lasts, not with a temporary one.
func PrincipalOf(c *engine.Credential, root meta.ID) access.Principal {
	p := *c.Principal.Compiled(func(p *engine.Principal) any { return compile(p) }).(*access.Principal)
	p.Tenant, p.Account = access.ID(c.Tenant.ID), engine.Account(c.Tenant.ID)
	p.Issued = c.Issued
	p.Operator = p.Kind == access.Root && c.Tenant.ID == root && !c.Temporary()
	return p
}

// compile leaves what cannot be read to deny everything.
func compile(p *engine.Principal) *access.Principal {
	out := &access.Principal{Kind: access.Root, ID: access.ID(p.ID), Name: p.Name, Path: p.Path, SessionName: p.SessionName,
		Tags: p.Tags, Broken: p.Broken}
	switch p.Kind {
	case meta.IdentityUser:
		out.Kind = access.User
	case meta.IdentityRole:
		out.Kind = access.Session
	}
	parse := func(t engine.PolicyText) *access.Policy {
		policy, err := access.ParseIdentityPolicy(t.Name, []byte(t.Document))
		if err != nil && out.Broken == nil {
			out.Broken = err
		}
		return policy
	}
	for _, t := range p.Policies {
		out.Identity = append(out.Identity, parse(t))
	}
	if p.Boundary != nil {
		out.Boundary = parse(*p.Boundary)
	}
	if p.Session != nil {
		out.Session = make([]*access.Policy, 0, len(p.Session))
		for _, t := range p.Session {
			out.Session = append(out.Session, parse(t))
		}
	}
	return out
}
