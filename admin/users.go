package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// User is a user as this interface shows it. ID is the canonical owner id that
// S3 listings and ACLs show.
type User struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Root    bool      `json:"root,omitempty"`
	// Residency is the name, region or jurisdiction of a backend that every
	// bucket of the user must be on; empty: any.
	Residency string `json:"residency,omitempty"`
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

// CreateTenant is the body of POST /v1/users. What is empty is generated.
type CreateTenant struct {
	Name      string `json:"name"`
	AccessKey string `json:"access_key,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
	Residency string `json:"residency,omitempty"`
}

// SetResidency is the body of PUT /v1/users/{user}/residency. Buckets that the
// user has stay where they are.
type SetResidency struct {
	Residency string `json:"residency"`
}

// shown is a time as answers have it, the same however it was stored.
func shown(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (s *Server) user(u meta.Tenant) User {
	return User{Name: u.Name, ID: u.ID.Canonical(), Created: shown(u.Created), Root: u.ID == s.engine.Root().ID, Residency: u.Residency}
}

func (s *Server) createUser(ctx context.Context, r *request) (reply, error) {
	var in CreateTenant
	if err := r.decode(&in); err != nil {
		return reply{}, err
	}
	cred, err := s.engine.CreateTenant(ctx, in.Name, in.AccessKey, in.SecretKey, in.Residency)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, s.newUser(cred)}, nil
}

func (s *Server) newUser(c engine.Credential) NewUser {
	return NewUser{User: s.user(c.Tenant), AccessKey: c.AccessKey, SecretKey: c.SecretKey}
}

func (s *Server) listUsers(ctx context.Context, r *request) (reply, error) {
	after, limit, err := r.page()
	if err != nil {
		return reply{}, err
	}
	found, err := s.engine.Tenants(ctx, after, limit)
	if err != nil {
		return reply{}, err
	}
	page := Users{Users: []User{}}
	for _, u := range found {
		page.Users = append(page.Users, s.user(u))
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return reply{http.StatusOK, page}, nil
}

func (s *Server) getUser(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("user")
	if err != nil {
		return reply{}, err
	}
	u, err := s.engine.TenantByName(ctx, name)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, s.user(u)}, nil
}

func (s *Server) setResidency(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("user")
	if err != nil {
		return reply{}, err
	}
	var in SetResidency
	if err := r.decode(&in); err != nil {
		return reply{}, err
	}
	if err := s.engine.SetResidency(ctx, name, in.Residency); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}

func (s *Server) deleteUser(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("user")
	if err != nil {
		return reply{}, err
	}
	if err := r.empty(); err != nil {
		return reply{}, err
	}
	if err := s.engine.DeleteTenant(ctx, name); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}
