package access

import (
	"slices"
	"strings"
)

// Closed returns a policy that was stored, as it is to be decided by: a principal that is
// still the ARN of a user, role or session, and not an id, is nobody's. Who has the name
// by now may be another than was meant; so it allows such nothing, and denies all that
// it denied the name. Unknown of the result are those names.
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

// Unknown are the principals that Closed found to be nobody's, in order.
func (p *Policy) Unknown() []string {
	if p == nil {
		return nil
	}
	return p.unknown
}

// isNamedIdentity reports whether a principal is the ARN of a user, role or session.
func isNamedIdentity(name string) bool {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return false
	}
	kind, _, _ := strings.Cut(parts[5], "/")
	return kind == "user" || kind == "role" || kind == "assumed-role"
}
