//go:build clients

package clienttest

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRclone(t *testing.T) { onEach(t, testRclone) }

func testRclone(t *testing.T, g *gateway) {
	t.Parallel()
	p := require(t, g, "rclone", "rclone").with(
		"RCLONE_CONFIG=/dev/null", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1",
		"RCLONE_CONFIG_GW_TYPE=s3", "RCLONE_CONFIG_GW_PROVIDER=Other", "RCLONE_CONFIG_GW_ENDPOINT="+g.s3, "RCLONE_CONFIG_GW_REGION="+region,
		"RCLONE_CONFIG_GW_ACCESS_KEY_ID="+accessKey, "RCLONE_CONFIG_GW_SECRET_ACCESS_KEY="+secretKey,
		"RCLONE_S3_UPLOAD_CUTOFF=16Mi", "RCLONE_S3_CHUNK_SIZE=8Mi", "RCLONE_S3_COPY_CUTOFF=10Mi", "RCLONE_S3_LIST_CHUNK=300",
	)
	p.version("version")
	c := &rcloneTest{program: p, g: g, bucket: bucketName(t)}
	c.run("mkdir", c.at(""))
	for _, part := range []func(*testing.T){c.files, c.step, c.streams, c.attributes, c.copies, c.presigned, c.listing, c.removal} {
		part(t)
	}
}

type rcloneTest struct {
	*program
	g      *gateway
	bucket string
	dir    string // what is stored below files/
}

func (c *rcloneTest) at(key string) string { return "gw:" + c.bucket + "/" + key }

// files stores a folder of all sizes, the large ones in parts, and brings it back.
func (c *rcloneTest) files(t *testing.T) {
	c.dir = mixedTree(t, append(slices.Clone(allSizes), 64*mib, 200*mib)...)
	c.run("copy", c.dir, c.at("files"))
	noUploads(t, c.g, c.bucket)
	c.run("check", "--download", c.dir, c.at("files"))
	c.run("check", c.dir, c.at("files"))
	back := filepath.Join(c.home, "back")
	c.run("copy", c.at("files"), back)
	sameTree(t, back, c.dir)
	sameTimes(t, back, c.dir)
	stored(t, c.g, c.bucket, fmt.Sprintf("files/%d.bin", 200*mib), corpus(t, 200*mib))
	lines := c.run("lsl", c.at("files"))
	for _, name := range treeOf(t, c.dir) {
		info, err := os.Stat(filepath.Join(c.dir, name))
		must(t, err)
		want := fmt.Sprintf("%d %s %s\n", info.Size(), info.ModTime().UTC().Format("2006-01-02 15:04:05.000000000"), name)
		if !strings.Contains(lines, want) {
			t.Errorf("lsl without %q:\n%s", want, lines)
		}
	}
	// rclone stores the MD5 of what it sends in parts as metadata.
	sum := fmt.Sprintf("%x  %d.bin", md5.Sum(random(17*mib, 0, 17*mib)), 17*mib)
	if out := c.run("md5sum", c.at(fmt.Sprintf("files/%d.bin", 17*mib))); strings.TrimSpace(out) != sum {
		t.Errorf("md5sum: %s instead of %s", out, sum)
	}
}

// step keeps the stored folder in step with one that changes.
func (c *rcloneTest) step(t *testing.T) {
	sync := func() string {
		t.Helper()
		_, stderr, err := c.try("", "sync", "-v", c.dir, c.at("files"))
		if err != nil {
			t.Fatalf("sync: %v\n%s", err, last(stderr))
		}
		return stderr
	}
	if log := sync(); strings.Contains(log, "Copied") || strings.Contains(log, "Updated") || strings.Contains(log, "Deleted") {
		t.Errorf("a second sync did something:\n%s", log)
	}
	must(t, os.Remove(filepath.Join(c.dir, fmt.Sprintf("%d.bin", 200*mib))))
	must(t, os.Remove(filepath.Join(c.dir, "65536.bin")))
	touched := writeFile(t, filepath.Join(c.dir, "touched"), "touched")
	writeFile(t, filepath.Join(c.dir, "odd/with space"), "changed")
	sync()
	c.run("check", "--download", c.dir, c.at("files"))
	// Only the time has changed: rclone copies the object onto itself.
	must(t, os.Chtimes(touched, time.Time{}, time.Unix(1234567890, 123456789)))
	if log := sync(); !strings.Contains(log, "touched: Updated modification time") {
		t.Errorf("another time:\n%s", log)
	}
	info := stored(t, c.g, c.bucket, "files/touched", touched)
	if got := info.UserMetadata["Mtime"]; got != "1234567890.123456789" {
		t.Errorf("mtime %q", got)
	}
	storedTree(t, c.g, c.bucket, "files/", c.dir)
}

// streams stores what has no known length, and reads a piece of it.
func (c *rcloneTest) streams(t *testing.T) {
	body := random(17*mib, 0, 17*mib)
	c.feed(string(body), "rcat", c.at("stream/large"))
	c.feed("small", "rcat", c.at("stream/small"))
	stored(t, c.g, c.bucket, "stream/large", corpus(t, 17*mib))
	if out := c.run("cat", c.at("stream/small")); out != "small" {
		t.Errorf("cat: %q", out)
	}
	if out := c.run("cat", "--offset", "8388600", "--count", "70000", c.at("stream/large")); out != string(body[8388600:8388600+70000]) {
		t.Errorf("cat of a range: %d other bytes", len(out))
	}
	if out := c.run("cat", "--offset", "-10", c.at("stream/large")); out != string(body[len(body)-10:]) {
		t.Errorf("cat of the end: %d other bytes", len(out))
	}
}

func (c *rcloneTest) attributes(t *testing.T) {
	c.run("copyto", "--metadata", "--metadata-set", "colour=blue", "--metadata-set", "content-type=text/x-test", "--header-upload", "Content-Language: de",
		"--metadata-set", "cache-control=no-cache", corpus(t, 65537), c.at("attributes"))
	var stat struct {
		Size     int64
		MimeType string
		Metadata map[string]string
	}
	must(t, json.Unmarshal([]byte(c.run("lsjson", "--stat", "--metadata", c.at("attributes"))), &stat))
	if stat.Size != 65537 || stat.MimeType != "text/x-test" || stat.Metadata["colour"] != "blue" || stat.Metadata["cache-control"] != "no-cache" ||
		stat.Metadata["content-language"] != "de" || stat.Metadata["mtime"] == "" {
		t.Errorf("%+v", stat)
	}
}

// copies are made by the server, the large ones in parts.
func (c *rcloneTest) copies(t *testing.T) {
	c.run("copyto", c.at("stream/large"), c.at("copy/large"))
	c.run("moveto", c.at("copy/large"), c.at("copy/moved +%20"))
	stored(t, c.g, c.bucket, "copy/moved +%20", corpus(t, 17*mib))
	if out := c.run("lsf", c.at("copy")); out != "moved +%20\n" {
		t.Errorf("lsf: %q", out)
	}
	other := "gw:" + c.bucket + "-other"
	c.run("mkdir", other)
	c.run("sync", c.at("files/odd"), other+"/odd")
	c.run("check", "--download", filepath.Join(c.dir, "odd"), other+"/odd")
	c.run("purge", other)
	c.fails("directory not found", "lsf", other)
}

func (c *rcloneTest) presigned(t *testing.T) {
	url := strings.TrimSpace(c.run("link", c.at("attributes")))
	_, body := fetch(t, http.MethodGet, url, nil, http.StatusOK)
	if !bytes.Equal(body, random(65537, 0, 65537)) {
		t.Errorf("%d other bytes", len(body))
	}
}

func (c *rcloneTest) listing(t *testing.T) {
	want := populate(t, c.g, c.bucket, "many/%04d", 1050)
	for i := range want {
		want[i] = strings.TrimPrefix(want[i], "many/")
	}
	for _, args := range [][]string{{"--s3-list-version", "1"}, {"--s3-list-version", "2"}, {"--s3-list-url-encode", "true", "--fast-list"}} {
		got := strings.Fields(c.run(append([]string{"lsf", "-R", c.at("many")}, args...)...))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d names instead of %d", args, len(got), len(want))
		}
	}
	var size struct{ Count, Bytes int64 }
	must(t, json.Unmarshal([]byte(c.run("size", "--json", c.at("many"))), &size))
	if size.Count != 1050 || size.Bytes != 1050*int64(len("many/0000")) {
		t.Errorf("size: %+v", size)
	}
	if out := c.run("lsf", "--dirs-only", c.at("")); out != "copy/\nfiles/\nmany/\nstream/\n" {
		t.Errorf("folders: %q", out)
	}
}

func (c *rcloneTest) removal(t *testing.T) {
	c.run("deletefile", c.at("attributes"))
	if out := c.run("lsf", "--files-only", c.at("")); out != "" {
		t.Errorf("files: %q", out)
	}
	c.run("delete", c.at("many"))
	if out := c.run("lsf", "-R", c.at("many")); out != "" {
		t.Errorf("left: %q", out)
	}
	c.fails("BucketNotEmpty", "rmdir", c.at(""))
	c.run("purge", c.at(""))
	if out := c.run("lsd", "gw:"); strings.Contains(out, c.bucket) {
		t.Errorf("the bucket is there:\n%s", out)
	}
}
