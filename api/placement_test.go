package api_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// A LocationConstraint may name a backend, its region or its jurisdiction; the
// bucket's blobs are there.
func TestLocationConstraintOfBackends(t *testing.T) {
	near, far := mem.New(), mem.New()
	g := gatewaytest.Start(t, gatewaytest.Options{Default: "near", Backends: []blobs.Backend{
		{Name: "near", Backend: near}, {Name: "far", Backend: far, Region: "eu-north-1", Jurisdiction: "EU"},
	}})
	count := func(b backends.Backend) (n int) {
		for info, err := range b.List(t.Context(), backends.BlobID{}) {
			if err != nil {
				t.Fatal(err)
			}
			if info.Size > 0 { // markers are empty
				n++
			}
		}
		return n
	}
	for i, constraint := range []string{"far", "eu-north-1", "EU"} {
		bucket := "/bucket-" + constraint
		if constraint == "EU" {
			bucket = "/bucket-eu"
		}
		g.Must(t, 200, "PUT", bucket, configuration(constraint))
		g.Must(t, 200, "PUT", bucket+"/key", []byte("body"))
		if count(far) != i+1 || count(near) != 0 {
			t.Errorf("%s: %d blobs are far, %d near", constraint, count(far), count(near))
		}
		if got := g.Must(t, 200, "GET", bucket+"?location", nil).Body; !bytes.Contains(got, []byte(">"+constraint+"<")) {
			t.Errorf("%s: location %s", constraint, got)
		}
	}
	g.Must(t, 200, "PUT", "/default", configuration("us-east-1"))
	g.Must(t, 200, "PUT", "/default/key", []byte("body"))
	if count(near) != 1 {
		t.Error("the gateway's own region is not the default backend")
	}
	expect(t, "nowhere", g.Do(t, g.Root, "PUT", "/nowhere", configuration("ap-south-1")), 400, "InvalidLocationConstraint")
}

// A backend's request to slow down is passed on, with its delay.
func TestThrottledBackend(t *testing.T) {
	plan := faults.NewPlan(1)
	g := gatewaytest.Start(t, gatewaytest.Options{Backend: faults.Backend(mem.New(), plan)})
	g.Must(t, 200, "PUT", "/bucket", nil)
	plan.Add(faults.Rule{Err: &backends.Throttled{After: 42 * time.Second}})
	res := g.Do(t, g.Root, "PUT", "/bucket/key", []byte("body"))
	expect(t, "throttled", res, 503, "SlowDown")
	expectHeaders(t, "throttled", res, "Retry-After", "42")
	plan.Clear()
	plan.Add(faults.Rule{Err: backends.ErrDenied})
	res = g.Do(t, g.Root, "PUT", "/bucket/key", []byte("body"))
	expect(t, "denied", res, 503, "ServiceUnavailable")
	expectHeaders(t, "denied", res, "Retry-After", "5")
	plan.Clear()
	g.Must(t, 200, "PUT", "/bucket/key", []byte("body"))
}
