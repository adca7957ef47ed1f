package api_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
)

func TestCopyObject(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/other", nil)
	body := bytesOf(300_000)
	put := g.Must(t, 200, "PUT", "/bkt/s", body, "Content-Type", "text/plain", "X-Amz-Meta-A", "1", "Cache-Control", "no-store",
		"X-Amz-Storage-Class", "STANDARD_IA", "X-Amz-Website-Redirect-Location", "/x")
	before := liveBlobs(t, g)

	res := g.Must(t, 200, "PUT", "/other/d%20e", nil, "X-Amz-Copy-Source", "/bkt/s")
	if "&quot;"+strings.Trim(put.Header.Get("ETag"), `"`)+"&quot;" != res.Element("ETag") || res.Element("ChecksumCRC64NVME") != sum(engine.CRC64NVME, body) ||
		res.Element("ChecksumType") != "FULL_OBJECT" || res.Element("LastModified") == "" || !strings.Contains(string(res.Body), "<CopyObjectResult ") {
		t.Errorf("answer: %s", res.Body)
	}
	expectHeaders(t, "answer", res, "X-Amz-Server-Side-Encryption", "AES256")
	get := g.Must(t, 200, "GET", "/other/d%20e", nil)
	expectHeaders(t, "copy", get, "Content-Type", "text/plain", "X-Amz-Meta-A", "1", "Cache-Control", "no-store",
		"X-Amz-Storage-Class", "", "X-Amz-Website-Redirect-Location", "")
	if !bytes.Equal(get.Body, body) {
		t.Error("the copy has another content")
	}
	if after := liveBlobs(t, g); after != before {
		t.Errorf("a copy made %d blobs", after-before)
	}

	g.Must(t, 200, "PUT", "/bkt/r", nil, "X-Amz-Copy-Source", "bkt/s", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-B", "2", "Content-Type", "a/b")
	expectHeaders(t, "replaced", g.Must(t, 200, "HEAD", "/bkt/r", nil), "Content-Type", "a/b", "X-Amz-Meta-A", "", "X-Amz-Meta-B", "2", "Cache-Control", "")

	res = g.Must(t, 200, "PUT", "/bkt/h", nil, "X-Amz-Copy-Source", "other/d%20e?versionId=null", "X-Amz-Checksum-Algorithm", "sha256")
	if res.Element("ChecksumSHA256") != sum(engine.SHA256, body) {
		t.Errorf("another checksum: %s", res.Body)
	}

	g.Must(t, 204, "DELETE", "/bkt/s", nil)
	liveBlobs(t, g)
	if !bytes.Equal(content(t, g, "/other/d%20e"), body) {
		t.Error("the copy did not survive its source")
	}
}

func TestCopyObjectRefusals(t *testing.T) {
	g := start(t)
	etag := g.Must(t, 200, "PUT", "/bkt/s", []byte("x")).Header.Get("ETag")
	g.Must(t, 200, "PUT", "/bkt/d", []byte("old"))
	for _, c := range []struct {
		what    string
		target  string
		source  string
		status  int
		code    string
		headers []string
	}{
		{"no key", "d", "bkt", 400, "InvalidArgument", nil},
		{"bad encoding", "d", "bkt/%", 400, "InvalidArgument", nil},
		{"absent", "d", "bkt/none", 404, "NoSuchKey", nil},
		{"absent bucket", "d", "none/s", 404, "NoSuchBucket", nil},
		{"version", "d", "bkt/s?versionId=x", 400, "InvalidArgument", nil},
		{"ARN", "d", "arn:aws:s3:us-east-1:1:accesspoint/a/object/k", 501, "NotImplemented", nil},
		{"directive", "d", "bkt/s", 400, "InvalidArgument", []string{"X-Amz-Metadata-Directive", "replace"}},
		{"tagging directive", "d", "bkt/s", 400, "InvalidArgument", []string{"X-Amz-Tagging-Directive", "x"}},
		{"source If-Match", "d", "bkt/s", 412, "PreconditionFailed", []string{"X-Amz-Copy-Source-If-Match", `"x"`}},
		{"source If-None-Match", "d", "bkt/s", 412, "PreconditionFailed", []string{"X-Amz-Copy-Source-If-None-Match", etag}},
		{"source too old", "d", "bkt/s", 412, "PreconditionFailed", []string{"X-Amz-Copy-Source-If-Modified-Since", "Wed, 21 Oct 2093 07:28:00 GMT"}},
		{"source too new", "d", "bkt/s", 412, "PreconditionFailed", []string{"X-Amz-Copy-Source-If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"}},
		{"source date", "d", "bkt/s", 400, "InvalidArgument", []string{"X-Amz-Copy-Source-If-Unmodified-Since", "x"}},
		{"exists", "d", "bkt/s", 412, "PreconditionFailed", []string{"If-None-Match", "*"}},
		{"another tag", "d", "bkt/s", 412, "PreconditionFailed", []string{"If-Match", etag}},
		{"to itself", "s", "bkt/s", 400, "InvalidRequest", nil},
		{"expected owner", "d", "bkt/s", 403, "AccessDenied", []string{"X-Amz-Source-Expected-Bucket-Owner", "123456789012"}},
		{"algorithm", "d", "bkt/s", 400, "InvalidRequest", []string{"X-Amz-Checksum-Algorithm", "x"}},
	} {
		res := g.Do(t, g.Root, "PUT", "/bkt/"+c.target, nil, append(c.headers, "X-Amz-Copy-Source", c.source)...)
		expect(t, c.what, res, c.status, c.code)
	}
	if got := content(t, g, "/bkt/d"); string(got) != "old" {
		t.Errorf("a refused copy left %q", got)
	}
	owner := g.Engine.Accounts().Root().ID.Canonical()
	g.Must(t, 200, "PUT", "/bkt/d", nil, "X-Amz-Copy-Source", "bkt/s", "X-Amz-Source-Expected-Bucket-Owner", owner,
		"X-Amz-Copy-Source-If-Match", etag, "X-Amz-Copy-Source-If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")
}

func TestCopyObjectToItself(t *testing.T) {
	g := start(t)
	body := []byte("hello")
	g.Must(t, 200, "PUT", "/bkt/k", body, "X-Amz-Meta-A", "1")
	for _, headers := range [][]string{
		{"X-Amz-Storage-Class", "STANDARD_IA"},
		{"X-Amz-Website-Redirect-Location", "/x"},
		{"X-Amz-Server-Side-Encryption", "AES256"},
		{"X-Amz-Checksum-Algorithm", "SHA1"},
		{"X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-A", "2"},
	} {
		g.Must(t, 200, "PUT", "/bkt/k", nil, append(headers, "X-Amz-Copy-Source", "bkt/k")...)
		if !bytes.Equal(content(t, g, "/bkt/k"), body) {
			t.Errorf("%q: another content", headers)
		}
	}
	expectHeaders(t, "at the end", g.Must(t, 200, "HEAD", "/bkt/k", nil, "X-Amz-Checksum-Mode", "ENABLED"),
		"X-Amz-Meta-A", "2", "X-Amz-Checksum-Sha1", sum(engine.SHA1, body))
}

// A copy needs the right to read its source, whoever owns the target.
func TestCopyObjectOfOthers(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/secret", []byte("secret"))
	other := g.User(t, "other")
	if res := g.Do(t, other, "PUT", "/theirs", nil); res.Status != 200 {
		t.Fatalf("create a bucket: %d %s", res.Status, res.Body)
	}
	expect(t, "copy", g.Do(t, other, "PUT", "/theirs/k", nil, "X-Amz-Copy-Source", "bkt/secret"), 403, "AccessDenied")
	expect(t, "nothing came of it", g.Do(t, other, "GET", "/theirs/k", nil), 404, "NoSuchKey")
	expect(t, "into another's", g.Do(t, other, "PUT", "/bkt/k", nil, "X-Amz-Copy-Source", "theirs/k"), 403, "AccessDenied")
	id := newUpload(t, g, "/bkt/m")
	expect(t, "part", g.Do(t, other, "PUT", fmt.Sprintf("/bkt/m?partNumber=1&uploadId=%s", id), nil, "X-Amz-Copy-Source", "theirs/k"), 403, "AccessDenied")
}
