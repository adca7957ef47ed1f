package metatest

import (
	"reflect"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// same fails the test unless got is want, field by field.
func same[T any](f *fixture, got, want T) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func testDeployment(f *fixture) {
	_, err := f.s.Deployment(f.ctx)
	f.is(err, meta.ErrNotFound)
	f.is(f.s.AdvanceEpoch(f.ctx, here, 0, 1), meta.ErrConflict)
	bs, err := f.s.ListBackends(f.ctx)
	f.ok(err)
	same(f, bs, nil)

	root := meta.Tenant{ID: meta.NewID(), Name: "root", Created: f.now}
	d := meta.Deployment{ID: meta.NewID(), Root: root.ID, Seed: []byte("seed"), Created: f.now}
	first := f.backend(here, "first")
	first.Epoch = 4
	f.ok(f.s.InitDeployment(f.ctx, d, root, first))
	other := d
	other.ID = meta.NewID()
	f.is(f.s.InitDeployment(f.ctx, other, meta.Tenant{ID: meta.NewID(), Name: "another", Created: f.now}, first), meta.ErrExists)
	if _, err := f.s.TenantByName(f.ctx, "another"); err == nil {
		f.Fatal("the tenant of a refused initialisation exists")
	}

	got, err := f.s.Deployment(f.ctx)
	f.ok(err)
	same(f, got, d)
	u, err := f.s.Tenant(f.ctx, root.ID)
	f.ok(err)
	same(f, u, root)
	bs, err = f.s.ListBackends(f.ctx)
	f.ok(err)
	first.State = meta.BackendActive
	same(f, bs, []meta.Backend{first})
}

func (f *fixture) tenant(name string) (meta.Tenant, meta.AccessKey) {
	f.Helper()
	u := meta.Tenant{ID: meta.NewID(), Name: name, Created: f.now}
	k := meta.AccessKey{ID: "AK" + name, User: u.ID, Secret: []byte("sealed " + name), Created: f.now}
	f.ok(f.s.CreateTenant(f.ctx, u, k))
	return u, k
}

func testTenants(f *fixture) {
	u, k := f.tenant("ann")
	got, err := f.s.TenantByName(f.ctx, "ann")
	f.ok(err)
	same(f, got, u)
	_, err = f.s.TenantByName(f.ctx, "Ann")
	f.is(err, meta.ErrNotFound)
	_, err = f.s.Tenant(f.ctx, meta.NewID())
	f.is(err, meta.ErrNotFound)

	f.is(f.s.CreateTenant(f.ctx, meta.Tenant{ID: meta.NewID(), Name: "ann"}, meta.AccessKey{ID: "fresh"}), meta.ErrExists)
	f.is(f.s.CreateTenant(f.ctx, meta.Tenant{ID: meta.NewID(), Name: "bob"}, k), meta.ErrExists)
	_, err = f.s.TenantByName(f.ctx, "bob")
	f.is(err, meta.ErrNotFound)
	_, err = f.s.AccessKey(f.ctx, "fresh")
	f.is(err, meta.ErrNotFound)

	f.tenant("\xff")
	f.tenant("Zoe")
	var names []string
	for after := ""; ; {
		page, err := f.s.ListTenants(f.ctx, after, 2)
		f.ok(err)
		for _, u := range page {
			names = append(names, u.Name)
			after = u.Name
		}
		if len(page) < 2 {
			break
		}
	}
	same(f, names, []string{"Zoe", "ann", "fixture's root", "\xff"})

	b := meta.Bucket{ID: meta.NewID(), Name: "anns", Owner: u.ID, Backend: here, Created: f.now}
	f.ok(f.s.CreateBucket(f.ctx, b, meta.BucketSeed{Bucket: b.ID, Generation: 1}, meta.MaxBucketCount))
	f.is(f.s.DeleteTenant(f.ctx, u.ID), meta.ErrNotEmpty)
	f.ok(f.s.DeleteBucket(f.ctx, b.ID))
	f.ok(f.s.DeleteTenant(f.ctx, u.ID))
	f.is(f.s.DeleteTenant(f.ctx, u.ID), meta.ErrNotFound)
	_, err = f.s.AccessKey(f.ctx, k.ID)
	f.is(err, meta.ErrNotFound)
	again, _ := f.tenant("ann")
	if again.ID == u.ID {
		f.Fatal("a tenant made again has the id of the last")
	}
}

func testAccessKeys(f *fixture) {
	u, first := f.tenant("ann")
	second := meta.AccessKey{ID: "AKa", User: u.ID, Secret: []byte{0, 255}, Created: f.now}
	f.ok(f.s.CreateAccessKey(f.ctx, second))
	f.is(f.s.CreateAccessKey(f.ctx, second), meta.ErrExists)
	f.is(f.s.CreateAccessKey(f.ctx, meta.AccessKey{ID: "x", User: meta.NewID()}), meta.ErrNotFound)
	f.tenant("bob")

	got, err := f.s.ListAccessKeys(f.ctx, u.ID)
	f.ok(err)
	same(f, got, []meta.AccessKey{second, first})
	k, err := f.s.AccessKey(f.ctx, "AKa")
	f.ok(err)
	same(f, k, second)
	_, err = f.s.AccessKey(f.ctx, "aka")
	f.is(err, meta.ErrNotFound)
	for _, second.Inactive = range []bool{true, true, false} {
		f.ok(f.s.UpdateAccessKey(f.ctx, k, second))
		k, err = f.s.AccessKey(f.ctx, "AKa")
		f.ok(err)
		same(f, k, second)
	}
	f.is(f.s.UpdateAccessKey(f.ctx, k, meta.AccessKey{ID: "AKA"}), meta.ErrNotFound)
	third := meta.AccessKey{ID: "AKc", User: u.ID, Created: f.now, Inactive: true}
	f.ok(f.s.CreateAccessKey(f.ctx, third))
	got, err = f.s.ListAccessKeys(f.ctx, u.ID)
	f.ok(err)
	same(f, got, []meta.AccessKey{second, first, third})
	f.ok(f.s.DeleteAccessKey(f.ctx, "AKa"))
	f.is(f.s.DeleteAccessKey(f.ctx, "AKa"), meta.ErrNotFound)
}

func testTenantLimits(f *fixture) {
	u := meta.Tenant{ID: meta.NewID(), Name: "ann", Created: f.now, Limits: []byte("sealed")}
	f.ok(f.s.CreateTenant(f.ctx, u, meta.AccessKey{ID: "AK", Created: f.now}))
	for _, limits := range []string{"sealed", "sealed\x00", strings.Repeat("l", meta.MaxLimits), ""} {
		f.ok(f.updateTenant(u.ID, func(u *meta.Tenant) { u.Limits = []byte(limits) }))
		got, err := f.s.Tenant(f.ctx, u.ID)
		f.ok(err)
		if string(got.Limits) != limits {
			f.Fatalf("limits are %q, want %q", got.Limits, limits)
		}
	}
	f.is(f.updateTenant(meta.NewID(), func(*meta.Tenant) {}), meta.ErrNotFound)
}

func testCheck(f *fixture) {
	f.ok(f.s.Check(f.ctx)) // a new store
	root := meta.Tenant{ID: meta.NewID(), Name: "root"}
	f.ok(f.s.InitDeployment(f.ctx, meta.Deployment{ID: meta.NewID(), Root: root.ID}, root, f.backend(here, "first")))
	f.ok(f.s.Check(f.ctx))
}
