package access

import "strings"

// WithIDs returns the policy with the ARNs of users and roles in its principals
// replaced by their unique ids (UserUniqueID, RoleUniqueID), as AWS stores it: a
// user made again under an old name inherits nothing. id says what stands for an
// ARN, and false for one that is to stay. The ARNs of sessions stay. The policy
// itself is not changed; what MarshalJSON writes of the result has the ids.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-users
func (p *Policy) WithIDs(id func(arn string) (string, bool)) *Policy {
	q := *p
	q.rename = p.renamedBy(func(name string) string { return uniqueID(name, id) })
	q.denies, q.allows = withIDs(p.denies, id), withIDs(p.allows, id)
	q.size = q.measure()
	return &q
}

// WithARNs returns a policy to be shown, as MarshalJSON writes it: the unique ids in
// its principals are replaced by the ARNs that arn knows for them. What it decides is
// not changed.
func (p *Policy) WithARNs(arn func(id string) (string, bool)) *Policy {
	q := *p
	q.rename = p.renamedBy(func(id string) string {
		if isUniqueID(id) {
			if known, ok := arn(id); ok {
				return known
			}
		}
		return id
	})
	return &q
}

// uniqueID is what stands for a principal; itself where nothing does.
func uniqueID(name string, id func(arn string) (string, bool)) string {
	known, ok := principalName(name)
	if !ok || !strings.HasPrefix(known, "arn:aws:iam:") {
		return name
	}
	if unique, ok := id(known); ok && isUniqueID(unique) {
		return unique
	}
	return name
}

// renamedBy is what the policy renames already, and then to.
func (p *Policy) renamedBy(to func(name string) string) func(name string) string {
	before := p.rename
	if before == nil {
		return to
	}
	return func(name string) string { return to(before(name)) }
}

// renamed replaces the names of principals of AWS.
func (p rawPrincipals) renamed(to func(name string) string) rawPrincipals {
	if p == nil {
		return nil
	}
	q := make(rawPrincipals, len(p))
	for kind, names := range p {
		q[kind] = names
		if kind != "AWS" {
			continue
		}
		q[kind] = make(texts, len(names))
		for i, name := range names {
			q[kind][i] = to(name)
		}
	}
	return q
}

func withIDs(statements []statement, id func(arn string) (string, bool)) []statement {
	all := append([]statement(nil), statements...)
	for i := range all {
		if all[i].principals == nil {
			continue
		}
		set := *all[i].principals
		set.names = make(map[string]bool)
		for name := range all[i].principals.names {
			set.names[uniqueID(name, id)] = true
		}
		all[i].principals = &set
	}
	return all
}
