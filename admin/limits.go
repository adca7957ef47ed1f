package admin

import (
	"context"
	"net/http"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// Limits are the limits of a tenant, user or bucket. An absent one is no limit.
type Limits struct {
	meta.Limits
	Usage *Usage `json:"usage,omitempty"` // what a tenant or bucket takes up now
}

// SetLimits are new limits; 0 removes a limit.
type SetLimits struct{ meta.Limits }

// Usage is the stored amount: see meta.Usage.
type Usage struct {
	Bytes     int64 `json:"bytes"`      // of all versions of all objects, before sealing
	Versions  int64 `json:"versions"`   // of objects, delete markers not counted
	Markers   int64 `json:"markers"`    // delete markers
	Uploads   int64 `json:"uploads"`    // open multipart uploads
	Parts     int64 `json:"parts"`      // of open uploads
	PartBytes int64 `json:"part_bytes"` // of parts of open uploads
}

// limitsReply is the answer for a holder whose usage is counted.
func limitsReply(l meta.Limits, u meta.Usage) (any, error) {
	return Limits{l, (*Usage)(&u)}, nil
}

// newLimits changes limits by the body of a request.
func (r *request) newLimits(l *meta.Limits) error {
	// Decoding into the present limits keeps those that a PATCH leaves out. A
	// PUT begins with none.
	in := SetLimits{*l}
	if err := r.decode(&in); err != nil {
		return err
	}
	*l = in.Limits
	return l.Check()
}

// changeLimits carries out a request: a PUT replaces all limits, including
// unreadable ones; a PATCH changes the limits in its body.
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

// getTenantLimits also shows the usage that the limits are compared with.
func (s *Server) getTenantLimits(ctx context.Context, r *request) (any, error) {
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return nil, err
	}
	l, err := s.accounts.Limits(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	u, err := s.engine.Buckets().TenantUsage(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return limitsReply(l, u)
}

// setTenantLimits replaces or changes a tenant's limits.
func (s *Server) setTenantLimits(ctx context.Context, r *request) (any, error) {
	t, err := s.tenantOf(ctx, r)
	if err != nil {
		return nil, err
	}
	return r.changeLimits(
		func(l meta.Limits) error { return s.accounts.SetLimits(ctx, t.ID, l) },
		func(change func(*meta.Limits) error) error { return s.accounts.ChangeLimits(ctx, t.ID, change) })
}

// bucketNamed returns the bucket that the path names.
func (s *Server) bucketNamed(ctx context.Context, r *request) (meta.Bucket, error) {
	name, err := r.parameter("bucket")
	if err != nil {
		return meta.Bucket{}, err
	}
	return s.engine.Buckets().Get(ctx, name)
}

// getBucketLimits also shows the usage that the limits are compared with.
func (s *Server) getBucketLimits(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	l, err := s.engine.Buckets().Limits(ctx, b)
	if err != nil {
		return nil, err
	}
	u, err := s.engine.Buckets().Usage(ctx, b)
	if err != nil {
		return nil, err
	}
	return limitsReply(l, u)
}

// setBucketLimits replaces or changes a bucket's limits.
func (s *Server) setBucketLimits(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	return r.changeLimits(
		func(l meta.Limits) error { return s.engine.Buckets().SetLimits(ctx, b, l) },
		func(change func(*meta.Limits) error) error { return s.engine.Buckets().ChangeLimits(ctx, b, change) })
}

// getUserLimits shows no usage, because stored bytes count for the tenant and
// the bucket.
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

// setUserLimits changes a user's limits within its identity, which is sealed as
// a whole.
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

// userNamed returns the tenant that the path names, and the name of the user in
// the path, which need not exist.
func (s *Server) userNamed(ctx context.Context, r *request) (t meta.Tenant, name string, err error) {
	if t, err = s.tenantOf(ctx, r); err == nil {
		name, err = r.parameter("user")
	}
	return t, name, err
}
