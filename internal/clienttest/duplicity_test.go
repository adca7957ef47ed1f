//go:build clients

package clienttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestDuplicity keeps encrypted backups, full and incremental, in volumes that
// are larger than its parts.
func TestDuplicity(t *testing.T) { onFirst(t, testDuplicity) }

func testDuplicity(t *testing.T, g *gateway) {
	t.Parallel()
	p := require(t, g, "/usr/bin/duplicity", "duplicity").with("PASSPHRASE=of the test", "SIGN_PASSPHRASE=of the test")
	p.version("--version")
	agent := require(t, g, "gpgconf", "gpgconf")
	agent.env, agent.dir = p.env, p.home
	t.Cleanup(func() { agent.try("", "--kill", "gpg-agent") }) // which GnuPG starts and leaves
	c := &duplicityTest{program: p, g: g, bucket: bucketName(t), now: time.Now().Add(-time.Hour).Unix()}
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	c.dir = mixedTree(t, slices.Clone(allSizes)...)
	first := t.TempDir()
	must(t, os.CopyFS(first, os.DirFS(c.dir)))

	began := c.now
	c.on("full", "--volsize", "12", c.dir, c.url())
	noUploads(t, g, c.bucket)
	c.on("verify", "--compare-data", c.url(), c.dir)
	must(t, os.Remove(filepath.Join(c.dir, "65536.bin")))
	writeFile(t, filepath.Join(c.dir, "odd/with space"), "changed")
	writeFile(t, filepath.Join(c.dir, "new/file.txt"), "new")
	c.differs(t)
	c.on("incremental", c.dir, c.url())
	c.on("verify", "--compare-data", c.url(), c.dir)
	if out := c.on("collection-status", c.url()); !strings.Contains(out, "Incremental") || !strings.Contains(out, "No orphaned or incomplete") {
		t.Errorf("collection-status:\n%s", out)
	}
	c.restored(t, c.dir)
	c.restored(t, first, "--time", fmt.Sprint(began))
	one := filepath.Join(p.home, "one")
	c.on("restore", "--file-to-restore", "new/file.txt", c.url(), one)
	if got, err := os.ReadFile(one); err != nil || string(got) != "new" {
		t.Errorf("one file: %q %v", got, err)
	}
	// A second full backup makes the first one superfluous.
	c.on("full", c.dir, c.url())
	c.on("remove-all-but-n-full", "1", "--force", c.url())
	c.restored(t, c.dir)
	if n := strings.Count(c.on("collection-status", c.url()), "Chain start time"); n != 1 {
		t.Errorf("%d chains are left", n)
	}
	c.damaged(t)
}

type duplicityTest struct {
	*program
	g      *gateway
	bucket string
	dir    string
	now    int64
}

func (c *duplicityTest) url() string { return "boto3+s3://" + c.bucket + "/backups" }

// args are a command's, half a minute after the one before: a backup is known by
// the second it was made in.
func (c *duplicityTest) args(args []string) []string {
	c.now += 30
	return append([]string{args[0], "--s3-endpoint-url", c.g.s3, "--s3-multipart-chunk-size", "5", "--archive-dir", filepath.Join(c.home, "archive"),
		"--num-retries", "1", "--current-time", fmt.Sprint(c.now)}, args[1:]...)
}

func (c *duplicityTest) on(args ...string) string {
	c.t.Helper()
	return c.run(c.args(args)...)
}

// differs demands that changes of the folder are noticed.
func (c *duplicityTest) differs(t *testing.T) {
	t.Helper()
	c.fails("Difference found: File 65536.bin is missing", c.args([]string{"verify", "--compare-data", c.url(), c.dir})...)
}

// restored demands that a backup is the folder, on a machine that knows nothing.
func (c *duplicityTest) restored(t *testing.T, want string, args ...string) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(c.home, "archive")))
	back := filepath.Join(t.TempDir(), "back")
	c.on(slices.Concat([]string{"restore"}, args, []string{c.url(), back})...)
	sameTree(t, back, want)
}

// damaged replaces a volume by half of it: what is restored is not silently less.
func (c *duplicityTest) damaged(t *testing.T) {
	client := newMinio(t, c.g)
	volume := ""
	for o := range client.Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		if strings.Contains(o.Key, ".vol1.difftar.") {
			volume = o.Key
		}
	}
	body := bytes.Repeat([]byte("x"), 100_000)
	_, err := client.Client.PutObject(t.Context(), c.bucket, volume, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
	must(t, err)
	c.fails("hash mismatch", c.args([]string{"restore", c.url(), filepath.Join(t.TempDir(), "back")})...)
}
