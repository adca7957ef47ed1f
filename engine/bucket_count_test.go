package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Requests at the same moment make no more buckets than a tenant may have.
func TestBucketsOfATenantAtOnce(t *testing.T) {
	r := newRig(t)
	r.config.MaxBuckets = 3
	r.reopen()
	tenant, err := r.e.Accounts().CreateTenant(t.Context(), "many", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	made := make([]error, 12)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { _, made[i] = r.e.Buckets().Create(t.Context(), fmt.Sprint("many-", i), "", tenant.Tenant.ID) })
	}
	all.Wait()
	n := 0
	for i, err := range made {
		if err == nil {
			n++
		} else if !errors.Is(err, s3err.TooManyBuckets) {
			t.Errorf("bucket %d: %v", i, err)
		}
	}
	if n != 3 {
		t.Errorf("%d buckets, of 3 at most", n)
	}
}

// A tenant has so many buckets and no more, unless its own limits say otherwise, and
// what others have does not count.
func TestBucketsOfATenant(t *testing.T) {
	r := newRig(t)
	r.config.MaxBuckets = 3
	r.reopen()
	tenant, err := r.e.Accounts().CreateTenant(t.Context(), "many", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	next := 'a'
	create := func(want ...error) {
		t.Helper()
		for _, want := range want {
			_, err := r.e.Buckets().Create(t.Context(), "many-"+string(next), "", tenant.Tenant.ID)
			if next++; !errors.Is(err, want) {
				t.Errorf("bucket %c: %v, want %v", next-1, err, want)
			}
		}
	}
	create(nil, nil, nil, s3err.TooManyBuckets)
	if b, err := r.e.Buckets().Create(t.Context(), "many-b", "", tenant.Tenant.ID); !errors.Is(err, s3err.BucketAlreadyOwnedByYou) || b.Name != "many-b" {
		t.Errorf("one that is there: %q, %v", b.Name, err)
	}
	if _, err := r.e.Buckets().CreateLocked(t.Context(), r.b.Name, "", tenant.Tenant.ID); !errors.Is(err, s3err.BucketAlreadyExists) {
		t.Errorf("one that is another's: %v", err)
	}
	if _, err := r.e.Buckets().Create(t.Context(), "of-root", "", r.e.Accounts().Root().ID); err != nil {
		t.Errorf("another tenant's: %v", err)
	}
	set := func(l meta.Limits) {
		t.Helper()
		if err := r.e.Accounts().SetLimits(t.Context(), tenant.Tenant.ID, l); err != nil {
			t.Fatal(err)
		}
	}
	set(meta.Limits{Buckets: 5})
	create(nil, nil, s3err.TooManyBuckets)
	b, err := r.e.Buckets().Get(t.Context(), "many-a")
	if err == nil {
		err = r.e.Buckets().Delete(t.Context(), b)
	}
	if err != nil {
		t.Fatal(err)
	}
	create(nil, s3err.TooManyBuckets)
	set(meta.Limits{Buckets: 2, Bytes: 1})
	create(s3err.TooManyBuckets)
	set(meta.Limits{})
	create(s3err.TooManyBuckets)
	if err := r.e.Buckets().SetLimits(t.Context(), r.b, meta.Limits{Buckets: 1}); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("a number of buckets for a bucket: %v", err)
	}
	if err := (meta.Limits{Buckets: 1}).CheckUser(); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("a number of buckets for a user: %v", err)
	}
	if err := (meta.Limits{Buckets: -1}).Check(); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("less than none: %v", err)
	}
}
