package api_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// The number of tags is shown by the right that reads the tags themselves: the
// one for versions where the request names a version.
func TestTaggingCountOfAVersion(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	h := &household{g: g, alice: alice}
	expect(t, "versioning", g.Do(t, alice, "PUT", "/bucket?versioning", []byte(versioningOn)), 200, "")
	id := g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", "a=b").Header.Get("X-Amz-Version-Id")
	for _, c := range []struct{ name, denied, current, version string }{
		{"all", "s3:DeleteObject", "1", "1"},
		{"current", "s3:GetObjectVersionTagging", "1", ""},
		{"versions", "s3:GetObjectTagging", "", "1"},
	} {
		_, user := h.user(t, alice, c.name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
			{"Effect":"Deny","Action":"`+c.denied+`","Resource":"*"}]}`)
		for target, want := range map[string]string{"/bucket/k": c.current, "/bucket/k?versionId=" + id: c.version} {
			res := g.Do(t, user, "GET", target, nil)
			if got := res.Header.Get("X-Amz-Tagging-Count"); res.Status != 200 || got != want {
				t.Errorf("without %s, %s: %d, count %q, want %q", c.denied, target, res.Status, got, want)
			}
		}
	}
}
