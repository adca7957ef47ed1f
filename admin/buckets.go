package admin

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
)

// Bucket is a bucket as this interface shows it.
type Bucket struct {
	Name   string `json:"name"`             // unique among all tenants
	ID     string `json:"id"`               // what logs and `gateway fsck` may name it by
	Owner  string `json:"owner"`            // the id of its tenant
	Tenant string `json:"tenant,omitempty"` // the name of its tenant
	Region string `json:"region,omitempty"` // its LocationConstraint
	// Demands on every backend that holds bytes of its objects: each entry is a
	// backend's name, region or jurisdiction.
	Residency []string  `json:"residency,omitempty"`
	Created   time.Time `json:"created"` // when it was made
}

// BucketProperties is a bucket with its properties that S3 does not have.
type BucketProperties struct {
	Bucket
	Padding string `json:"padding"` // of the lengths of new blobs: `none` or `padme`
}

// SetBucket is the body of PATCH /v1/buckets/{bucket}.
type SetBucket struct {
	// Of the lengths of the blobs of all writes that begin from now on: `none` or `padme`.
	// Absent: it stays.
	Padding string `json:"padding,omitempty"`
}

// Buckets is one page of buckets.
type Buckets struct {
	Buckets []Bucket `json:"buckets"`        // in the order of their names
	Next    string   `json:"next,omitempty"` // the value of `after` for the next page; absent on the last one
}

func shownBucket(b meta.Bucket, tenant string) Bucket {
	return Bucket{b.Name, b.ID.String(), b.Owner.Canonical(), tenant, b.Region, b.Residency, shown(b.Created)}
}

// getBucket shows a bucket with its properties.
func (s *Server) getBucket(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	t, err := s.accounts.Tenant(ctx, b.Owner)
	if err != nil {
		return nil, err
	}
	padding, err := s.engine.Buckets().Padding(ctx, b)
	if err != nil {
		return nil, err
	}
	return BucketProperties{shownBucket(b, t.Name), string(padding)}, nil
}

// setBucket changes the properties that the body has.
func (s *Server) setBucket(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	var in SetBucket
	if err := r.decode(&in); err != nil || in.Padding == "" {
		return nil, err
	}
	padding, err := buckets.ParsePadding(in.Padding)
	if err != nil {
		return nil, err
	}
	return nil, s.engine.Buckets().SetPadding(ctx, b, padding)
}

// listBuckets lists the buckets of all tenants. Each owner is looked up once.
func (s *Server) listBuckets(ctx context.Context, r *request) (any, error) {
	after, limit, err := r.page()
	if err != nil {
		return nil, err
	}
	prefix, _ := r.query.Get("prefix")
	found, err := s.engine.Buckets().List(ctx, meta.BucketQuery{Prefix: prefix, After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	page := Buckets{Buckets: []Bucket{}}
	tenants := map[meta.ID]string{}
	for _, b := range found {
		name, known := tenants[b.Owner]
		if !known {
			t, err := s.accounts.Tenant(ctx, b.Owner)
			if err != nil {
				return nil, err
			}
			name, tenants[b.Owner] = t.Name, t.Name
		}
		page.Buckets = append(page.Buckets, shownBucket(b, name))
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return page, nil
}
