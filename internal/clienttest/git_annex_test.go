//go:build clients

package clienttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// annexHost is the gateway's name to git-annex.
const annexHost = "s3.example.test"

// TestGitAnnex keeps files of a repository in a bucket, and has git-annex test its
// remote itself. It signs for a region with the name of its host, so each combination
// has a gateway that takes any.
func TestGitAnnex(t *testing.T) {
	for _, p := range combinations {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			g, err := p.launch("annex-"+p.String(), "SANCTUM_S3_REGION="+region+",any")
			must(t, err)
			t.Cleanup(func() {
				if err := checkShared(g); err != nil {
					t.Error(err)
				}
			})
			testGitAnnex(t, g)
		})
	}
}

func testGitAnnex(t *testing.T, g *gateway) {
	p := require(t, g, "git-annex", "git-annex").with("http_proxy=" + namedProxy(t, g, annexHost))
	git := require(t, g, "git", "git")
	git.home, git.env = p.home, p.env
	p.version("version")
	c := &annexTest{program: p, git: git, g: g, bucket: bucketName(t)}
	must(t, os.WriteFile(filepath.Join(p.home, ".gitconfig"), []byte("[user]\n\tname = a\n\temail = a@example.test\n[init]\n\tdefaultBranch = main\n"+
		"[annex \"security\"]\n\tallowed-ip-addresses = all\n"), 0o600))
	t.Cleanup(func() { // git-annex forbids to write in its folders
		must(t, filepath.WalkDir(p.home, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		}))
	})
	for _, size := range []string{"64kib", "11mib"} {
		tested := c.repository("tested-" + size)
		c.remote(tested, "s3", c.bucket+"-"+size, "encryption=none")
		tested.run("testremote", "--fast", "--size", size, "s3")
	}
	first := c.repository("first")
	c.remote(first, "s3", c.bucket, "encryption=none", "chunk=5MiB")
	c.files(t, first)
	c.exported(t, first)
}

// namedProxy is an HTTP proxy that knows one host, the gateway, and none but that. The
// S3 library of git-annex leaves the port out of what it signs, so it needs 80 or 443.
func namedProxy(t *testing.T, g *gateway, host string) string {
	t.Helper()
	to, err := url.Parse(g.s3)
	must(t, err)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			panic(http.ErrAbortHandler) // the connection ends
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

type annexTest struct {
	*program // git-annex
	git      *program
	g        *gateway
	bucket   string
}

// repository makes one and returns git-annex in it.
func (c *annexTest) repository(name string, clone ...string) *program {
	c.t.Helper()
	dir := filepath.Join(c.home, name)
	c.git.run("init", "-q", dir)
	if len(clone) > 0 {
		c.git.at(dir).run("pull", "-q", clone[0], "main")
		c.git.at(dir).run("fetch", "-q", clone[0], "git-annex:git-annex")
	}
	annex := c.at(dir)
	annex.run("init", name)
	return annex
}

// remote makes a bucket. git-annex sends parts of equal size: two of half a file that is
// just too large for one.
func (c *annexTest) remote(annex *program, name, bucket string, more ...string) {
	c.t.Helper()
	annex.run(append([]string{"initremote", name, "type=S3", "host=" + annexHost, "port=80", "protocol=http", "requeststyle=path", "signature=v4", "autoenable=true",
		"bucket=" + bucket, "partsize=10MiB"}, more...)...)
}

// files are kept in the bucket alone, and come back here and in another repository.
func (c *annexTest) files(t *testing.T, first *program) {
	want := mixedTree(t, allSizes...)
	must(t, os.CopyFS(first.dir, os.DirFS(want)))
	first.run("add", ".")
	c.git.at(first.dir).run("commit", "-q", "-m", "files")
	first.run("copy", "--quiet", "--to", "s3", ".")
	first.run("drop", "--quiet", ".") // which asks the gateway for each of them
	c.annexed(t, first.dir, "")
	first.run("fsck", "--quiet", "--from", "s3", ".")
	first.run("get", "--quiet", ".")
	c.annexed(t, first.dir, want)
	second := c.repository("second", first.dir)
	second.run("enableremote", "s3")
	second.run("get", "--quiet", "--from", "s3", ".")
	c.annexed(t, second.dir, want)
}

// annexed demands that the repository's files are here with the folder's bytes, or that
// none is here.
func (c *annexTest) annexed(t *testing.T, dir, want string) {
	t.Helper()
	here := strings.Count(c.at(dir).run("find", "--in", "here"), "\n")
	if want == "" {
		if here > 0 {
			t.Errorf("%d files are here", here)
		}
		return
	}
	for _, name := range treeOf(t, want) {
		sameFile(t, filepath.Join(dir, name), filepath.Join(want, name))
	}
}

// exported is a tree of the repository under the names of its files, into which another
// client puts one.
func (c *annexTest) exported(t *testing.T, first *program) {
	bucket := strings.TrimSuffix(c.bucket, "0") + "tree"
	client := newMinio(t, c.g)
	must(t, client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	must(t, client.EnableVersioning(t.Context(), bucket))
	c.remote(first, "tree", bucket, "encryption=none", "exporttree=yes", "importtree=yes", "versioning=yes")
	want := t.TempDir()
	for _, size := range allSizes {
		copyFile(t, corpus(t, size), filepath.Join(want, fmt.Sprintf("%d.bin", size)))
	}
	git := c.git.at(first.dir)
	export := func() {
		t.Helper()
		git.run("commit", "-q", "-m", "tree")
		first.run("export", "main", "--to", "tree")
		storedTree(t, c.g, bucket, "", want)
	}
	git.run("rm", "-q", "-r", "odd")
	export()
	git.run("mv", "17825792.bin", "renamed large")
	must(t, os.Rename(filepath.Join(want, "17825792.bin"), filepath.Join(want, "renamed large")))
	git.run("rm", "-q", "65536.bin")
	must(t, os.Remove(filepath.Join(want, "65536.bin")))
	export()
	_, err := client.Client.FPutObject(t.Context(), bucket, "new/by another", corpus(t, 65536), minio.PutObjectOptions{})
	must(t, err)
	must(t, os.Mkdir(filepath.Join(want, "new"), 0o700))
	copyFile(t, corpus(t, 65536), filepath.Join(want, "new/by another"))
	first.run("import", "main", "--from", "tree")
	first.run("merge", "tree/main")
	c.annexed(t, first.dir, want)
	noUploads(t, c.g, bucket)
}
