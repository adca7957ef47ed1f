package admin

import (
	"context"
	"time"

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

// Buckets is one page of buckets.
type Buckets struct {
	Buckets []Bucket `json:"buckets"`        // in the order of their names
	Next    string   `json:"next,omitempty"` // the value of `after` for the next page; absent on the last one
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
		page.Buckets = append(page.Buckets, Bucket{
			b.Name, b.ID.String(), b.Owner.Canonical(), name, b.Region, b.Residency, shown(b.Created),
		})
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return page, nil
}
