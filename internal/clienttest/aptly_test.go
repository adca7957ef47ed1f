//go:build clients

package clienttest

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestAptly publishes a repository of Debian packages, signed, and publishes its changes.
func TestAptly(t *testing.T) { onEach(t, testAptly) }

func testAptly(t *testing.T, g *gateway) {
	t.Parallel()
	p := require(t, g, "aptly", "aptly")
	p.version("version")
	gpg := require(t, g, "gpg", "gnupg")
	gpg.home, gpg.env, gpg.dir = p.home, p.env, p.home
	agent := require(t, g, "gpgconf", "gpgconf")
	agent.env, agent.dir = p.env, p.home
	t.Cleanup(func() { agent.try("", "--kill", "gpg-agent") }) // which GnuPG starts and leaves
	gpg.run("--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "clienttest@example.test", "ed25519", "sign", "never")

	c := &aptlyTest{program: p, gpg: gpg, deb: require(t, g, "dpkg-deb", "dpkg"), g: g, bucket: bucketName(t), packages: map[string]string{}}
	c.deb.home, c.deb.dir = p.home, p.home
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	config, err := json.Marshal(map[string]any{"rootDir": filepath.Join(p.home, "aptly"), "gpgProvider": "gpg", "S3PublishEndpoints": map[string]any{
		"gw": map[string]any{"region": region, "bucket": c.bucket, "endpoint": g.s3, "prefix": "debian",
			"awsAccessKeyID": accessKey, "awsSecretAccessKey": secretKey},
	}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(p.home, ".aptly.conf"), config, 0o600))

	c.run("repo", "create", "-distribution=stable", "-component=main", "ours")
	for _, size := range []int64{0, 65537, 17 * mib} {
		c.add(t, fmt.Sprintf("size-%d", size), "1.0+a~b", size)
	}
	c.run("publish", "repo", "-batch", "-architectures=all,amd64", "ours", "s3:gw:")
	c.published(t)
	// A package is replaced, one goes, one comes; what is the same is not sent again.
	c.run("repo", "remove", "ours", "size-0")
	c.run("repo", "remove", "ours", "size-65537")
	delete(c.packages, "size-0")
	c.add(t, "size-65537", "2:1.1", 65536)
	c.add(t, "another", "1", 1)
	c.run("publish", "update", "-batch", "stable", "s3:gw:")
	c.published(t)
	// A second distribution shares the packages with the first, which goes.
	c.run("snapshot", "create", "of-today", "from", "repo", "ours")
	c.run("publish", "snapshot", "-batch", "-distribution=testing", "-architectures=all,amd64", "of-today", "s3:gw:")
	c.run("publish", "drop", "stable", "s3:gw:")
	c.run("publish", "switch", "-batch", "testing", "s3:gw:", "of-today")
	c.dist = "testing"
	c.published(t)
	c.run("publish", "drop", "testing", "s3:gw:")
	for o := range newMinio(t, g).Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		t.Errorf("left: %s", o.Key)
	}
}

type aptlyTest struct {
	*program
	gpg, deb *program
	g        *gateway
	bucket   string
	dist     string            // empty: stable
	packages map[string]string // paths of the packages that are in the repository, by name
}

// add builds a package with a file of that size and puts it into the repository.
func (c *aptlyTest) add(t *testing.T, name, version string, size int64) {
	t.Helper()
	dir := filepath.Join(c.home, name+" "+version)
	writeFile(t, filepath.Join(dir, "DEBIAN/control"), fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@example.test>\nDescription: test\n",
		name, version))
	must(t, os.Chmod(filepath.Join(dir, "DEBIAN"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "usr/share"), 0o755))
	copyFile(t, corpus(t, size), filepath.Join(dir, "usr/share", name))
	c.packages[name] = filepath.Join(c.home, name+"_"+version+".deb")
	c.deb.run("--build", "--root-owner-group", "-Znone", dir, c.packages[name])
	c.run("repo", "add", "ours", c.packages[name])
}

// published demands what apt would: the signature over the index, the packages that the
// index names with their sums, and no others.
func (c *aptlyTest) published(t *testing.T) {
	t.Helper()
	dist := c.dist
	if dist == "" {
		dist = "stable"
	}
	release := filepath.Join(c.home, "Release")
	for _, name := range []string{"Release", "Release.gpg", "InRelease", "main/binary-all/Packages"} {
		to := filepath.Join(c.home, filepath.Base(name))
		must(t, newMinio(t, c.g).FGetObject(t.Context(), c.bucket, "debian/dists/"+dist+"/"+name, to, minio.GetObjectOptions{}))
	}
	c.gpg.run("--verify", release+".gpg", release)
	c.gpg.run("--verify", filepath.Join(c.home, "InRelease"))
	index, err := os.ReadFile(filepath.Join(c.home, "Packages"))
	must(t, err)
	text, err := os.ReadFile(release)
	must(t, err)
	if sum := fmt.Sprintf("%x", sha256.Sum256(index)); !strings.Contains(string(text), sum) {
		t.Errorf("the signed file does not name the index %s:\n%s", sum, text)
	}
	var names, keys []string
	for _, entry := range strings.Split(strings.TrimSpace(string(index)), "\n\n") {
		fields := map[string]string{}
		for s := bufio.NewScanner(strings.NewReader(entry)); s.Scan(); {
			if name, value, ok := strings.Cut(s.Text(), ": "); ok {
				fields[name] = value
			}
		}
		names, keys = append(names, fields["Package"]), append(keys, "debian/"+fields["Filename"])
		path := c.packages[fields["Package"]]
		if path == "" {
			t.Fatalf("%s is published and not in the repository", fields["Package"])
		}
		f, err := os.Open(path)
		must(t, err)
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		must(t, err)
		must(t, f.Close())
		if got := fmt.Sprintf("%x", sum.Sum(nil)); fields["SHA256"] != got {
			t.Errorf("%s: SHA256 %s instead of %s", path, fields["SHA256"], got)
		}
		stored(t, c.g, c.bucket, "debian/"+fields["Filename"], path)
	}
	if len(names) != len(c.packages) {
		t.Errorf("published: %q", names)
	}
	var pool []string
	for o := range newMinio(t, c.g).Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Recursive: true, Prefix: "debian/pool/"}) {
		must(t, o.Err)
		pool = append(pool, o.Key)
	}
	if slices.Sort(keys); !slices.Equal(pool, keys) {
		t.Errorf("stored: %q instead of %q", pool, keys)
	}
}
