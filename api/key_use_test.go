package api_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// The line of each request says which generations of the bucket's keys opened and sealed,
// by whichever operation, before and after a rotation.
func TestKeysInTheLog(t *testing.T) {
	h := newHousehold(t)
	type use struct{ opened, sealed any }
	want := make(map[string]use) // by request
	names := make(map[string]string)
	ask := func(u use, method, target, body string, header ...string) gatewaytest.Response {
		t.Helper()
		res := h.mustAsAlice(t, method, target, body, header...)
		id := res.Header.Get("X-Amz-Request-Id")
		want[id], names[id] = u, method+" "+target
		return res
	}
	ask(use{nil, "1"}, "PUT", "/bucket/old", "old")
	ask(use{nil, "1"}, "PUT", "/bucket/older", "older")
	b, err := h.g.Engine.Buckets().Get(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.g.Engine.Buckets().Rotate(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	ask(use{nil, "2"}, "PUT", "/bucket/new", "new")
	ask(use{"1", nil}, "GET", "/bucket/old", "")
	ask(use{"1", nil}, "HEAD", "/bucket/old", "")
	ask(use{"2", nil}, "GET", "/bucket/new", "")
	ask(use{"1", "2"}, "PUT", "/bucket/copy", "", "X-Amz-Copy-Source", "/bucket/old")
	ask(use{"2,1", nil}, "GET", "/bucket?list-type=2", "")
	ask(use{nil, nil}, "GET", "/bucket?location", "")
	h.g.Server.Close() // waits for the last request's line
	lines := requestLines(t, h.log.String())
	for id, u := range want {
		line := lines[id]
		if line["keys_opened"] != u.opened || line["keys_sealed"] != u.sealed {
			t.Errorf("%s: opened %v, sealed %v, want %v and %v", names[id], line["keys_opened"], line["keys_sealed"], u.opened, u.sealed)
		}
	}
}
