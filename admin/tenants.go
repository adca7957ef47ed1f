package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// Tenant is a tenant as this interface shows it. ID is the canonical owner id that
// S3 listings and ACLs show.
type Tenant struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Account string    `json:"account"` // the number in its ARNs
	Created time.Time `json:"created"`
	Root    bool      `json:"root,omitempty"`
	// Residency is the name, region or jurisdiction of a backend that every
	// bucket of the tenant must be on; empty: any.
	Residency string `json:"residency,omitempty"`
}

// NewTenant is a tenant with its first credential; the only answer with its secret.
type NewTenant struct {
	Tenant
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// Tenants is one page; Next, when not empty, is what after must be to go on.
type Tenants struct {
	Tenants []Tenant `json:"tenants"`
	Next    string   `json:"next,omitempty"`
}

// CreateTenant is the body of POST /v1/tenants. What is empty is generated.
type CreateTenant struct {
	Name      string `json:"name"`
	AccessKey string `json:"access_key,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
	Residency string `json:"residency,omitempty"`
}

// SetResidency is the body of PUT /v1/tenants/{tenant}/residency. Buckets that the
// tenant has stay where they are.
type SetResidency struct {
	Residency string `json:"residency"`
}

// shown is a time as answers have it, the same however it was stored.
func shown(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (s *Server) tenant(u meta.Tenant) Tenant {
	return Tenant{Name: u.Name, ID: u.ID.Canonical(), Account: accounts.Account(u.ID), Created: shown(u.Created), Root: u.ID == s.accounts.Root().ID, Residency: u.Residency}
}

func (s *Server) createTenant(ctx context.Context, r *request) (reply, error) {
	var in CreateTenant
	if err := r.decode(&in); err != nil {
		return reply{}, err
	}
	cred, err := s.accounts.CreateTenant(ctx, in.Name, in.AccessKey, in.SecretKey, in.Residency)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, s.newTenant(cred)}, nil
}

func (s *Server) newTenant(c accounts.Credential) NewTenant {
	return NewTenant{Tenant: s.tenant(c.Tenant), AccessKey: c.AccessKey, SecretKey: c.SecretKey}
}

func (s *Server) listTenants(ctx context.Context, r *request) (reply, error) {
	after, limit, err := r.page()
	if err != nil {
		return reply{}, err
	}
	found, err := s.accounts.Tenants(ctx, after, limit)
	if err != nil {
		return reply{}, err
	}
	page := Tenants{Tenants: []Tenant{}}
	for _, u := range found {
		page.Tenants = append(page.Tenants, s.tenant(u))
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return reply{http.StatusOK, page}, nil
}

func (s *Server) getTenant(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return reply{}, err
	}
	u, err := s.accounts.TenantByName(ctx, name)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, s.tenant(u)}, nil
}

func (s *Server) setResidency(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return reply{}, err
	}
	var in SetResidency
	if err := r.decode(&in); err != nil {
		return reply{}, err
	}
	if err := s.accounts.SetResidency(ctx, name, in.Residency); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}

func (s *Server) deleteTenant(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return reply{}, err
	}
	if err := r.empty(); err != nil {
		return reply{}, err
	}
	if err := s.accounts.DeleteTenant(ctx, name); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}
