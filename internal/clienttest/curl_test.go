//go:build clients

package clienttest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestCurl signs with curl's own --aws-sigv4. Debian's curl takes the query as
// it is written, so queries here are sorted and encoded, and it wants to be told
// the digest of the body.
func TestCurl(t *testing.T) { onEach(t, testCurl) }

func testCurl(t *testing.T, g *gateway) {
	t.Parallel()
	p := require(t, g, "curl", "curl")
	p.version("--version")
	bucket := bucketName(t)
	c := &curlTest{program: p, url: g.s3 + "/" + bucket, g: g, bucket: bucket}
	c.signed(nil, "-X", "PUT", c.url)
	for _, part := range []func(*testing.T){c.sizes, c.ranges, c.attributes, c.keys, c.listing, c.multipart, c.forms, c.refusals, c.removal} {
		part(t)
	}
}

type curlTest struct {
	*program
	g           *gateway
	url, bucket string
}

var credential = []string{"--silent", "--show-error", "--path-as-is", "--max-time", "120", "--aws-sigv4", "aws:amz:" + region + ":s3", "--user", accessKey + ":" + secretKey}

// signed sends a request with the digest of its body, which args make curl send.
func (c *curlTest) signed(body []byte, args ...string) string {
	c.t.Helper()
	digest := fmt.Sprintf("x-amz-content-sha256: %x", sha256.Sum256(body))
	return c.run(slices.Concat(credential, []string{"--fail-with-body", "-H", digest}, args)...)
}

// send puts bytes that curl reads from a file.
func (c *curlTest) send(body []byte, args ...string) string {
	c.t.Helper()
	path := filepath.Join(c.home, "body")
	must(c.t, os.WriteFile(path, body, 0o600))
	return c.signed(body, append([]string{"-T", path}, args...)...)
}

// refused demands a status and a code of S3.
func (c *curlTest) refused(status int, code string, args ...string) {
	c.t.Helper()
	out := c.run(append([]string{"--silent", "--show-error", "--max-time", "120", "-w", "\n%{http_code}"}, args...)...)
	if !strings.HasSuffix(out, fmt.Sprintf("\n%d", status)) || !strings.Contains(out, "<Code>"+code+"</Code>") || !strings.Contains(out, "<RequestId>") {
		c.t.Errorf("no %d %s: %s", status, code, out)
	}
}

func (c *curlTest) sizes(t *testing.T) {
	back := filepath.Join(c.home, "back")
	for _, size := range append(slices.Clone(allSizes), 64*mib) {
		url := fmt.Sprintf("%s/sizes/%d", c.url, size)
		if size <= mib+1 {
			c.send(random(uint64(size), 0, size), url)
		} else {
			// A digest that is not known before, and Expect: 100-continue.
			c.run(slices.Concat(credential, []string{"--fail-with-body", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", corpus(t, size), url})...)
		}
		c.signed(nil, "-o", back, url)
		sameFile(t, back, corpus(t, size))
	}
	stored(t, c.g, c.bucket, fmt.Sprintf("sizes/%d", 17*mib), corpus(t, 17*mib))
}

func (c *curlTest) ranges(t *testing.T) {
	const size = 17 * mib
	body := random(size, 0, size)
	url := fmt.Sprintf("%s/sizes/%d", c.url, size)
	for asked, want := range map[string][]byte{
		"0-0": body[:1], "65535-65536": body[65535:65537], "-77": body[size-77:], "17825000-": body[17825000:],
		"1048000-9000000": body[1048000:9000001],
	} {
		head := filepath.Join(c.home, "head")
		if got := c.signed(nil, "-r", asked, "-D", head, url); got != string(want) {
			t.Errorf("range %s: %d bytes instead of %d, or others", asked, len(got), len(want))
		}
		text, err := os.ReadFile(head)
		must(t, err)
		if !strings.Contains(string(text), " 206") || !strings.Contains(strings.ToLower(string(text)), fmt.Sprintf("/%d\r\n", size)) {
			t.Errorf("range %s: %s", asked, text)
		}
	}
}

func (c *curlTest) attributes(t *testing.T) {
	body := random(3, 0, 65537)
	sum, md := sha256.Sum256(body), md5.Sum(body)
	c.send(body, "-H", "Content-Type: text/x-test", "-H", "Cache-Control: no-cache", "-H", "x-amz-meta-colour: blue",
		"-H", "Content-MD5: "+base64.StdEncoding.EncodeToString(md[:]), "-H", "x-amz-checksum-sha256: "+base64.StdEncoding.EncodeToString(sum[:]), c.url+"/attributes")
	head := strings.ToLower(c.signed(nil, "-I", "-H", "x-amz-checksum-mode: ENABLED", c.url+"/attributes"))
	for _, want := range []string{"content-type: text/x-test", "cache-control: no-cache", "x-amz-meta-colour: blue", "content-length: 65537",
		fmt.Sprintf("etag: \"%x\"", md), strings.ToLower("x-amz-checksum-sha256: " + base64.StdEncoding.EncodeToString(sum[:]))} {
		if !strings.Contains(head, want+"\r\n") {
			t.Errorf("HEAD without %q:\n%s", want, head)
		}
	}
}

func (c *curlTest) keys(t *testing.T) {
	for _, key := range slices.Concat(oddKeys, dotKeys) {
		url := c.url + "/" + escaped(key)
		// Not -T, which takes a slash at the end for a folder to put the file in.
		c.signed([]byte(key), "-X", "PUT", "--data-raw", key, url)
		if got := c.signed(nil, url); got != key {
			t.Errorf("%q: read %q", key, got)
		}
		r, _, _, err := newMinio(t, c.g).GetObject(t.Context(), c.bucket, key, minio.GetObjectOptions{})
		must(t, err)
		got, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		if string(got) != key {
			t.Errorf("%q: another client reads %q", key, got)
		}
		c.signed(nil, "-X", "DELETE", url)
	}
}

// escaped is the key as Signature Version 4 wants it in a path: all but the
// unreserved characters of RFC 3986 and slashes as %XX.
func escaped(key string) string {
	var b strings.Builder
	for _, ch := range []byte(key) {
		if ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9' || strings.IndexByte("-._~/", ch) >= 0 {
			b.WriteByte(ch)
		} else {
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}

func (c *curlTest) listing(t *testing.T) {
	var list struct {
		KeyCount       int
		IsTruncated    bool
		Contents       []struct{ Key string }
		CommonPrefixes []struct{ Prefix string }
	}
	must(t, xml.Unmarshal([]byte(c.signed(nil, c.url+"?list-type=2&max-keys=3&prefix=sizes%2F")), &list))
	if list.KeyCount != 3 || !list.IsTruncated || list.Contents[0].Key != "sizes/0" {
		t.Errorf("%+v", list)
	}
	list.Contents = nil
	must(t, xml.Unmarshal([]byte(c.signed(nil, c.url+"?delimiter=%2F")), &list))
	if len(list.Contents) != 1 || len(list.CommonPrefixes) != 1 || list.CommonPrefixes[0].Prefix != "sizes/" {
		t.Errorf("%+v", list)
	}
	if out := c.signed(nil, c.g.s3+"/"); !strings.Contains(out, "<Name>"+c.bucket+"</Name>") {
		t.Errorf("buckets: %s", out)
	}
}

func (c *curlTest) multipart(t *testing.T) {
	url := c.url + "/upload"
	var upload struct{ UploadId string }
	must(t, xml.Unmarshal([]byte(c.signed(nil, "-X", "POST", url+"?uploads=")), &upload))
	body := random(17*mib, 0, 17*mib)
	complete := "<CompleteMultipartUpload>"
	for i, part := range slices.Collect(slices.Chunk(body, 8*mib)) {
		head := c.send(part, "-D", "-", fmt.Sprintf("%s?partNumber=%d&uploadId=%s", url, i+1, escaped(upload.UploadId)))
		etag := fmt.Sprintf("%x", md5.Sum(part))
		if !strings.Contains(head, `"`+etag+`"`) {
			t.Fatalf("part %d: %s", i+1, head)
		}
		complete += fmt.Sprintf(`<Part><PartNumber>%d</PartNumber><ETag>"%s"</ETag></Part>`, i+1, etag)
	}
	complete += "</CompleteMultipartUpload>"
	out := c.signed([]byte(complete), "-X", "POST", "-H", "Content-Type: application/xml", "--data-binary", complete, url+"?uploadId="+escaped(upload.UploadId))
	if !strings.Contains(out, "-3&#34;</ETag>") && !strings.Contains(out, "-3&quot;</ETag>") && !strings.Contains(out, `-3"</ETag>`) {
		t.Errorf("complete: %s", out)
	}
	back := filepath.Join(c.home, "back")
	c.signed(nil, "-o", back, url)
	sameFile(t, back, corpus(t, 17*mib))
	if got := c.signed(nil, url+"?partNumber=3"); !bytes.Equal([]byte(got), body[16*mib:]) {
		t.Errorf("part 3: %d other bytes", len(got))
	}
}

func (c *curlTest) refusals(t *testing.T) {
	empty := fmt.Sprintf("x-amz-content-sha256: %x", sha256.Sum256(nil))
	wrong := slices.Clone(credential)
	wrong[len(wrong)-1] = accessKey + ":wrong"
	c.refused(403, "SignatureDoesNotMatch", append(wrong, "-H", empty, c.url+"/attributes")...)
	wrong[len(wrong)-1] = "NOBODYSACCESSKEY0000:" + secretKey
	c.refused(403, "InvalidAccessKeyId", append(wrong, "-H", empty, c.url+"/attributes")...)
	c.refused(403, "AccessDenied", c.url+"/attributes")
	c.refused(404, "NoSuchKey", slices.Concat(credential, []string{"-H", empty, c.url + "/absent"})...)
	// The digest of nothing, and a body.
	c.refused(400, "XAmzContentSHA256Mismatch", slices.Concat(credential, []string{"-H", empty, "-T", corpus(t, 65537), c.url + "/refused"})...)
	c.refused(404, "NoSuchKey", slices.Concat(credential, []string{"-H", empty, c.url + "/refused"})...)
}

func (c *curlTest) removal(t *testing.T) {
	empty := fmt.Sprintf("x-amz-content-sha256: %x", sha256.Sum256(nil))
	c.refused(409, "BucketNotEmpty", slices.Concat(credential, []string{"-H", empty, "-X", "DELETE", c.url})...)
	complete := "<Delete><Quiet>true</Quiet>"
	for _, size := range append(slices.Clone(allSizes), 64*mib) {
		complete += fmt.Sprintf("<Object><Key>sizes/%d</Key></Object>", size)
	}
	complete += "</Delete>"
	sum := md5.Sum([]byte(complete))
	out := c.signed([]byte(complete), "-X", "POST", "-H", "Content-MD5: "+base64.StdEncoding.EncodeToString(sum[:]), "-H", "Content-Type: application/xml",
		"--data-binary", complete, c.url+"?delete=")
	if strings.Contains(out, "<Error>") {
		t.Errorf("delete: %s", out)
	}
	c.signed(nil, "-X", "DELETE", c.url+"/attributes")
	c.signed(nil, "-X", "DELETE", c.url+"/upload")
	c.signed(nil, "-X", "DELETE", c.url)
	c.refused(404, "NoSuchBucket", slices.Concat(credential, []string{"-H", empty, c.url})...)
}
