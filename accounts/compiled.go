package accounts

import (
	"crypto/sha256"
	"maps"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/meta"
)

// MaxPolicyBytes bounds the memory of compiled policies of users, groups, roles
// and sessions, besides those that current requests use.
const MaxPolicyBytes = 32 << 20

// policies holds compiled policies by their text. A policy depends on its text
// alone, so that one cache serves the process.
var policies = bounded.New(bounded.Options[[sha256.Size]byte, *access.Policy]{
	Bytes: MaxPolicyBytes, Size: func(_ [sha256.Size]byte, p *access.Policy) int { return p.Size() },
})

// identityPolicy compiles a policy unless one with the same text is cached.
func identityPolicy(t PolicyText) (*access.Policy, error) {
	sum := sha256.Sum256([]byte(t.Document))
	p, ok := policies.Get(sum)
	if !ok {
		var err error
		if p, err = access.ParseIdentityPolicy("", []byte(t.Document)); err != nil {
			return nil, err
		}
		policies.Put(sum, p)
	}
	return p.Named(t.Name), nil
}

// PrincipalOf returns the principal that a credential proves, with its policies
// compiled, once for each text. root is the deployment's root tenant. Its root
// is the operator, but not with a temporary credential.
func PrincipalOf(c *Credential, root meta.ID) access.Principal {
	// A copy, because the compiled principal is shared by all requests of its
	// holder.
	p := *c.Principal.compiled()
	if c.Session != nil {
		c.Session.compiled().narrow(&p)
	}
	p.Tenant, p.Account = access.ID(c.Tenant.ID), Account(c.Tenant.ID)
	p.Issued = c.Issued
	p.Operator = p.Kind == access.Root && c.Tenant.ID == root && !c.Temporary()
	return p
}

// compiled returns the principal for decisions. It is made on first use.
func (p *Principal) compiled() *access.Principal {
	p.once.Do(func() { p.made = compile(p) })
	return p.made
}

// compile marks a principal with an unreadable policy as broken, which denies
// everything.
func compile(p *Principal) *access.Principal {
	out := &access.Principal{Kind: access.Root, ID: access.ID(p.ID), Name: p.Name, Path: p.Path, Tags: p.Tags, Broken: p.Broken}
	switch p.Kind {
	case meta.IdentityUser:
		out.Kind = access.User
	case meta.IdentityRole:
		out.Kind = access.Session
	}
	var err error
	if out.Identity, err = compileAll(p.Policies); err != nil && out.Broken == nil {
		out.Broken = err
	}
	if p.Boundary != nil {
		if out.Boundary, err = identityPolicy(*p.Boundary); err != nil && out.Broken == nil {
			out.Broken = err
		}
	}
	return out
}

// compileAll compiles policies. The error is that of the first unreadable one.
func compileAll(texts []PolicyText) (all []*access.Policy, broken error) {
	all = make([]*access.Policy, 0, len(texts))
	for _, t := range texts {
		p, err := identityPolicy(t)
		if err != nil {
			if broken == nil {
				broken = err
			}
			continue
		}
		all = append(all, p)
	}
	return all, broken
}

// narrowing is the effect of a session on its holder.
type narrowing struct {
	name     string
	policies []*access.Policy // nil: none
	tags     map[string]string
	source   string
	provider string
	broken   error
}

// compiled returns the session's effect. It is made on first use.
func (f *SessionFacts) compiled() *narrowing {
	f.once.Do(func() { f.made = compileSession(f) })
	return f.made
}

// compileSession compiles the policies of a session. A policy that cannot be
// compiled marks the session as broken, so that it may do nothing.
func compileSession(f *SessionFacts) *narrowing {
	s := &narrowing{name: f.Name, tags: f.Tags, source: f.SourceIdentity, provider: f.Provider}
	if f.Policies != nil {
		s.policies, s.broken = compileAll(f.Policies)
	}
	return s
}

// narrow applies the session to its holder's principal.
func (s *narrowing) narrow(p *access.Principal) {
	p.SessionName, p.Session, p.SourceIdentity, p.Provider = s.name, s.policies, s.source, s.provider
	if p.Broken == nil {
		p.Broken = s.broken
	}
	if len(s.tags) > 0 {
		tags := make(map[string]string, len(p.Tags)+len(s.tags))
		maps.Copy(tags, p.Tags)
		maps.DeleteFunc(tags, func(key, _ string) bool { return s.overrides(key) })
		maps.Copy(tags, s.tags)
		p.Tags = tags
	}
}

// overrides reports whether the session has a tag that replaces one of its
// holder's, whose key may differ in case.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
func (s *narrowing) overrides(key string) bool {
	for k := range s.tags {
		if access.FoldCase(k) == access.FoldCase(key) {
			return true
		}
	}
	return false
}
