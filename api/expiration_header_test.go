package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// Answers tell when the earliest rule expires the object, and nothing when no
// rule does.
func TestExpirationHeader(t *testing.T) {
	now := time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)
	g := gatewaytest.Start(t, gatewaytest.Options{Now: func() time.Time { return now }})
	g.Must(t, 200, "PUT", "/bkt", nil)
	g.Must(t, 200, "PUT", "/bkt/logs/before", []byte("x"))
	rule := func(id, filter, days string) string {
		return "<Rule><ID>" + id + "</ID><Status>Enabled</Status><Filter>" + filter + "</Filter><Expiration><Days>" + days + "</Days></Expiration></Rule>"
	}
	g.Must(t, 200, "PUT", "/bkt?lifecycle", []byte("<LifecycleConfiguration>"+
		rule("a month", "<Prefix>logs/</Prefix>", "30")+rule("ten days", "<Tag><Key>k</Key><Value>v</Value></Tag>", "10")+"</LifecycleConfiguration>"))
	month := `expiry-date="Fri, 15 Feb 2030 00:00:00 GMT", rule-id="a%20month"`
	for what, res := range map[string]gatewaytest.Response{
		"put":     g.Must(t, 200, "PUT", "/bkt/logs/a", []byte("x")),
		"get":     g.Must(t, 200, "GET", "/bkt/logs/before", nil),
		"head":    g.Must(t, 200, "HEAD", "/bkt/logs/before", nil),
		"another": g.Must(t, 200, "PUT", "/bkt/logs/b", []byte("x")),
	} {
		expectHeaders(t, what, res, "X-Amz-Expiration", month)
	}
	expectHeaders(t, "of no rule", g.Must(t, 200, "PUT", "/bkt/other", []byte("x")), "X-Amz-Expiration", "")
	g.Must(t, 200, "PUT", "/bkt/logs/a?tagging", []byte("<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"))
	expectHeaders(t, "tagged", g.Must(t, 200, "GET", "/bkt/logs/a", nil),
		"X-Amz-Expiration", `expiry-date="Sat, 26 Jan 2030 00:00:00 GMT", rule-id="ten%20days"`)

	now = now.AddDate(0, 0, 20)
	for {
		r, err := g.Lifecycles.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !r.More {
			break
		}
	}
	expect(t, "expired", g.Do(t, g.Root, "GET", "/bkt/logs/a", nil), 404, "NoSuchKey")
	g.Must(t, 200, "GET", "/bkt/logs/b", nil)
}

// A storage class may be a backend's name, for objects and in transitions.
// Anything that is neither a label nor a backend is refused.
func TestClassesThatNameBackends(t *testing.T) {
	near, far := mem.New(), mem.New()
	g := gatewaytest.Start(t, gatewaytest.Options{Default: "near", Backends: []blobs.Backend{
		{Name: "near", Backend: near}, {Name: "far", Backend: far, Region: "eu-north-1"},
	}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	g.Must(t, 200, "PUT", "/strict", configuration("near"))
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), "X-Amz-Storage-Class", "far")
	expectHeaders(t, "head", g.Must(t, 200, "HEAD", "/bkt/k", nil), "X-Amz-Storage-Class", "far")
	if list := string(g.Must(t, 200, "GET", "/bkt?list-type=2", nil).Body); !strings.Contains(list, "<StorageClass>far</StorageClass>") {
		t.Error(list)
	}
	for path, class := range map[string]string{"/bkt/x": "nowhere", "/bkt/y": "GLACIER", "/strict/x": "far"} {
		expect(t, path, g.Do(t, g.Root, "PUT", path, []byte("x"), "X-Amz-Storage-Class", class), 400, "InvalidStorageClass")
	}
	rules := func(class string) []byte {
		return []byte("<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Transition><Days>1</Days><StorageClass>" + class +
			"</StorageClass></Transition></Rule></LifecycleConfiguration>")
	}
	g.Must(t, 200, "PUT", "/bkt?lifecycle", rules("far"))
	expect(t, "unknown class", g.Do(t, g.Root, "PUT", "/bkt?lifecycle", rules("nowhere")), 400, "MalformedXML")
	expect(t, "outside the residency", g.Do(t, g.Root, "PUT", "/strict?lifecycle", rules("far")), 400, "InvalidStorageClass")
}
