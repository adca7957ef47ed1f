package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// errACL is the cause of every failure to write or read an ACL.
var errACL = errors.New("not an ACL")

// storedACL is the stored form. Its field names never change.
type storedACL struct {
	Owner  string        `json:"owner"`
	Grants []storedGrant `json:"grants"`
}

// storedGrant has an id or a group, as MarshalJSON writes it.
type storedGrant struct {
	ID         string     `json:"id,omitempty"`
	Group      string     `json:"group,omitempty"`
	Permission Permission `json:"permission"`
}

// MarshalJSON writes the ACL for the store. Equal ACLs give equal bytes. It
// fails for an ACL that UnmarshalJSON would refuse. The order of grants is
// kept.
func (a *ACL) MarshalJSON() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	s := storedACL{Owner: a.Owner.String(), Grants: make([]storedGrant, len(a.Grants))}
	for i, g := range a.Grants {
		s.Grants[i] = storedGrant{Group: g.Grantee.Group, Permission: g.Permission}
		if g.Grantee.Group == "" {
			s.Grants[i].ID = g.Grantee.ID.String()
		}
	}
	return json.Marshal(s)
}

// check refuses an ACL without an owner, with too many grants, or with a grant
// to nobody or of an unknown permission.
func (a *ACL) check() error {
	if a.Owner.IsZero() || len(a.Grants) > MaxGrants {
		return fmt.Errorf("%w: owner %s, %d grants", errACL, a.Owner.String(), len(a.Grants))
	}
	for _, g := range a.Grants {
		if g.Grantee.ID.IsZero() == (g.Grantee.Group == "") {
			return fmt.Errorf("%w: a grantee is a tenant or a group", errACL)
		}
		if g.Grantee.Group != "" && !slices.Contains(groups, g.Grantee.Group) {
			return fmt.Errorf("%w: group %q", errACL, g.Grantee.Group)
		}
		if !g.Permission.Valid() {
			return fmt.Errorf("%w: permission %q", errACL, string(g.Permission))
		}
	}
	return nil
}

var groups = []string{AllUsers, AuthenticatedUsers, LogDelivery}

// Valid reports whether the permission is one of the five.
func (p Permission) Valid() bool {
	return slices.Contains([]Permission{Read, Write, ReadACP, WriteACP, FullControl}, p)
}

// UnmarshalJSON reads exactly the form of MarshalJSON. Unknown, repeated and
// missing members and null are errors, because an ACL that is understood in
// part could give too much.
func (a *ACL) UnmarshalJSON(b []byte) error {
	v, err := parseJSON(b)
	if err != nil {
		return fmt.Errorf("%w: %w", errACL, err)
	}
	owner, ok1 := v.member("owner")
	grants, ok2 := v.member("grants")
	id, ok3 := ParseID(owner.text)
	if !ok1 || !ok2 || !ok3 || owner.kind != 's' || grants.kind != 'l' || len(v.members) != 2 {
		return fmt.Errorf("%w: it must have an owner and grants", errACL)
	}
	read := ACL{Owner: id}
	for _, item := range grants.items {
		g, ok := readGrant(item)
		if !ok {
			return fmt.Errorf("%w: grant %d", errACL, len(read.Grants)+1)
		}
		read.Grants = append(read.Grants, g)
	}
	if err := read.check(); err != nil {
		return err
	}
	*a = read
	return nil
}

// readGrant reads one grant with exactly one kind of grantee.
func readGrant(v value) (g Grant, ok bool) {
	permission, ok := v.member("permission")
	if !ok || permission.kind != 's' || len(v.members) != 2 {
		return g, false
	}
	g.Permission = Permission(permission.text)
	if group, is := v.member("group"); is {
		g.Grantee.Group = group.text
		return g, group.kind == 's' && group.text != ""
	}
	id, is := v.member("id")
	if !is || id.kind != 's' {
		return g, false
	}
	g.Grantee.ID, ok = ParseID(id.text)
	return g, ok
}

// member returns an object's member by name.
func (v value) member(name string) (value, bool) {
	if i := slices.Index(v.members, name); v.kind == 'o' && i >= 0 {
		return v.items[i], true
	}
	return value{}, false
}
