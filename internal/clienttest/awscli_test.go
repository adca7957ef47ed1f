package clienttest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// awscli is Debian's aws-cli 2.9, of the years before SDKs sent checksums of
// their own accord.
const awscli = "/usr/bin/aws"

func TestAWSCLI(t *testing.T) { onEach(t, testAWSCLI) }

func testAWSCLI(t *testing.T, g *gateway) {
	t.Parallel()
	c := newAWSTest(t, g, require(t, g, awscli, "awscli"))
	c.test(c.files, c.large, c.attributes, c.keys, c.copies, c.uploads, c.presigned, c.listing, c.versions)
}

type awsTest struct {
	*program
	g           *gateway
	url, bucket string
}

func newAWSTest(t *testing.T, g *gateway, p *program) *awsTest {
	p.version("--version")
	// Version 1 still presigns with SigV2 unless told otherwise.
	config := writeFile(t, filepath.Join(p.home, "config"), "[default]\ns3 =\n  signature_version = s3v4\n")
	p.with("AWS_CONFIG_FILE="+config, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(p.home, "none"))
	return &awsTest{program: p, g: g, url: g.s3, bucket: bucketName(t)}
}

// test runs parts of the test in turn, in a bucket that is made and removed.
func (c *awsTest) test(parts ...func(*testing.T)) {
	c.s3("mb", c.at(""))
	for _, part := range parts {
		part(c.t)
	}
	c.s3("rb", "--force", c.at(""))
	c.fails("NoSuchBucket", "--endpoint-url", c.url, "s3", "ls", c.at(""))
}

func (c *awsTest) at(key string) string { return "s3://" + c.bucket + "/" + key }

func (c *awsTest) s3(args ...string) string {
	c.t.Helper()
	return c.run(append([]string{"--endpoint-url", c.url, "s3"}, args...)...)
}

// api runs an aws s3api command in the bucket and decodes its answer into v.
func (c *awsTest) api(v any, operation string, args ...string) {
	c.t.Helper()
	out := c.run(append([]string{"--endpoint-url", c.url, "--output", "json", "s3api", operation, "--bucket", c.bucket}, args...)...)
	if v != nil {
		if err := json.Unmarshal([]byte(out), v); err != nil {
			c.t.Fatalf("%s: %v in %s", operation, err, out)
		}
	}
}

// files stores a folder of all sizes, brings it back, and keeps it in step.
func (c *awsTest) files(t *testing.T) {
	dir := corpusFolder(t, append(slices.Clone(allSizes), 64*mib)...)
	back := filepath.Join(c.home, "back")
	c.s3("sync", "--only-show-errors", dir, c.at("files/"))
	c.s3("cp", "--recursive", "--only-show-errors", c.at("files/"), back)
	sameTree(t, back, dir)
	if again := c.s3("sync", dir, c.at("files/")); strings.TrimSpace(again) != "" {
		t.Errorf("a second sync did something:\n%s", again)
	}
	must(t, os.Remove(filepath.Join(dir, "65536.bin")))
	writeFile(t, filepath.Join(dir, "new/file.txt"), "new")
	c.s3("sync", "--delete", "--only-show-errors", dir, c.at("files/"))
	must(t, os.RemoveAll(back))
	c.s3("sync", "--only-show-errors", c.at("files/"), back)
	sameTree(t, back, dir)
	if out := c.feed("from stdin", "--endpoint-url", c.url, "s3", "cp", "-", c.at("stream")); out != "" {
		t.Errorf("cp from stdin printed %q", out)
	}
	if out := c.s3("cp", c.at("stream"), "-"); out != "from stdin" {
		t.Errorf("cp to stdout printed %q", out)
	}
}

// large is a file of many parts.
func (c *awsTest) large(t *testing.T) {
	path, back := corpus(t, 200*mib), filepath.Join(c.home, "large")
	c.s3("cp", "--only-show-errors", path, c.at("large"))
	c.s3("cp", "--only-show-errors", c.at("large"), back)
	sameFile(t, back, path)
	must(t, os.Remove(back))
}

func (c *awsTest) attributes(t *testing.T) {
	path := corpus(t, 65537)
	c.api(nil, "put-object", "--key", "attributes", "--body", path, "--metadata", "colour=blue,other=a b", "--content-type", "text/x-test",
		"--content-disposition", "inline", "--content-language", "de", "--content-encoding", "zstd", "--cache-control", "no-cache", "--expires", "2031-05-06T07:08:09Z")
	var head struct {
		ContentLength                                                                            int64
		ContentType, ContentDisposition, ContentLanguage, ContentEncoding, CacheControl, Expires string
		Metadata                                                                                 map[string]string
	}
	c.api(&head, "head-object", "--key", "attributes")
	if head.ContentLength != 65537 || head.ContentType != "text/x-test" || head.ContentDisposition != "inline" || head.ContentLanguage != "de" ||
		head.ContentEncoding != "zstd" || head.CacheControl != "no-cache" || head.Expires == "" || head.Metadata["colour"] != "blue" || head.Metadata["other"] != "a b" {
		t.Errorf("%+v", head)
	}
	out := filepath.Join(c.home, "range")
	c.api(nil, "get-object", "--key", "attributes", "--range", "bytes=65530-65536", out)
	got, err := os.ReadFile(out)
	must(t, err)
	if !bytes.Equal(got, random(65537, 0, 65537)[65530:]) {
		t.Errorf("the range has %d other bytes", len(got))
	}
}

func (c *awsTest) keys(t *testing.T) {
	dir := filepath.Join(c.home, "odd")
	for _, name := range []string{"with space", "ünïcode/日本語/🗝", "plus+and%percent%25", "a&b=c?d#e", "semi;colon,at@bang!$'()~"} {
		writeFile(t, filepath.Join(dir, name), name)
	}
	c.s3("cp", "--recursive", "--only-show-errors", dir, c.at("odd/"))
	back := filepath.Join(c.home, "odd back")
	c.s3("sync", "--only-show-errors", c.at("odd/"), back)
	sameTree(t, back, dir)
	for _, key := range []string{"odd/double//slash", "odd/trailing/"} {
		c.api(nil, "put-object", "--key", key)
	}
	var list struct{ Contents []struct{ Key string } }
	c.api(&list, "list-objects-v2", "--prefix", "odd/")
	var keys []string
	for _, o := range list.Contents {
		keys = append(keys, strings.TrimPrefix(o.Key, "odd/"))
	}
	want := append(treeOf(t, dir), "double//slash", "trailing/")
	slices.Sort(want)
	if !slices.Equal(keys, want) {
		t.Errorf("keys %q instead of %q", keys, want)
	}
	c.s3("rm", "--recursive", "--only-show-errors", c.at("odd/"))
}

// copies are made by the server, the large one in parts.
func (c *awsTest) copies(t *testing.T) {
	out := filepath.Join(c.home, "copy")
	c.s3("cp", "--only-show-errors", c.at("files/17825792.bin"), c.at("copy/large"))
	c.s3("mv", "--only-show-errors", c.at("copy/large"), c.at("copy/moved"))
	c.s3("cp", "--only-show-errors", c.at("copy/moved"), out)
	sameFile(t, out, corpus(t, 17*mib))
	c.fails("404", "--endpoint-url", c.url, "s3", "cp", c.at("copy/large"), out)
	c.api(nil, "copy-object", "--key", "copy/small", "--copy-source", c.bucket+"/attributes")
	c.api(nil, "get-object", "--key", "copy/small", out)
	sameFile(t, out, corpus(t, 65537))
}

func (c *awsTest) uploads(t *testing.T) {
	var upload struct{ UploadId string }
	c.api(&upload, "create-multipart-upload", "--key", "upload")
	c.api(nil, "upload-part", "--key", "upload", "--upload-id", upload.UploadId, "--part-number", "7", "--body", corpus(t, 65537))
	var parts struct {
		Parts []struct{ PartNumber, Size int }
	}
	c.api(&parts, "list-parts", "--key", "upload", "--upload-id", upload.UploadId)
	if len(parts.Parts) != 1 || parts.Parts[0].PartNumber != 7 || parts.Parts[0].Size != 65537 {
		t.Errorf("%+v", parts)
	}
	var uploads struct {
		Uploads []struct{ Key, UploadId string }
	}
	c.api(&uploads, "list-multipart-uploads")
	if len(uploads.Uploads) != 1 || uploads.Uploads[0].UploadId != upload.UploadId {
		t.Errorf("%+v", uploads)
	}
	c.api(nil, "abort-multipart-upload", "--key", "upload", "--upload-id", upload.UploadId)
	c.fails("NoSuchUpload", "--endpoint-url", c.url, "s3api", "list-parts", "--bucket", c.bucket, "--key", "upload", "--upload-id", upload.UploadId)
}

func (c *awsTest) presigned(t *testing.T) {
	url := strings.TrimSpace(c.s3("presign", c.at("attributes"), "--expires-in", "600"))
	_, body := fetch(t, http.MethodGet, url, nil, http.StatusOK)
	if !bytes.Equal(body, random(65537, 0, 65537)) {
		t.Errorf("%d other bytes", len(body))
	}
}

func (c *awsTest) listing(t *testing.T) {
	populate(t, c.g, c.bucket, "many/%04d", 1050)
	if n := strings.Count(c.s3("ls", "--recursive", c.at("many/")), "\n"); n != 1050 {
		t.Errorf("%d lines", n)
	}
	if out := c.s3("ls", c.at("")); !strings.Contains(out, "PRE many/") || !strings.Contains(out, "PRE files/") || strings.Contains(out, "0001") {
		t.Errorf("with a delimiter:\n%s", out)
	}
	var errors struct{ Errors []any }
	c.api(&errors, "delete-objects", "--delete", `{"Objects":[{"Key":"many/0001"},{"Key":"absent"}]}`)
	if len(errors.Errors) > 0 {
		t.Errorf("%+v", errors)
	}
}
