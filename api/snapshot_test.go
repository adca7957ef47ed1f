package api_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// identityKinds are all kinds of identities of a tenant.
var identityKinds = []meta.IdentityKind{meta.IdentityUser, meta.IdentityGroup, meta.IdentityRole, meta.IdentityPolicy, meta.IdentityProvider}

// picture is all state that a request could change, by name.
type picture struct {
	t   *testing.T
	all map[string]string
}

func (p picture) keep(name string, v any, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	p.all[name] = fmt.Sprintf("%+v", v)
}

// snapshot is the state of store and backend: buckets with their settings,
// versions and usage, uploads with their parts, the ledger, and tenants with
// their identities and access keys. Each list must fit into one page.
func snapshot(t *testing.T, g *gatewaytest.Gateway) map[string]string {
	t.Helper()
	ctx, p := context.Background(), picture{t: t, all: make(map[string]string)}
	buckets, err := g.Store.ListBuckets(ctx, meta.BucketQuery{Limit: meta.MaxPage})
	p.keep("buckets", buckets, err)
	for _, b := range buckets {
		versions, err := g.Store.ListVersions(ctx, meta.VersionQuery{Bucket: b.ID, Limit: meta.MaxPage})
		p.keep("versions of "+b.Name, versions, err)
		settings, err := g.Store.BucketSettings(ctx, b.ID)
		p.keep("settings of "+b.Name, settings, err)
		usage, err := g.Store.BucketUsage(ctx, b.ID)
		p.keep("usage of "+b.Name, usage, err)
	}
	objects, err := g.Store.ScanObjects(ctx, meta.ObjectPosition{}, meta.MaxPage)
	p.keep("objects", objects, err)
	uploads, err := g.Store.ScanUploads(ctx, meta.ID{}, meta.MaxPage)
	p.keep("uploads", uploads, err)
	for _, u := range uploads {
		parts, err := g.Store.ScanParts(ctx, u.ID, 0, meta.MaxPage)
		p.keep("parts of "+u.ID.String(), parts, err)
	}
	ledger, err := g.Store.ScanBlobs(ctx, meta.BlobPosition{}, meta.MaxPage)
	p.keep("ledger", ledger, err)
	var blobs []backends.Info
	for info, err := range g.Backend.List(ctx, backends.BlobID{}) {
		if err != nil {
			t.Fatalf("backend: %v", err)
		}
		blobs = append(blobs, info)
	}
	p.keep("blobs", blobs, nil)
	p.tenants(ctx, g.Store)
	return p.all
}

func (p picture) tenants(ctx context.Context, store meta.Store) {
	p.t.Helper()
	tenants, err := store.ListTenants(ctx, "", meta.MaxPage)
	p.keep("tenants", tenants, err)
	for _, tenant := range tenants {
		keys, err := store.ListAccessKeys(ctx, tenant.ID)
		p.keep("access keys of "+tenant.Name, keys, err)
		for _, kind := range identityKinds {
			identities, err := store.ListIdentities(ctx, tenant.ID, kind, "", meta.MaxPage)
			p.keep(fmt.Sprintf("identities of %s, kind %d", tenant.Name, kind), identities, err)
			for _, i := range identities {
				keys, err := store.ListAccessKeys(ctx, i.ID)
				p.keep("access keys of "+tenant.Name+"'s "+i.Name, keys, err)
			}
		}
	}
}

// wantUnchanged demands that nothing differs from the snapshot.
func wantUnchanged(t *testing.T, g *gatewaytest.Gateway, before map[string]string) {
	t.Helper()
	after := snapshot(t, g)
	for name, was := range before {
		if is, ok := after[name]; !ok || is != was {
			t.Errorf("%s changed:\nbefore %s\nafter  %s", name, was, is)
		}
		delete(after, name)
	}
	if !reflect.DeepEqual(after, map[string]string{}) {
		t.Errorf("more than before: %v", after)
	}
}
