package admin

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// RevokeKeys says whose keys are revoked: exactly one of its fields is set.
type RevokeKeys struct {
	Bucket   string `json:"bucket,omitempty"`   // the name of a bucket
	Provider string `json:"provider,omitempty"` // the name of a key provider in the configuration
	All      bool   `json:"all,omitempty"`      // of all buckets
}

// Revocation is a revocation in force.
type Revocation struct {
	Bucket   string    `json:"bucket,omitempty"`    // the name that the bucket had
	BucketID string    `json:"bucket_id,omitempty"` // its id
	Provider string    `json:"provider,omitempty"`  // the name of a key provider
	All      bool      `json:"all,omitempty"`       // of all buckets
	By       string    `json:"by"`                  // the access key of who revoked
	At       time.Time `json:"at"`                  // when it was
}

// Revocations are the revocations in force.
type Revocations struct {
	Revocations []Revocation `json:"revocations"` // the oldest first
	// Edited says that all keys are revoked, because the list in the store is not the one
	// that was written last.
	Edited string `json:"edited,omitempty"`
}

// keysNamed reads the body, which must name one thing.
func keysNamed(r *request) (k RevokeKeys, named engine.Revoked, err error) {
	if err := r.decode(&k); err != nil {
		return k, named, err
	}
	n := 0
	for _, set := range []bool{k.Bucket != "", k.Provider != "", k.All} {
		if set {
			n++
		}
	}
	if n != 1 {
		return k, named, s3err.New(s3err.InvalidArgument, "Name a bucket, a key provider, or all: one of them.")
	}
	return k, engine.Revoked{Name: k.Bucket, Provider: k.Provider}, nil
}

func (s *Server) listRevocations(context.Context, *request) (any, error) {
	list, broken := s.engine.Revocations().List()
	all := Revocations{Revocations: []Revocation{}}
	for _, v := range list {
		shown := Revocation{Bucket: v.Name, Provider: v.Provider, All: v.All(), By: v.By, At: shown(v.At)}
		if !v.Bucket.IsZero() {
			shown.BucketID = v.Bucket.String()
		}
		all.Revocations = append(all.Revocations, shown)
	}
	if broken != nil {
		all.Edited = broken.Error()
	}
	return all, nil
}

func (s *Server) revokeKeys(ctx context.Context, r *request) (any, error) {
	k, named, err := keysNamed(r)
	if err != nil {
		return nil, err
	}
	if k.Bucket != "" {
		b, err := s.engine.Buckets().Get(ctx, k.Bucket)
		if err != nil {
			return nil, err
		}
		named.Bucket = b.ID
	}
	return nil, s.engine.Revocations().Revoke(ctx, named, r.by)
}

func (s *Server) restoreKeys(ctx context.Context, r *request) (any, error) {
	_, named, err := keysNamed(r)
	if err != nil {
		return nil, err
	}
	return nil, s.engine.Revocations().Restore(ctx, named)
}
