package admin

import (
	"context"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// User is a user of a tenant.
type User struct {
	Name   string `json:"name"`   // 1 to 64 letters, digits and `+ = , . @ _ -`
	Tenant string `json:"tenant"` // the name of its tenant
}

// NewUser is a user with its first credential; the only answer with its secret.
type NewUser struct {
	User
	AccessKey string `json:"access_key"` // of the new credential
	SecretKey string `json:"secret_key"` // shown in this answer alone
}

// Users is one page of users.
type Users struct {
	Users []User `json:"users"`          // in the order of their names
	Next  string `json:"next,omitempty"` // the value of `after` for the next page; absent on the last one
}

// CreateUser is the body of POST /v1/tenants/{tenant}/users.
type CreateUser struct {
	Name      string `json:"name"`                 // as of a User
	Policy    string `json:"policy,omitempty"`     // the text of an inline policy, which gets the name `policy`; absent: the user has no rights
	AccessKey string `json:"access_key,omitempty"` // as of CreateTenant
	SecretKey string `json:"secret_key,omitempty"` // as of CreateTenant
}

// createUser creates the user before its credential. If that fails, it removes
// the user again.
func (s *Server) createUser(ctx context.Context, r *request) (any, error) {
	var in CreateUser
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return nil, err
	}
	u := accounts.Identity{Tenant: t.ID, Kind: meta.IdentityUser, Name: in.Name}
	if in.Policy != "" {
		// The policy is checked before anything is created.
		if _, err := access.ParseIdentityPolicy("policy", []byte(in.Policy)); err != nil {
			return nil, err
		}
		u.Inline = []accounts.InlinePolicy{{Name: "policy", Document: in.Policy}}
	}
	if u, err = s.accounts.CreateIdentity(ctx, u); err != nil {
		return nil, err
	}
	cred, err := s.accounts.CreateAccessKey(ctx, t, u.ID, in.AccessKey, in.SecretKey)
	if err != nil {
		if undone := s.accounts.DeleteIdentity(ctx, u); undone != nil {
			s.log.Warn("a user was left without a credential; delete it or create an access key", "tenant", t.Name, "user", u.Name, "error", undone)
		}
		return nil, err
	}
	return NewUser{User{u.Name, t.Name}, cred.AccessKey, cred.SecretKey}, nil
}

// listUsers lists the users of a tenant page by page.
func (s *Server) listUsers(ctx context.Context, r *request) (any, error) {
	after, limit, err := r.page()
	if err != nil {
		return nil, err
	}
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return nil, err
	}
	found, err := s.accounts.ListIdentities(ctx, t.ID, meta.IdentityUser, after, limit)
	if err != nil {
		return nil, err
	}
	page := Users{Users: []User{}}
	for _, u := range found {
		page.Users = append(page.Users, User{u.Name, t.Name})
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return page, nil
}

// deleteUser removes a user with its credentials, whatever rights it has.
func (s *Server) deleteUser(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("user")
	if err != nil {
		return nil, err
	}
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.accounts.Identity(ctx, t.ID, meta.IdentityUser, name)
	if err != nil {
		return nil, err
	}
	// The credentials go first. If this is interrupted, the user has none and
	// can be deleted again.
	keys, err := s.accounts.AccessKeys(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := s.accounts.DeleteAccessKey(ctx, k.ID); err != nil {
			return nil, err
		}
	}
	if err := s.accounts.DeleteIdentity(ctx, u); err != nil {
		return nil, err
	}
	return nil, nil
}
