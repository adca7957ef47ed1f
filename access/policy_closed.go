package access

import (
	"slices"
	"strings"
)

// Closed returns the form of a stored policy that decisions use. A principal
// that is still the ARN of a user, role or session, and not an id, matches
// nobody: whoever has the name now may be another than was meant. So the policy
// allows nothing to such names, and still denies what it denied them. Unknown
// of the result returns those names.
func (p *Policy) Closed() *Policy {
	unknown := make(map[string]bool)
	close := func(statements []statement) []statement {
		all := slices.Clone(statements)
		for i := range all {
			s := &all[i]
			if s.principals == nil {
				continue
			}
			set := *s.principals
			set.names = make(map[string]bool)
			for name := range s.principals.names {
				open := isNamedIdentity(name)
				if open {
					unknown[name] = true
				}
				// In NotPrincipal, the name would be an exception from the denial, so there
				// it must not match.
				if !open || s.deny && !set.not {
					set.names[name] = true
				}
			}
			s.principals = &set
		}
		return all
	}
	q := *p
	q.allows, q.denies = close(p.allows), close(p.denies)
	if len(unknown) == 0 {
		return p
	}
	q.unknown = sortedKeys(unknown)
	q.size = q.measure()
	return &q
}

// Unknown returns the principals that Closed matched to nobody, in order.
func (p *Policy) Unknown() []string {
	if p == nil {
		return nil
	}
	return p.unknown
}

// isNamedIdentity reports whether a principal is the ARN of a user, role or
// session.
func isNamedIdentity(name string) bool {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return false
	}
	kind, _, _ := strings.Cut(parts[5], "/")
	return kind == "user" || kind == "role" || kind == "assumed-role"
}
