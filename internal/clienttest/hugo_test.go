//go:build clients

package clienttest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestHugo deploys a site: what is there is compared by digests, and a second
// deployment sends nothing.
func TestHugo(t *testing.T) { onEach(t, testHugo) }

func testHugo(t *testing.T, g *gateway) {
	t.Parallel()
	c := &hugoTest{program: require(t, g, "/usr/bin/hugo", "hugo"), g: g, bucket: bucketName(t)}
	c.version("version")
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	c.configure(g.s3)
	for i := range 40 {
		writeFile(t, filepath.Join(c.home, fmt.Sprintf("content/page-%d.md", i)), strings.Repeat(fmt.Sprintf("A line of page %d.\n\n", i), 100+i))
	}
	for _, size := range smallSizes {
		must(t, os.Link(corpus(t, size), filepath.Join(c.home, fmt.Sprintf("static/%d.bin", size))))
	}
	writeFile(t, filepath.Join(c.home, "static/with space/ünï+1.txt"), "text")

	c.deploy(t)
	c.same(t)
	if out := c.deploy(t); !strings.Contains(out, "No changes required") {
		t.Errorf("a second deployment does something:\n%s", out)
	}
	writeFile(t, filepath.Join(c.home, "content/page-7.md"), "Another text.")
	must(t, os.Remove(filepath.Join(c.home, "content/page-8.md")))
	// The page and the list of all.
	if out := c.deploy(t); !strings.Contains(out, "Identified 2 file(s) to upload") || !strings.Contains(out, "1 file(s) to delete") {
		t.Errorf("a third deployment sends what did not change:\n%s", out)
	}
	c.same(t)
	c.with("AWS_SECRET_ACCESS_KEY=another").fails("SignatureDoesNotMatch", "deploy", "--maxDeletes", "-1")
}

type hugoTest struct {
	*program
	g      *gateway
	bucket string
}

// configure makes a site whose pages are compressed.
func (c *hugoTest) configure(url string) {
	for _, dir := range []string{"static", "content"} {
		must(c.t, os.Mkdir(filepath.Join(c.home, dir), 0o700))
	}
	writeFile(c.t, filepath.Join(c.home, "layouts/_default/single.html"), "<html>{{ .Content }}</html>\n")
	writeFile(c.t, filepath.Join(c.home, "layouts/_default/list.html"), "<html>{{ range .Pages }}{{ .Permalink }} {{ end }}</html>\n")
	writeFile(c.t, filepath.Join(c.home, "config.toml"), fmt.Sprintf(`baseURL = "https://site.example/"
disableKinds = ["taxonomy", "term", "RSS", "sitemap"]
[[deployment.targets]]
name = "gateway"
URL = "s3://%s?endpoint=%s&region=%s&s3ForcePathStyle=true&disableSSL=true"
[[deployment.matchers]]
pattern = "^.+\\.html$"
cacheControl = "max-age=60"
gzip = true
`, c.bucket, strings.TrimPrefix(url, "http://"), region))
}

// deploy builds the site anew and sends it.
func (c *hugoTest) deploy(t *testing.T) string {
	must(t, os.RemoveAll(filepath.Join(c.home, "public")))
	c.run("--quiet")
	return c.run("deploy", "--maxDeletes", "-1")
}

// same demands that a browser reads the site that was built, and nothing else.
func (c *hugoTest) same(t *testing.T) {
	t.Helper()
	site, client := filepath.Join(c.home, "public"), newMinio(t, c.g)
	var keys []string
	for o := range client.Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		keys = append(keys, o.Key)
		url, err := client.PresignedGetObject(t.Context(), c.bucket, o.Key, time.Minute, nil)
		must(t, err)
		want, err := os.ReadFile(filepath.Join(site, o.Key))
		must(t, err)
		resp, got := fetch(t, http.MethodGet, url.String(), nil, http.StatusOK)
		if page := strings.HasSuffix(o.Key, ".html"); string(got) != string(want) || resp.Uncompressed != page || page != (resp.Header.Get("Cache-Control") == "max-age=60") {
			t.Errorf("%s: %d bytes instead of %d, %v", o.Key, len(got), len(want), resp.Header)
		}
	}
	names := treeOf(t, site)
	slices.Sort(names)
	if !slices.Equal(keys, names) {
		t.Errorf("stored are %q instead of %q", keys, names)
	}
}
