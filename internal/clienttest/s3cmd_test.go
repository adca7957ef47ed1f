//go:build clients

package clienttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

func TestS3cmd(t *testing.T) { onEach(t, testS3cmd) }

func testS3cmd(t *testing.T, g *gateway) {
	t.Parallel()
	p := require(t, g, "s3cmd", "s3cmd")
	p.version("--version")
	host := strings.TrimPrefix(g.s3, "http://")
	writeFile(t, filepath.Join(p.home, ".s3cfg"), fmt.Sprintf(`[default]
access_key = %s
secret_key = %s
host_base = %s
host_bucket = %s
bucket_location = %s
use_https = False
signature_v2 = False
multipart_chunk_size_mb = 5
multipart_copy_chunk_size_mb = 5
progress_meter = False
`, accessKey, secretKey, host, host, region))
	c := &s3cmdTest{program: p, g: g, bucket: bucketName(t)}
	c.run("mb", c.at(""))
	for _, part := range []func(*testing.T){c.files, c.step, c.single, c.copies, c.attributes, c.uploads, c.removal} {
		part(t)
	}
}

type s3cmdTest struct {
	*program
	g      *gateway
	bucket string
	dir    string // what is stored below files/
}

func (c *s3cmdTest) at(key string) string { return "s3://" + c.bucket + "/" + key }

// files stores a folder of all sizes, those above 5 MiB in parts, and brings it
// back with the times of its files, which s3cmd keeps as metadata.
func (c *s3cmdTest) files(t *testing.T) {
	c.dir = mixedTree(t, append(slices.Clone(allSizes), 64*mib)...)
	must(t, os.Chtimes(filepath.Join(c.dir, "odd/with space"), time.Time{}, time.Unix(1234567890, 0)))
	c.run("sync", c.dir+"/", c.at("files/"))
	noUploads(t, c.g, c.bucket)
	storedTree(t, c.g, c.bucket, "files/", c.dir)
	back := filepath.Join(c.home, "back")
	must(t, os.Mkdir(back, 0o700))
	c.run("sync", c.at("files/"), back+"/")
	sameTree(t, back, c.dir)
	sameTimes(t, back, c.dir)
}

func (c *s3cmdTest) step(t *testing.T) {
	if out := c.run("sync", c.dir+"/", c.at("files/")); strings.Contains(out, "upload:") {
		t.Errorf("a second sync did something:\n%s", out)
	}
	must(t, os.Remove(filepath.Join(c.dir, "65536.bin")))
	must(t, os.Remove(filepath.Join(c.dir, fmt.Sprintf("%d.bin", 64*mib))))
	writeFile(t, filepath.Join(c.dir, "odd/with space"), "changed")
	writeFile(t, filepath.Join(c.dir, "new/file.txt"), "new")
	c.run("sync", "--delete-removed", c.dir+"/", c.at("files/"))
	storedTree(t, c.g, c.bucket, "files/", c.dir)
}

func (c *s3cmdTest) single(t *testing.T) {
	for _, size := range []int64{0, 65537, 17 * mib} {
		key, back := fmt.Sprintf("single/%d", size), filepath.Join(c.home, fmt.Sprint(size))
		c.run("put", corpus(t, size), c.at(key))
		c.run("get", c.at(key), back)
		sameFile(t, back, corpus(t, size))
	}
	// A broken download goes on where it ended.
	half := filepath.Join(c.home, "half")
	must(t, os.WriteFile(half, random(17*mib, 0, 9*mib), 0o600))
	c.run("get", "--continue", c.at(fmt.Sprintf("single/%d", 17*mib)), half)
	sameFile(t, half, corpus(t, 17*mib))
	c.feed("from stdin", "put", "-", c.at("single/stream"))
	if out := c.run("get", "--quiet", c.at("single/stream"), "-"); out != "from stdin" {
		t.Errorf("get to stdout: %q", out)
	}
	if out := c.run("ls", c.at("")); !strings.Contains(out, "DIR  "+c.at("single/")) {
		t.Errorf("ls:\n%s", out)
	}
	if out := c.run("ls", c.at("single/")); strings.Count(out, "\n") != 4 || !strings.Contains(out, fmt.Sprintf("%d  %s", 17*mib, c.at(fmt.Sprintf("single/%d", 17*mib)))) {
		t.Errorf("ls:\n%s", out)
	}
	if out := c.run("du", c.at("single/")); strings.Fields(out)[0] != fmt.Sprint(65537+17*mib+len("from stdin")) {
		t.Errorf("du: %s", out)
	}
	if out := c.run("ls"); !strings.Contains(out, "s3://"+c.bucket+"\n") {
		t.Errorf("buckets:\n%s", out)
	}
	populate(t, c.g, c.bucket, "many/%04d", 1050)
	if n := strings.Count(c.run("ls", "--recursive", c.at("many/")), "\n"); n != 1050 {
		t.Errorf("%d lines", n)
	}
}

// copies are made by the server, the large one in parts.
func (c *s3cmdTest) copies(t *testing.T) {
	c.run("cp", c.at("single/65537"), c.at("copy/small +%20"))
	stored(t, c.g, c.bucket, "copy/small +%20", corpus(t, 65537))
	c.run("cp", c.at(fmt.Sprintf("single/%d", 17*mib)), c.at("copy/large"))
	c.run("mv", c.at("copy/large"), c.at("copy/moved"))
	stored(t, c.g, c.bucket, "copy/moved", corpus(t, 17*mib))
	c.fails("does not exist", "get", c.at("copy/large"), filepath.Join(c.home, "absent"))
}

func (c *s3cmdTest) attributes(t *testing.T) {
	c.run("put", "--mime-type", "text/x-test", "--add-header", "Cache-Control: no-cache", "--add-header", "x-amz-meta-colour: blue", corpus(t, 65537), c.at("attributes"))
	out := c.run("info", c.at("attributes"))
	for _, want := range []string{"File size: 65537", "MIME type: text/x-test", "x-amz-meta-colour: blue"} {
		if !strings.Contains(out, want) {
			t.Errorf("info without %q:\n%s", want, out)
		}
	}
	// modify is a copy of the object onto itself.
	c.run("modify", "--add-header", "x-amz-meta-colour: red", c.at("attributes"))
	info := stored(t, c.g, c.bucket, "attributes", corpus(t, 65537))
	if info.UserMetadata["Colour"] != "red" || info.ContentType != "text/x-test" || info.Metadata.Get("Cache-Control") != "no-cache" {
		t.Errorf("after modify: %+v", info)
	}
	if out := c.run("info", c.at("")); !strings.Contains(out, region) {
		t.Errorf("info of the bucket:\n%s", out)
	}
}

func (c *s3cmdTest) uploads(t *testing.T) {
	id, err := newMinio(t, c.g).NewMultipartUpload(t.Context(), c.bucket, "upload", minio.PutObjectOptions{})
	must(t, err)
	if out := c.run("multipart", c.at("")); !strings.Contains(out, id) {
		t.Errorf("multipart without %s:\n%s", id, out)
	}
	c.run("abortmp", c.at("upload"), id)
	noUploads(t, c.g, c.bucket)
}

func (c *s3cmdTest) removal(t *testing.T) {
	c.run("del", c.at("attributes"))
	c.fails("404", "info", c.at("attributes"))
	c.fails("BucketNotEmpty", "rb", c.at(""))
	c.run("del", "--recursive", "--force", c.at(""))
	if out := c.run("ls", "--recursive", c.at("")); out != "" {
		t.Errorf("left:\n%s", out)
	}
	c.run("rb", c.at(""))
	c.fails("NoSuchBucket", "ls", c.at(""))
}
