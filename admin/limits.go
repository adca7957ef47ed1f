package admin

import (
	"context"
	"net/http"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// Limits are what a tenant, user or bucket may take up. A limit that is absent is none.
type Limits struct {
	meta.Limits
	Usage *Usage `json:"usage,omitempty"` // what a tenant or bucket takes up now
}

// SetLimits are limits as they shall be; 0 takes one away.
type SetLimits struct{ meta.Limits }

// Usage is what is stored: see meta.Usage.
type Usage struct {
	Bytes     int64 `json:"bytes"`      // of all versions of all objects, before sealing
	Versions  int64 `json:"versions"`   // of objects, delete markers not counted
	Markers   int64 `json:"markers"`    // delete markers
	Uploads   int64 `json:"uploads"`    // open multipart uploads
	Parts     int64 `json:"parts"`      // of open uploads
	PartBytes int64 `json:"part_bytes"` // of parts of open uploads
}

func limitsReply(l meta.Limits, u meta.Usage) (any, error) {
	return Limits{l, (*Usage)(&u)}, nil
}

// newLimits changes limits by the body of a request.
func (r *request) newLimits(l *meta.Limits) error {
	in := SetLimits{*l}
	if err := r.decode(&in); err != nil {
		return err
	}
	*l = in.Limits
	return l.Check()
}

// changeLimits does what a request asks: a PUT replaces all limits, also those that
// cannot be read, a PATCH those that its body names.
func (r *request) changeLimits(set func(meta.Limits) error, change func(func(*meta.Limits) error) error) (any, error) {
	if r.http.Method == http.MethodPatch {
		return nil, change(r.newLimits)
	}
	var l meta.Limits
	if err := r.newLimits(&l); err != nil {
		return nil, err
	}
	return nil, set(l)
}

func (s *Server) tenantNamed(ctx context.Context, r *request) (meta.Tenant, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return meta.Tenant{}, err
	}
	return s.accounts.TenantByName(ctx, name)
}

func (s *Server) getTenantLimits(ctx context.Context, r *request) (any, error) {
	t, err := s.tenantNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	l, err := s.accounts.Limits(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	u, err := s.engine.TenantUsage(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return limitsReply(l, u)
}

func (s *Server) setTenantLimits(ctx context.Context, r *request) (any, error) {
	t, err := s.tenantNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	return r.changeLimits(
		func(l meta.Limits) error { return s.accounts.SetLimits(ctx, t.ID, l) },
		func(change func(*meta.Limits) error) error { return s.accounts.ChangeLimits(ctx, t.ID, change) })
}

func (s *Server) bucketNamed(ctx context.Context, r *request) (meta.Bucket, error) {
	name, err := r.parameter("bucket")
	if err != nil {
		return meta.Bucket{}, err
	}
	return s.engine.Bucket(ctx, name)
}

func (s *Server) getBucketLimits(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	l, err := s.engine.BucketLimits(ctx, b)
	if err != nil {
		return nil, err
	}
	u, err := s.engine.BucketUsage(ctx, b)
	if err != nil {
		return nil, err
	}
	return limitsReply(l, u)
}

func (s *Server) setBucketLimits(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	return r.changeLimits(
		func(l meta.Limits) error { return s.engine.SetBucketLimits(ctx, b, l) },
		func(change func(*meta.Limits) error) error { return s.engine.ChangeBucketLimits(ctx, b, change) })
}

func (s *Server) getUserLimits(ctx context.Context, r *request) (any, error) {
	t, name, err := s.userNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	i, err := s.accounts.Identity(ctx, t.ID, meta.IdentityUser, name)
	if err != nil {
		return nil, err
	}
	return Limits{Limits: i.Limits}, nil
}

func (s *Server) setUserLimits(ctx context.Context, r *request) (any, error) {
	t, name, err := s.userNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	change := func(change func(*meta.Limits) error) error {
		_, err := s.accounts.ChangeIdentity(ctx, t.ID, meta.IdentityUser, name, func(i *accounts.Identity) error {
			if err := change(&i.Limits); err != nil {
				return err
			}
			return i.Limits.CheckUser()
		})
		return err
	}
	return r.changeLimits(func(l meta.Limits) error {
		return change(func(was *meta.Limits) error { *was = l; return nil })
	}, change)
}

func (s *Server) userNamed(ctx context.Context, r *request) (t meta.Tenant, name string, err error) {
	if t, err = s.tenantNamed(ctx, r); err == nil {
		name, err = r.parameter("user")
	}
	return t, name, err
}
