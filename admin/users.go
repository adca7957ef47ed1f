package admin

import (
	"context"
	"net/http"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// User is a user of a tenant.
type User struct {
	Name   string `json:"name"`
	Tenant string `json:"tenant"`
}

// NewUser is a user with its first credential; the only answer with its secret.
type NewUser struct {
	User
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// Users is one page; Next, when not empty, is what after must be to go on.
type Users struct {
	Users []User `json:"users"`
	Next  string `json:"next,omitempty"`
}

// CreateUser is the body of POST /v1/tenants/{tenant}/users. Policy is the text of
// a policy that the user gets as its own, of the name "policy"; empty: the user has
// no rights. What else is empty is generated.
type CreateUser struct {
	Name      string `json:"name"`
	Policy    string `json:"policy,omitempty"`
	AccessKey string `json:"access_key,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
}

// createUser makes the user before its credential. Where that fails, the user
// goes again.
func (s *Server) createUser(ctx context.Context, r *request) (reply, error) {
	var in CreateUser
	if err := r.decode(&in); err != nil {
		return reply{}, err
	}
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return reply{}, err
	}
	u := accounts.Identity{Tenant: t.ID, Kind: meta.IdentityUser, Name: in.Name}
	if in.Policy != "" {
		if _, err := access.ParseIdentityPolicy("policy", []byte(in.Policy)); err != nil {
			return reply{}, err
		}
		u.Inline = []accounts.InlinePolicy{{Name: "policy", Document: in.Policy}}
	}
	if u, err = s.accounts.CreateIdentity(ctx, u); err != nil {
		return reply{}, err
	}
	cred, err := s.accounts.CreateAccessKey(ctx, t, u.ID, in.AccessKey, in.SecretKey)
	if err != nil {
		if undone := s.accounts.DeleteIdentity(ctx, u); undone != nil {
			s.log.Warn("a user without a credential is left", "tenant", t.Name, "user", u.Name, "error", undone)
		}
		return reply{}, err
	}
	return reply{http.StatusCreated, NewUser{User{u.Name, t.Name}, cred.AccessKey, cred.SecretKey}}, nil
}

func (s *Server) listUsers(ctx context.Context, r *request) (reply, error) {
	after, limit, err := r.page()
	if err != nil {
		return reply{}, err
	}
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return reply{}, err
	}
	found, err := s.accounts.ListIdentities(ctx, t.ID, meta.IdentityUser, after, limit)
	if err != nil {
		return reply{}, err
	}
	page := Users{Users: []User{}}
	for _, u := range found {
		page.Users = append(page.Users, User{u.Name, t.Name})
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return reply{http.StatusOK, page}, nil
}

// deleteUser removes a user with its credentials, whatever rights it has.
func (s *Server) deleteUser(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("user")
	if err != nil {
		return reply{}, err
	}
	if err := r.empty(); err != nil {
		return reply{}, err
	}
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return reply{}, err
	}
	u, err := s.accounts.Identity(ctx, t.ID, meta.IdentityUser, name)
	if err != nil {
		return reply{}, err
	}
	keys, err := s.accounts.AccessKeys(ctx, u.ID)
	if err != nil {
		return reply{}, err
	}
	for _, k := range keys {
		if err := s.accounts.DeleteAccessKey(ctx, k.ID); err != nil {
			return reply{}, err
		}
	}
	if err := s.accounts.DeleteIdentity(ctx, u); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}
