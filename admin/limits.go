package admin

import (
	"context"
	"net/http"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// Limits are what something may take up, as this interface shows and takes it; 0:
// no limit. Usage is what a tenant or bucket takes up now.
type Limits struct {
	meta.Limits
	Usage *Usage `json:"usage,omitempty"`
}

// Usage is what is stored: see meta.Usage.
type Usage struct {
	Bytes     int64 `json:"bytes"`
	Versions  int64 `json:"versions"`
	Markers   int64 `json:"markers"`
	Uploads   int64 `json:"uploads"`
	Parts     int64 `json:"parts"`
	PartBytes int64 `json:"part_bytes"`
}

func limitsReply(l meta.Limits, u meta.Usage) (reply, error) {
	return reply{http.StatusOK, Limits{l, (*Usage)(&u)}}, nil
}

// newLimits changes limits by the body of a request.
func (r *request) newLimits(l *meta.Limits) error {
	if err := r.decode(l); err != nil {
		return err
	}
	return l.Check()
}

// changeLimits does what a request asks: a PUT replaces all limits, also those that
// cannot be read, a PATCH those that its body names.
func (r *request) changeLimits(set func(meta.Limits) error, change func(func(*meta.Limits) error) error) (reply, error) {
	done := reply{status: http.StatusNoContent}
	if r.http.Method == http.MethodPatch {
		return done, change(r.newLimits)
	}
	var l meta.Limits
	if err := r.newLimits(&l); err != nil {
		return reply{}, err
	}
	return done, set(l)
}

func (s *Server) tenantNamed(ctx context.Context, r *request) (meta.Tenant, error) {
	name, err := r.parameter("tenant")
	if err != nil {
		return meta.Tenant{}, err
	}
	return s.accounts.TenantByName(ctx, name)
}

func (s *Server) getTenantLimits(ctx context.Context, r *request) (reply, error) {
	t, err := s.tenantNamed(ctx, r)
	if err != nil {
		return reply{}, err
	}
	l, err := s.accounts.Limits(ctx, t.ID)
	if err != nil {
		return reply{}, err
	}
	u, err := s.engine.TenantUsage(ctx, t.ID)
	if err != nil {
		return reply{}, err
	}
	return limitsReply(l, u)
}

func (s *Server) setTenantLimits(ctx context.Context, r *request) (reply, error) {
	t, err := s.tenantNamed(ctx, r)
	if err != nil {
		return reply{}, err
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

func (s *Server) getBucketLimits(ctx context.Context, r *request) (reply, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return reply{}, err
	}
	l, err := s.engine.BucketLimits(ctx, b)
	if err != nil {
		return reply{}, err
	}
	u, err := s.engine.BucketUsage(ctx, b)
	if err != nil {
		return reply{}, err
	}
	return limitsReply(l, u)
}

func (s *Server) setBucketLimits(ctx context.Context, r *request) (reply, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return reply{}, err
	}
	return r.changeLimits(
		func(l meta.Limits) error { return s.engine.SetBucketLimits(ctx, b, l) },
		func(change func(*meta.Limits) error) error { return s.engine.ChangeBucketLimits(ctx, b, change) })
}

func (s *Server) getUserLimits(ctx context.Context, r *request) (reply, error) {
	t, name, err := s.userNamed(ctx, r)
	if err != nil {
		return reply{}, err
	}
	i, err := s.accounts.Identity(ctx, t.ID, meta.IdentityUser, name)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, Limits{Limits: i.Limits}}, nil
}

func (s *Server) setUserLimits(ctx context.Context, r *request) (reply, error) {
	t, name, err := s.userNamed(ctx, r)
	if err != nil {
		return reply{}, err
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
