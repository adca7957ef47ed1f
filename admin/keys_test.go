package admin_test

import (
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/s3err"
)

// An operator sees which keys are in use, has all seeds brought under the current one, and
// sees how far that is.
func TestRewrap(t *testing.T) {
	keys := keytest.NewFake("fake")
	s := startWith(t, gatewaytest.Options{Keys: keys})
	create := func(name string) {
		t.Helper()
		if _, err := s.Engine.Buckets().Create(t.Context(), name, "", s.Root.Tenant.ID); err != nil {
			t.Fatal(err)
		}
	}
	seeds := func() map[string]int {
		t.Helper()
		sum := map[string]int{}
		for after := ""; ; {
			var page admin.Keys
			decode(t, s.call(t, "GET", "/v1/keys?limit=2&after="+after, ""), 200, &page)
			for _, k := range page.Keys {
				sum[k.ID] += k.Seeds
			}
			if after = page.Next; after == "" {
				return sum
			}
		}
	}
	for _, name := range []string{"one", "two", "three"} {
		create(name)
	}
	keys.Rotate()
	create("four")
	if got := seeds(); len(got) != 2 || got["key-0"] != 4 || got["key-1"] != 1 {
		t.Errorf("before: %v", got)
	}
	decode(t, s.call(t, "POST", "/v1/keys/rewrap", ""), 204, nil)
	var job admin.Rewrap
	decode(t, s.call(t, "GET", "/v1/keys/rewrap", ""), 200, &job)
	if job.State != "running" || job.Key != "key-1" || job.Started.IsZero() {
		t.Errorf("%+v", job)
	}
	decode(t, s.call(t, "DELETE", "/v1/keys/rewrap", ""), 204, nil)
	decode(t, s.call(t, "POST", "/v1/keys/rewrap", ""), 204, nil)
	steps := rewrap.New(rewrap.Config{Engine: s.Engine})
	for range 50 {
		report, err := steps.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report.State != jobs.Running {
			break
		}
	}
	decode(t, s.call(t, "GET", "/v1/keys/rewrap", ""), 200, &job)
	if job.State != "done" || job.Seeds != 5 || job.Old != 4 || job.Rewrapped != 4 || job.Left != 0 {
		t.Errorf("%+v", job)
	}
	if got := seeds(); len(got) != 1 || got["key-1"] != 5 {
		t.Errorf("after: %v", got)
	}
}

// An operator revokes the keys of a bucket, sees who did so, and takes it back, though the
// bucket was deleted meanwhile.
func TestRevocations(t *testing.T) {
	s := start(t)
	b, err := s.Engine.Buckets().Create(t.Context(), "revoked", "", s.Root.Tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, s.call(t, "POST", "/v1/keys/revocations", `{"bucket":"revoked"}`), 204, nil)
	decode(t, s.call(t, "POST", "/v1/keys/revocations", `{"all":true}`), 204, nil)
	if _, err := s.Engine.Buckets().Keys(t.Context(), b); !errors.Is(err, s3err.KMSDisabled) {
		t.Errorf("the keys of a revoked bucket: %v", err)
	}
	var list admin.Revocations
	decode(t, s.call(t, "GET", "/v1/keys/revocations", ""), 200, &list)
	if len(list.Revocations) != 2 || list.Edited != "" || !list.Revocations[1].All ||
		list.Revocations[0].Bucket != "revoked" || list.Revocations[0].BucketID != b.ID.String() || list.Revocations[0].By != s.Root.AccessKey || list.Revocations[0].At.IsZero() {
		t.Errorf("%+v", list)
	}
	if err := s.Engine.Buckets().Delete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	decode(t, s.call(t, "POST", "/v1/keys/revocations/restore", `{"bucket":"revoked"}`), 204, nil)
	decode(t, s.call(t, "POST", "/v1/keys/revocations/restore", `{"all":true}`), 204, nil)
	if _, err := s.Engine.Buckets().Create(t.Context(), "revoked", "", s.Root.Tenant.ID); err != nil {
		t.Errorf("after the keys were restored: %v", err)
	}
}
