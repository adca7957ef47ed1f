package access

import "strings"

// UniqueID stands in a policy for a user, a role or a session of a role, so
// that one created later under the same name does not inherit.
type UniqueID struct {
	ID      ID
	Role    bool   // otherwise a user
	Session string // of a session; empty: none
}

// ParseUniqueID parses exactly the form of UniqueID.String.
func ParseUniqueID(s string) (u UniqueID, ok bool) {
	rest, user := strings.CutPrefix(s, userPrefix)
	if !user {
		if rest, u.Role = strings.CutPrefix(s, rolePrefix); !u.Role {
			return UniqueID{}, false
		}
		var session bool
		if rest, u.Session, session = strings.Cut(rest, ":"); session && !isSessionName(u.Session) {
			return UniqueID{}, false
		}
	}
	if u.ID, ok = ParseID(rest); !ok {
		return UniqueID{}, false
	}
	return u, true
}

// String is AIDA or AROA with the id, and for a session a colon and its name,
// as aws:userid has it.
func (u UniqueID) String() string {
	switch {
	case !u.Role:
		return UserUniqueID(u.ID)
	case u.Session != "":
		return RoleUniqueID(u.ID) + ":" + u.Session
	}
	return RoleUniqueID(u.ID)
}

// isSessionName accepts valid names of sessions.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func isSessionName(s string) bool {
	ok := len(s) >= 2 && len(s) <= 64
	for _, c := range s {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_+=,.@-", c))
	}
	return ok
}

// WithIDs returns the policy with the ARNs of users, roles and sessions in its
// principals replaced by their UniqueIDs, as AWS stores it: a user created
// again under an old name inherits nothing. id returns the UniqueID for an ARN,
// or false for an ARN that stays. The policy itself is not changed; Text of the
// result has the ids.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-users
func (p *Policy) WithIDs(id func(arn string) (string, bool)) *Policy {
	q := *p
	q.rename = p.renamedBy(func(name string) string { return uniqueID(name, id) })
	q.denies, q.allows = withIDs(p.denies, id), withIDs(p.allows, id)
	q.size = q.measure()
	return &q
}

// WithARNs returns a policy to show by its Text: names in its principals, such
// as UniqueIDs, are replaced by the given ARNs. Its decisions do not change.
func (p *Policy) WithARNs(arns map[string]string) *Policy {
	q := *p
	q.rename = p.renamedBy(func(id string) string {
		if arn, ok := arns[id]; ok {
			return arn
		}
		return id
	})
	return &q
}

// uniqueID returns the UniqueID of a principal, or the name itself if it has
// none.
func uniqueID(name string, id func(arn string) (string, bool)) string {
	known, ok := principalName(name)
	if !ok || !strings.HasPrefix(known, "arn:aws:") {
		return name
	}
	if unique, ok := id(known); ok {
		if _, ok := ParseUniqueID(unique); ok {
			return unique
		}
	}
	return name
}

// renamedBy applies the policy's renaming and then to.
func (p *Policy) renamedBy(to func(name string) string) func(name string) string {
	before := p.rename
	if before == nil {
		return to
	}
	return func(name string) string { return to(before(name)) }
}

// withIDs copies statements and replaces the names in their principals.
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
