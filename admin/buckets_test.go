package admin_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/admin"
)

// A bucket's padding is shown as it was set last. A body without it, or with one that there
// is not, changes nothing.
func TestPadding(t *testing.T) {
	s := start(t)
	b, err := s.Engine.Buckets().Create(t.Context(), "records", "", s.Engine.Accounts().Root().ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`{}`, 204, "none"},
		{`{"padding":"padme"}`, 204, "padme"},
		{`{}`, 204, "padme"},
		{`{"padding":"padme "}`, 400, "padme"},
		{`{"padding":"none"}`, 204, "none"},
	} {
		if a := s.call(t, "PATCH", "/v1/buckets/records", c.body); a.status != c.status {
			t.Errorf("%s: %d %s", c.body, a.status, a.body)
		}
		var got admin.BucketProperties
		decode(t, s.call(t, "GET", "/v1/buckets/records", ""), 200, &got)
		if got.Padding != c.want || got.Name != "records" || got.ID != b.ID.String() || got.Tenant != "root" {
			t.Errorf("after %s: %+v, want padding %s", c.body, got, c.want)
		}
	}
}
