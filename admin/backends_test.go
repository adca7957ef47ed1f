package admin_test

import (
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

func TestBackendsAreDrained(t *testing.T) {
	s := startWith(t, gatewaytest.Options{Default: "old", Backends: []blobs.Backend{
		{Name: "old", Backend: mem.New(), Region: "eu-west", Jurisdiction: "EU"},
		{Name: "new", Backend: mem.New(), Jurisdiction: "EU"},
		{Name: "far", Backend: mem.New(), Jurisdiction: "US"},
	}})
	decode(t, s.call(t, "POST", "/v1/tenants", `{"name":"alice","residency":"EU"}`), 201, nil)
	var alice admin.Tenant
	if decode(t, s.call(t, "GET", "/v1/tenants/alice", ""), 200, &alice); alice.Residency != "EU" {
		t.Errorf("alice resides in %q", alice.Residency)
	}
	u, err := s.Engine.Accounts().TenantByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Engine.Buckets().Create(t.Context(), "records", "", u.ID); err != nil {
		t.Fatal(err)
	}
	var buckets admin.Buckets
	decode(t, s.call(t, "GET", "/v1/buckets", ""), 200, &buckets)
	if len(buckets.Buckets) != 1 || len(buckets.Buckets[0].Residency) != 1 || buckets.Buckets[0].Residency[0] != "EU" {
		t.Errorf("buckets: %+v", buckets)
	}

	// The bucket's residency excludes one target and not the other.
	if a := s.call(t, "POST", "/v1/backends/old/drain", `{"target":"far"}`); a.status != 400 || a.code(t) != "InvalidArgument" {
		t.Errorf("drained out of the jurisdiction: %d %s", a.status, a.body)
	}
	decode(t, s.call(t, "POST", "/v1/backends/old/drain", `{"target":"new"}`), 204, nil)
	if b := s.backend(t, "old"); b.State != "draining" || b.Drain == nil || b.Drain.Target != "new" || !b.Default || b.Region != "eu-west" {
		t.Errorf("draining: %+v", b)
	}
	decode(t, s.call(t, "DELETE", "/v1/backends/old/drain", ""), 204, nil)
	if b := s.backend(t, "old"); b.State != "active" || b.Drain != nil || !b.Configured {
		t.Errorf("cancelled: %+v", b)
	}

	decode(t, s.call(t, "PUT", "/v1/tenants/alice/residency", `{"residency":""}`), 204, nil)
	var moved admin.Tenant
	if decode(t, s.call(t, "GET", "/v1/tenants/alice", ""), 200, &moved); moved.Residency != "" {
		t.Errorf("alice still resides in %q", moved.Residency)
	}
}

// A backend's blobs are counted run by run, each of them once, and the deployment's markers
// are none.
func TestStoredIsCounted(t *testing.T) {
	local := mem.New()
	s := startWith(t, gatewaytest.Options{Backend: local})
	s.Must(t, 200, "PUT", "/records", nil)
	s.Must(t, 200, "PUT", "/records/a", make([]byte, 1000))
	s.Must(t, 200, "PUT", "/records/b", make([]byte, 2000))
	count := func() (sum admin.Stored, runs int) {
		for after := ""; ; {
			var run admin.Stored
			decode(t, s.call(t, "GET", "/v1/backends/local/stored"+after, ""), 200, &run)
			sum.Blobs, sum.Bytes, runs = sum.Blobs+run.Blobs, sum.Bytes+run.Bytes, runs+1
			if run.Next == "" {
				return sum, runs
			}
			after = "?after=" + run.Next
		}
	}
	few, runs := count()
	if few.Blobs != 2 || few.Bytes < 3000 || few.Bytes > 4000 || runs != 1 {
		t.Errorf("%+v in %d runs", few, runs)
	}
	const more = 10_001 // than one run has
	for range more {
		if err := local.Put(t.Context(), backends.NewBlobID(), strings.NewReader("left"), 4); err != nil {
			t.Fatal(err)
		}
	}
	if many, runs := count(); many.Blobs != few.Blobs+more || many.Bytes != few.Bytes+4*more || runs != 2 {
		t.Errorf("%+v in %d runs, and %+v before", many, runs, few)
	}
}

func (s *server) backend(t *testing.T, name string) admin.Backend {
	t.Helper()
	var all admin.Backends
	decode(t, s.call(t, "GET", "/v1/backends", ""), 200, &all)
	for _, b := range all.Backends {
		if b.Name == name {
			return b
		}
	}
	t.Fatalf("no backend %s among %+v", name, all.Backends)
	return admin.Backend{}
}
