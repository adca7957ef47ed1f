package admin

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// Tenant is a tenant as this interface shows it.
type Tenant struct {
	Name    string    `json:"name"`           // 1 to 64 letters, digits and `+ = . @ _ -`, the first a letter or digit
	ID      string    `json:"id"`             // the canonical owner id that S3 listings and ACLs show
	Account string    `json:"account"`        // the number in its ARNs
	Created time.Time `json:"created"`        // when it was made
	Root    bool      `json:"root,omitempty"` // it is the operator's
	// The name, region or jurisdiction of a backend that every bucket of the tenant
	// must be on; absent: any.
	Residency string `json:"residency,omitempty"`
}

// NewTenant is a tenant with its first credential; the only answer with its
// secret.
type NewTenant struct {
	Tenant
	AccessKey string `json:"access_key"` // of its root
	SecretKey string `json:"secret_key"` // shown in this answer alone
}

// Tenants is one page of tenants.
type Tenants struct {
	Tenants []Tenant `json:"tenants"`        // in the order of their names
	Next    string   `json:"next,omitempty"` // the value of `after` for the next page; absent on the last one
}

// CreateTenant is the body of POST /v1/tenants. Absent values are generated.
type CreateTenant struct {
	Name      string `json:"name"`                 // as of a Tenant
	AccessKey string `json:"access_key,omitempty"` // of its root: 3 to 128 letters, digits, dots, dashes and underscores; generated where it is absent
	SecretKey string `json:"secret_key,omitempty"` // 8 to 128 printable ASCII characters; generated where it is absent
	Residency string `json:"residency,omitempty"`  // as of SetResidency
}

// SetResidency is the body of PUT /v1/tenants/{tenant}/residency. Buckets that the
// tenant has stay where they are.
type SetResidency struct {
	Residency string `json:"residency"` // the name, region or jurisdiction of a configured backend, or empty: any
}

// shown is a time in the form of answers, whatever the store's precision.
func shown(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (s *Server) tenant(u meta.Tenant) Tenant {
	return Tenant{
		Name: u.Name, ID: u.ID.Canonical(), Account: accounts.Account(u.ID), Created: shown(u.Created),
		Root: u.ID == s.accounts.Root().ID, Residency: u.Residency,
	}
}

func (s *Server) createTenant(ctx context.Context, r *request) (any, error) {
	var in CreateTenant
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	cred, err := s.accounts.CreateTenant(ctx, in.Name, in.AccessKey, in.SecretKey, in.Residency)
	if err != nil {
		return nil, err
	}
	return s.newTenant(cred), nil
}

func (s *Server) newTenant(c accounts.Credential) NewTenant {
	return NewTenant{Tenant: s.tenant(c.Tenant), AccessKey: c.AccessKey, SecretKey: c.SecretKey}
}

// listTenants lists tenants page by page.
func (s *Server) listTenants(ctx context.Context, r *request) (any, error) {
	after, limit, err := r.page()
	if err != nil {
		return nil, err
	}
	found, err := s.accounts.Tenants(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	page := Tenants{Tenants: []Tenant{}}
	for _, u := range found {
		page.Tenants = append(page.Tenants, s.tenant(u))
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return page, nil
}

func (s *Server) getTenant(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return nil, err
	}
	u, err := s.accounts.TenantByName(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.tenant(u), nil
}

// setResidency does not move the tenant's present buckets.
func (s *Server) setResidency(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return nil, err
	}
	var in SetResidency
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if err := s.accounts.SetResidency(ctx, name, in.Residency); err != nil {
		return nil, err
	}
	return nil, nil
}

// deleteTenant removes a tenant without buckets.
func (s *Server) deleteTenant(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return nil, err
	}
	if err := s.accounts.DeleteTenant(ctx, name); err != nil {
		return nil, err
	}
	return nil, nil
}
