package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// bothMethods sends a GET and a HEAD and checks that their headers agree.
func bothMethods(t *testing.T, g *gatewaytest.Gateway, target string, headers ...string) gatewaytest.Response {
	t.Helper()
	get := g.Do(t, g.Root, "GET", target, nil, headers...)
	head := g.Do(t, g.Root, "HEAD", target, nil, headers...)
	if get.Status != head.Status || len(head.Body) > 0 {
		t.Errorf("%s %q: GET answers %d, HEAD %d with %d bytes", target, headers, get.Status, head.Status, len(head.Body))
	}
	for name := range get.Header {
		switch name {
		case "Date", "X-Amz-Request-Id":
		default:
			if g, h := get.Header.Get(name), head.Header.Get(name); g != h && get.Status < 400 {
				t.Errorf("%s %q: %s is %q for GET and %q for HEAD", target, headers, name, g, h)
			}
		}
	}
	return get
}

func TestGetObjectSizes(t *testing.T) {
	g := start(t)
	for _, n := range []int{0, 1, 1000, 65_535, 65_536, 65_537, 1 << 20, 1<<20 + 1, 3<<20 + 7} {
		body := bytesOf(n)
		g.Must(t, 200, "PUT", "/bkt/k", body)
		res := bothMethods(t, g, "/bkt/k")
		expectHeaders(t, fmt.Sprint(n), res, "Content-Length", fmt.Sprint(n), "Content-Range", "")
		if res.Status != 200 || !bytes.Equal(res.Body, body) {
			t.Errorf("%d bytes: %d, other content", n, res.Status)
		}
	}
}

func TestGetObjectRanges(t *testing.T) {
	g := start(t)
	body := bytesOf(200_000)
	size := len(body)
	g.Must(t, 200, "PUT", "/bkt/k", body)
	g.Must(t, 200, "PUT", "/bkt/empty", nil)
	for value, want := range map[string][2]int{
		"bytes=0-0":                       {0, 1},
		"bytes=0-65535":                   {0, 65_536},
		"bytes=65535-65536":               {65_535, 65_537},
		"bytes=131072-":                   {131_072, size},
		"bytes=199999-300000":             {199_999, size},
		"bytes=-1":                        {size - 1, size},
		"bytes=-65537":                    {size - 65_537, size},
		"bytes=-300000":                   {0, size},
		"bytes=0-":                        {0, size},
		"bytes=0-99999999999999999999999": {0, size},
	} {
		res := bothMethods(t, g, "/bkt/k", "Range", value, "X-Amz-Checksum-Mode", "ENABLED")
		expectHeaders(t, value, res, "Content-Length", fmt.Sprint(want[1]-want[0]),
			"Content-Range", fmt.Sprintf("bytes %d-%d/%d", want[0], want[1]-1, size), "X-Amz-Checksum-Crc64nvme", "")
		if res.Status != 206 || !bytes.Equal(res.Body, body[want[0]:want[1]]) {
			t.Errorf("%s: %d, %d bytes", value, res.Status, len(res.Body))
		}
	}
	for _, value := range []string{"bytes=5-4", "bytes=0-1,3-4", "bytes=x", "lines=1-2", "bytes=-", ""} {
		res := bothMethods(t, g, "/bkt/k", "Range", value)
		expectHeaders(t, value, res, "Content-Range", "")
		if res.Status != 200 || !bytes.Equal(res.Body, body) {
			t.Errorf("%q must be ignored: %d, %d bytes", value, res.Status, len(res.Body))
		}
	}
	for _, value := range []string{"bytes=200000-", "bytes=200000-200001", "bytes=-0", "bytes=99999999999999999999-"} {
		res := bothMethods(t, g, "/bkt/k", "Range", value)
		expect(t, value, res, 416, "InvalidRange")
		if got := res.Element("ActualObjectSize"); got != fmt.Sprint(size) {
			t.Errorf("%s: ActualObjectSize %q", value, got)
		}
	}
	expect(t, "range of nothing", bothMethods(t, g, "/bkt/empty", "Range", "bytes=0-0"), 416, "InvalidRange")
}

func TestGetObjectConditions(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), "Cache-Control", "max-age=1", "Content-Type", "text/plain")
	head := g.Must(t, 200, "HEAD", "/bkt/k", nil)
	etag, modified := head.Header.Get("ETag"), head.Header.Get("Last-Modified")
	at, err := http.ParseTime(modified)
	if err != nil {
		t.Fatal(err)
	}
	before, after := at.Add(-time.Hour).Format(http.TimeFormat), at.Add(time.Hour).Format(http.TimeFormat)
	for _, c := range []struct {
		status  int
		headers []string
	}{
		{200, []string{"If-Match", etag}},
		{200, []string{"If-Match", strings.Trim(etag, `"`)}},
		{200, []string{"If-Match", "*"}},
		{200, []string{"If-Match", `"x", ` + etag}},
		{412, []string{"If-Match", `"x"`}},
		{304, []string{"If-None-Match", etag}},
		{304, []string{"If-None-Match", "*"}},
		{200, []string{"If-None-Match", `"x"`}},
		{304, []string{"If-Modified-Since", modified}},
		{304, []string{"If-Modified-Since", after}},
		{200, []string{"If-Modified-Since", before}},
		{200, []string{"If-Modified-Since", "yesterday"}},
		{200, []string{"If-Unmodified-Since", modified}},
		{412, []string{"If-Unmodified-Since", before}},
		{200, []string{"If-Unmodified-Since", "yesterday"}},
		{200, []string{"If-Match", etag, "If-Unmodified-Since", before}},
		{200, []string{"If-None-Match", `"x"`, "If-Modified-Since", after}},
		{304, []string{"If-None-Match", etag, "If-Modified-Since", before}},
		{412, []string{"If-Match", `"x"`, "If-None-Match", etag}},
		{206, []string{"If-Match", etag, "Range", "bytes=0-0"}},
		{304, []string{"If-None-Match", etag, "Range", "bytes=5-"}},
		{412, []string{"If-Match", `"x"`, "Range", "bytes=5-"}},
		{206, []string{"Range", "bytes=0-0", "If-Range", etag}},
		{206, []string{"Range", "bytes=0-0", "If-Range", modified}},
		{200, []string{"Range", "bytes=0-0", "If-Range", `"x"`}},
		{200, []string{"Range", "bytes=5-", "If-Range", before}},
		{304, []string{"Range", "bytes=0-0", "If-Range", etag, "If-None-Match", etag}},
	} {
		res := bothMethods(t, g, "/bkt/k", c.headers...)
		if res.Status != c.status {
			t.Errorf("%q: %d, want %d: %s", c.headers, res.Status, c.status, res.Body)
		}
		switch res.Status {
		case 412:
			expect(t, fmt.Sprint(c.headers), res, 412, "PreconditionFailed")
		case 304:
			expectHeaders(t, fmt.Sprint(c.headers), res, "ETag", etag, "Last-Modified", modified, "Cache-Control", "max-age=1", "Content-Type", "")
			if len(res.Body) > 0 {
				t.Errorf("%q: a 304 has a body", c.headers)
			}
		}
	}
}

func TestGetObjectRefusals(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"))
	for _, c := range []struct {
		target  string
		status  int
		code    string
		headers []string
	}{
		{"/bkt/none", 404, "NoSuchKey", nil},
		{"/none/k", 404, "NoSuchBucket", nil},
		{"/bkt/k?versionId=null", 200, "", nil},
		{"/bkt/k?versionId=abc", 400, "InvalidArgument", nil},
		{"/bkt/k?versionId=", 400, "InvalidArgument", nil},
		{"/bkt/k?partNumber=0", 400, "InvalidArgument", nil},
		{"/bkt/k?partNumber=10001", 400, "InvalidArgument", nil},
		{"/bkt/k?partNumber=x", 400, "InvalidArgument", nil},
		{"/bkt/k?partNumber=2", 416, "InvalidPartNumber", nil},
		{"/bkt/k?partNumber=1", 400, "InvalidRequest", []string{"Range", "bytes=0-0"}},
		{"/bkt/k?response-cache-control=a%0D%0Ab:c", 400, "InvalidArgument", nil},
		{"/bkt/k", 400, "InvalidRequest", []string{"X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"}},
		{"/bkt/k", 400, "InvalidArgument", []string{"X-Amz-Server-Side-Encryption", "AES256"}},
	} {
		expect(t, c.target, bothMethods(t, g, c.target, c.headers...), c.status, c.code)
	}
}

func TestGetObjectOverrides(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), "Content-Type", "text/plain", "Cache-Control", "no-store")
	res := bothMethods(t, g,
		"/bkt/k?response-content-type=text%2Fcsv&response-content-disposition=attachment%3B%20filename%3Da&response-expires=soon&response-content-language=de&response-content-encoding=x")
	expectHeaders(t, "overrides", res, "Content-Type", "text/csv", "Content-Disposition", "attachment; filename=a",
		"Expires", "soon", "Content-Language", "de", "Content-Encoding", "x", "Cache-Control", "no-store")
}

func TestGetObjectChecksumMode(t *testing.T) {
	g := start(t)
	body := []byte("hello")
	g.Must(t, 200, "PUT", "/bkt/k", body, "X-Amz-Checksum-Sha256", sum(engine.SHA256, body))
	expectHeaders(t, "not asked", bothMethods(t, g, "/bkt/k"), "X-Amz-Checksum-Sha256", "", "X-Amz-Checksum-Type", "")
	for _, target := range []string{"/bkt/k", "/bkt/k?partNumber=1"} {
		expectHeaders(t, target, bothMethods(t, g, target, "X-Amz-Checksum-Mode", "enabled"),
			"X-Amz-Checksum-Sha256", sum(engine.SHA256, body), "X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

// Keys are bytes: all of these are different.
func TestKeysStayApart(t *testing.T) {
	g := start(t)
	targets := []string{"a", "a/", "a//", "a/.", "a/..", "a/b/../..", "a%2Fb%2F", "a%252Fb", "a+b", "a%2Bb%20", "a%3Fb", "a%00",
		"%E2%82%AC", "A", "%20", "a&b;c", "a%0Ab"}
	for _, key := range targets {
		g.Must(t, 200, "PUT", "/bkt/"+key, []byte(key))
	}
	for _, key := range targets {
		if got := content(t, g, "/bkt/"+key); string(got) != key {
			t.Errorf("the object of %q has the content of %q", key, got)
		}
	}
	g.Must(t, 200, "PUT", "/bkt/"+strings.Repeat("k", 1024), nil)
	expect(t, "long key", g.Do(t, g.Root, "PUT", "/bkt/"+strings.Repeat("k", 1025), nil), 400, "KeyTooLongError")
}
