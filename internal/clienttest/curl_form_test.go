//go:build clients

package clienttest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// forms uploads as a browser does, with a form that minio-go signed.
func (c *curlTest) forms(t *testing.T) {
	policy := minio.NewPostPolicy()
	must(t, policy.SetBucket(c.bucket))
	must(t, policy.SetKeyStartsWith("forms/"))
	must(t, policy.SetContentLengthRange(1, 1<<20))
	must(t, policy.SetContentType("text/plain"))
	must(t, policy.SetSuccessStatusAction("201"))
	must(t, policy.SetExpires(time.Now().Add(time.Hour)))
	where, fields, err := newMinio(t, c.g).PresignedPostPolicy(t.Context(), policy)
	must(t, err)
	fields["key"] = "forms/${filename}"
	post := func(body []byte) string {
		path := filepath.Join(c.home, "upload.txt")
		must(t, os.WriteFile(path, body, 0o600))
		args := []string{"--silent", "--max-time", "120"}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			args = append(args, "--form-string", name+"="+fields[name])
		}
		return c.run(append(args, "-F", "file=@"+path, where.String())...)
	}
	body := random(7, 0, 300<<10)
	if out := post(body); !strings.Contains(out, "<Key>forms/upload.txt</Key>") {
		t.Fatalf("form: %s", out)
	}
	if got := c.signed(nil, c.url+"/forms/upload.txt"); got != string(body) {
		t.Errorf("form: %d bytes came back of %d", len(got), len(body))
	}
	if out := post(random(7, 1, 1<<20+1)); !strings.Contains(out, "<Code>EntityTooLarge</Code>") {
		t.Errorf("a file beyond the policy: %.300s", out)
	}
	fields["acl"] = "public-read"
	if out := post(body); !strings.Contains(out, "Extra input fields: acl") {
		t.Errorf("a field beyond the policy: %.300s", out)
	}
	c.signed(nil, "-X", "DELETE", c.url+"/forms/upload.txt")
}
