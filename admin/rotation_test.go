package admin_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/rotate"
)

// An operator gives a bucket new keys, sees how far the rotation is, and destroys the old
// generation when nothing needs it.
func TestRotation(t *testing.T) {
	s := startWith(t, gatewaytest.Options{})
	if _, err := s.Engine.Buckets().Create(t.Context(), "photos", "", s.Root.Tenant.ID); err != nil {
		t.Fatal(err)
	}
	generations := func() (all []admin.Generation) {
		t.Helper()
		var page admin.Generations
		decode(t, s.call(t, "GET", "/v1/buckets/photos/keys", ""), 200, &page)
		return page.Generations
	}
	if all := generations(); len(all) != 1 || all[0].Generation != 1 || all[0].Former || all[0].Created.IsZero() {
		t.Errorf("at first: %+v", all)
	}
	var made admin.NewGeneration
	decode(t, s.call(t, "POST", "/v1/buckets/photos/keys", ""), 200, &made)
	if all := generations(); made.Generation != 2 || len(all) != 2 || all[0].Generation != 2 || all[0].Former || !all[1].Former {
		t.Errorf("rotated: %+v, %+v", made, all)
	}
	var job admin.Rotation
	decode(t, s.call(t, "GET", "/v1/keys/rotation", ""), 200, &job)
	if job.State != "running" || job.Stage != "counting" || job.Started.IsZero() {
		t.Errorf("%+v", job)
	}
	decode(t, s.call(t, "DELETE", "/v1/keys/rotation", ""), 204, nil)
	decode(t, s.call(t, "POST", "/v1/keys/rotation", `{"all":true}`), 204, nil)
	steps := rotate.New(rotate.Config{Engine: s.Engine})
	for range 50 {
		report, err := steps.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report.State != jobs.Running {
			break
		}
	}
	decode(t, s.call(t, "GET", "/v1/keys/rotation", ""), 200, &job)
	if job.State != "done" || job.Left != 0 || job.Rotated != 1 {
		t.Errorf("%+v", job)
	}
	for _, former := range []string{"1", "2"} {
		decode(t, s.call(t, "DELETE", "/v1/buckets/photos/keys/"+former, ""), 204, nil)
	}
	if all := generations(); len(all) != 1 || all[0].Generation != 3 {
		t.Errorf("destroyed: %+v", all)
	}
}
