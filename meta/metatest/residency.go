package metatest

import (
	"errors"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

func testResidency(f *fixture) {
	u := meta.Tenant{ID: meta.NewID(), Name: "ann", Created: f.now, Residency: "eu-central-1"}
	f.ok(f.s.CreateTenant(f.ctx, u, meta.AccessKey{ID: "AK", Created: f.now}))
	wantTenant := func() {
		f.Helper()
		got, err := f.s.Tenant(f.ctx, u.ID)
		f.ok(err)
		same(f, got, u)
		got, err = f.s.TenantByName(f.ctx, "ann")
		f.ok(err)
		same(f, got, u)
		us, err := f.s.ListTenants(f.ctx, "", 1)
		f.ok(err)
		same(f, us, []meta.Tenant{u})
	}
	wantTenant()
	for _, u.Residency = range []string{"", "Bundesländer, deutsche", strings.Repeat("r", meta.MaxPlaceName)} {
		f.ok(f.updateTenant(u.ID, func(now *meta.Tenant) { now.Residency = u.Residency }))
		wantTenant()
	}
	f.is(f.updateTenant(meta.NewID(), func(now *meta.Tenant) { now.Residency = "eu" }), meta.ErrNotFound)

	create := func(residency []string) (meta.Bucket, error) {
		id := meta.NewID()
		b := meta.Bucket{ID: id, Name: id.String(), Owner: u.ID, Residency: residency, Backend: here, Created: f.now, Generation: 1}
		return b, f.s.CreateBucket(f.ctx, b, meta.BucketSeed{Bucket: id, Generation: 1}, meta.MaxBucketCount)
	}
	most := slices.Repeat([]string{strings.Repeat("r", meta.MaxPlaceName)}, meta.MaxResidency)
	for _, residency := range [][]string{nil, {"eu"}, {"eu", "EU", "de, fr"}, {"b", "a"}, most} {
		b, err := create(residency)
		f.ok(err)
		got, err := f.s.Bucket(f.ctx, b.Name)
		f.ok(err)
		same(f, got, b)
		list, err := f.s.ListBuckets(f.ctx, meta.BucketQuery{Owner: u.ID, Prefix: b.Name, Limit: 1})
		f.ok(err)
		same(f, list, []meta.Bucket{b})
	}
	if b, err := create([]string{}); err != nil {
		f.Fatal(err)
	} else if got, err := f.s.Bucket(f.ctx, b.Name); err != nil || len(got.Residency) != 0 {
		f.Fatalf("residency is %q, %v", got.Residency, err)
	}
	f.refusedResidency(u, create)
	wantTenant()
}

// refusedResidency tests invalid entries: they would read back as other entries.
func (f *fixture) refusedResidency(u meta.Tenant, create func([]string) (meta.Bucket, error)) {
	f.Helper()
	for _, bad := range []string{"a\nb", "\n", "a\x00", strings.Repeat("r", meta.MaxPlaceName+1)} {
		f.is(f.updateTenant(u.ID, func(now *meta.Tenant) { now.Residency = bad }), meta.ErrLimit)
		f.is(f.s.CreateTenant(f.ctx, meta.Tenant{ID: meta.NewID(), Name: "bob", Residency: bad}, meta.AccessKey{ID: "bobs"}), meta.ErrLimit)
		_, err := create([]string{"eu", bad})
		f.is(err, meta.ErrLimit)
	}
	for _, bad := range [][]string{{""}, {"eu", ""}, slices.Repeat([]string{"eu"}, meta.MaxResidency+1)} {
		if _, err := create(bad); !errors.Is(err, meta.ErrLimit) {
			f.Errorf("residency %q: %v", bad, err)
		}
	}
}
