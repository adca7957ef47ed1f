package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Bucket is a bucket as this interface shows it. ID is what logs and fsck may name it
// by, Owner a canonical user id, Tenant the owner's name.
type Bucket struct {
	Name   string `json:"name"`
	ID     string `json:"id"`
	Owner  string `json:"owner"`
	Tenant string `json:"tenant,omitempty"`
	Region string `json:"region,omitempty"`
	// Residency is what every backend that holds bytes of its objects must be:
	// each entry a backend's name, region or jurisdiction.
	Residency []string  `json:"residency,omitempty"`
	Created   time.Time `json:"created"`
}

// Buckets is one page; Next, when not empty, is what after must be to go on.
type Buckets struct {
	Buckets []Bucket `json:"buckets"`
	Next    string   `json:"next,omitempty"`
}

func (s *Server) listBuckets(ctx context.Context, r *request) (reply, error) {
	after, limit, err := r.page("prefix")
	if err != nil {
		return reply{}, err
	}
	prefix, _ := r.query.Get("prefix")
	found, err := s.engine.ListBuckets(ctx, meta.BucketQuery{Prefix: prefix, After: after, Limit: limit})
	if err != nil {
		return reply{}, err
	}
	page := Buckets{Buckets: []Bucket{}}
	tenants := map[meta.ID]string{}
	for _, b := range found {
		name, known := tenants[b.Owner]
		if !known {
			t, err := s.accounts.Tenant(ctx, b.Owner)
			if err != nil {
				return reply{}, err
			}
			name, tenants[b.Owner] = t.Name, t.Name
		}
		page.Buckets = append(page.Buckets, Bucket{b.Name, b.ID.String(), b.Owner.Canonical(), name, b.Region, b.Residency, shown(b.Created)})
	}
	if len(found) == limit {
		page.Next = found[limit-1].Name
	}
	return reply{http.StatusOK, page}, nil
}
