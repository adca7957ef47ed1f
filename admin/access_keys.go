package admin

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// AccessKey is a credential without its secret.
type AccessKey struct {
	AccessKey string    `json:"access_key"`         // its id
	Created   time.Time `json:"created"`            // when it was made
	Inactive  bool      `json:"inactive,omitempty"` // it was turned off with the IAM API
}

// AccessKeys are all credentials of a tenant's root or of a user.
type AccessKeys struct {
	AccessKeys []AccessKey `json:"access_keys"` // all of them: there are no pages
}

// CreateAccessKey is the body of POST /v1/tenants/{tenant}/access-keys, and of
// POST /v1/tenants/{tenant}/users/{user}/access-keys. The answer is a NewTenant
// or a NewUser.
type CreateAccessKey struct {
	AccessKey string `json:"access_key,omitempty"` // as of CreateTenant
	SecretKey string `json:"secret_key,omitempty"` // as of CreateTenant
}

// holder returns the holder of the access keys that a request is about: the
// user in the path, or the tenant's root. name is the user's.
func (s *Server) holder(ctx context.Context, r *request) (t meta.Tenant, id meta.ID, name string, err error) {
	if t, err = s.tenantOf(ctx, r); err != nil || !r.has("user") {
		return t, t.ID, "", err
	}
	if name, err = r.parameter("user"); err != nil {
		return t, id, "", err
	}
	u, err := s.accounts.Identity(ctx, t.ID, meta.IdentityUser, name)
	return t, u.ID, u.Name, err
}

// tenantOf returns the tenant that the path names.
func (s *Server) tenantOf(ctx context.Context, r *request) (meta.Tenant, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return meta.Tenant{}, err
	}
	return s.accounts.TenantByName(ctx, name)
}

// createAccessKey answers with the secret, for the only time.
func (s *Server) createAccessKey(ctx context.Context, r *request) (any, error) {
	var in CreateAccessKey
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	t, id, user, err := s.holder(ctx, r)
	if err != nil {
		return nil, err
	}
	cred, err := s.accounts.CreateAccessKey(ctx, t, id, in.AccessKey, in.SecretKey)
	if err != nil {
		return nil, err
	}
	if user != "" {
		return NewUser{User{Name: user, Tenant: t.Name}, cred.AccessKey, cred.SecretKey}, nil
	}
	return s.newTenant(cred), nil
}

// listAccessKeys has no pages, because the keys of a holder are few.
func (s *Server) listAccessKeys(ctx context.Context, r *request) (any, error) {
	_, id, _, err := s.holder(ctx, r)
	if err != nil {
		return nil, err
	}
	keys, err := s.accounts.AccessKeys(ctx, id)
	if err != nil {
		return nil, err
	}
	all := AccessKeys{AccessKeys: []AccessKey{}}
	for _, k := range keys {
		all.AccessKeys = append(all.AccessKeys, AccessKey{k.ID, shown(k.Created), k.Inactive})
	}
	return all, nil
}

// deleteAccessKey needs no holder: an access key is unique in the deployment.
func (s *Server) deleteAccessKey(ctx context.Context, r *request) (any, error) {
	key, err := r.parameter("key")
	if err != nil {
		return nil, err
	}
	if err := s.accounts.DeleteAccessKey(ctx, key); err != nil {
		return nil, err
	}
	return nil, nil
}
