package admin

import (
	"context"
	"net/http"
	"time"
)

// AccessKey is a credential without its secret.
type AccessKey struct {
	AccessKey string    `json:"access_key"`
	Created   time.Time `json:"created"`
}

// AccessKeys are all credentials of a user.
type AccessKeys struct {
	AccessKeys []AccessKey `json:"access_keys"`
}

// CreateAccessKey is the body of POST /v1/users/{user}/access-keys. What is
// empty is generated; the answer is a NewUser.
type CreateAccessKey struct {
	AccessKey string `json:"access_key,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
}

func (s *Server) createAccessKey(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("user")
	if err != nil {
		return reply{}, err
	}
	var in CreateAccessKey
	if err := r.decode(&in); err != nil {
		return reply{}, err
	}
	t, err := s.engine.TenantByName(ctx, name)
	if err != nil {
		return reply{}, err
	}
	cred, err := s.engine.CreateAccessKey(ctx, t, t.ID, in.AccessKey, in.SecretKey)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, s.newUser(cred)}, nil
}

func (s *Server) listAccessKeys(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("user")
	if err != nil {
		return reply{}, err
	}
	t, err := s.engine.TenantByName(ctx, name)
	if err != nil {
		return reply{}, err
	}
	keys, err := s.engine.AccessKeys(ctx, t.ID)
	if err != nil {
		return reply{}, err
	}
	all := AccessKeys{AccessKeys: []AccessKey{}}
	for _, k := range keys {
		all.AccessKeys = append(all.AccessKeys, AccessKey{k.ID, shown(k.Created)})
	}
	return reply{http.StatusOK, all}, nil
}

func (s *Server) deleteAccessKey(ctx context.Context, r *request) (reply, error) {
	key, err := r.parameter("key")
	if err != nil {
		return reply{}, err
	}
	if err := r.empty(); err != nil {
		return reply{}, err
	}
	if err := s.engine.DeleteAccessKey(ctx, key); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}
