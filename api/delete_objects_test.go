package api_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

func TestDeleteObject(t *testing.T) {
	g := start(t)
	g.Must(t, 204, "DELETE", "/bkt/none", nil)
	put := func() http.Header { return g.Must(t, 200, "PUT", "/bkt/k", []byte("hello")).Header }
	etag := put().Get("ETag")
	for _, c := range []struct {
		status  int
		code    string
		headers []string
	}{
		{412, "PreconditionFailed", []string{"If-Match", `"x"`}},
		{412, "PreconditionFailed", []string{"X-Amz-If-Match-Size", "4"}},
		{412, "PreconditionFailed", []string{"X-Amz-If-Match-Last-Modified-Time", "Wed, 21 Oct 2015 07:28:00 GMT"}},
		{412, "PreconditionFailed", []string{"If-Match", etag, "X-Amz-If-Match-Size", "4"}},
		{400, "InvalidArgument", []string{"X-Amz-If-Match-Size", "five"}},
		{400, "InvalidArgument", []string{"X-Amz-If-Match-Last-Modified-Time", "today"}},
		{501, "NotImplemented", []string{"If-None-Match", "*"}},
	} {
		expect(t, fmt.Sprint(c.headers), g.Do(t, g.Root, "DELETE", "/bkt/k", nil, c.headers...), c.status, c.code)
		g.Must(t, 200, "HEAD", "/bkt/k", nil)
	}
	expect(t, "another version", g.Do(t, g.Root, "DELETE", "/bkt/k?versionId=x", nil), 400, "InvalidArgument")
	for _, headers := range [][]string{
		nil, {"If-Match", etag}, {"If-Match", "*"}, {"X-Amz-If-Match-Size", "5"}, {"X-Amz-If-Match-Last-Modified-Time"},
	} {
		put()
		if len(headers) == 1 {
			headers = append(headers, g.Must(t, 200, "HEAD", "/bkt/k", nil).Header.Get("Last-Modified"))
		}
		g.Must(t, 204, "DELETE", "/bkt/k", nil, headers...)
		expect(t, "deleted", g.Do(t, g.Root, "GET", "/bkt/k", nil), 404, "NoSuchKey")
	}
	expect(t, "condition on nothing", g.Do(t, g.Root, "DELETE", "/bkt/k", nil, "If-Match", "*"), 404, "NoSuchKey")
}

// deleteMany sends a DeleteObjects document with its Content-MD5.
func deleteMany(t *testing.T, g *gatewaytest.Gateway, document string, headers ...string) gatewaytest.Response {
	t.Helper()
	digest := weakhash.MD5([]byte(document))
	return g.Do(t, g.Root, "POST", "/bkt?delete", []byte(document), append(headers, "Content-Md5", base64.StdEncoding.EncodeToString(digest[:]))...)
}

func TestDeleteObjects(t *testing.T) {
	g := start(t)
	keys := map[string]string{ // the key in a URL, and in XML
		"plain": "plain", "a%26b": "a&amp;b", "a%3Cb": "a&lt;b", "%20x%20": " x ", "a%0Db": "a&#xD;b", "%E2%82%AC": "€", "a/../b": "a/../b",
	}
	document := ""
	for target, text := range keys {
		g.Must(t, 200, "PUT", "/bkt/"+target, []byte("x"))
		document += "<Object><Key>" + text + "</Key></Object>"
	}
	g.Must(t, 200, "PUT", "/bkt/kept", []byte("x"))
	res := deleteMany(t, g, "<Delete>"+document+"<Object><Key>absent</Key></Object><Object><Key>plain</Key><VersionId>null</VersionId></Object></Delete>")
	expect(t, "delete", res, 200, "")
	if n := strings.Count(string(res.Body), "<Deleted>"); n != len(keys)+2 {
		t.Errorf("%d deleted: %s", n, res.Body)
	}
	for target, text := range keys {
		expect(t, target, g.Do(t, g.Root, "HEAD", "/bkt/"+target, nil), 404, "")
		if !bytes.Contains(res.Body, []byte("<Deleted><Key>"+text+"</Key>")) {
			t.Errorf("%q is not in %s", text, res.Body)
		}
	}
	g.Must(t, 200, "HEAD", "/bkt/kept", nil)
}

func TestDeleteObjectsConditions(t *testing.T) {
	g := start(t)
	etag := g.Must(t, 200, "PUT", "/bkt/k", []byte("hello")).Header.Get("ETag")
	for _, condition := range []string{"<ETag>x</ETag>", "<Size>4</Size>", "<LastModifiedTime>2015-10-21T07:28:00Z</LastModifiedTime>"} {
		res := deleteMany(t, g, "<Delete><Quiet>true</Quiet><Object><Key>k</Key>"+condition+"</Object></Delete>")
		expect(t, condition, res, 200, "PreconditionFailed") // the code of the <Error> inside
	}
	g.Must(t, 200, "HEAD", "/bkt/k", nil)
	for _, condition := range []string{"<ETag></ETag>", "<Size></Size>", "<Size>-1</Size>", "<LastModifiedTime>x</LastModifiedTime>"} {
		expect(t, condition, deleteMany(t, g, "<Delete><Object><Key>k</Key>"+condition+"</Object></Delete>"), 400, "MalformedXML")
	}
	g.Must(t, 200, "HEAD", "/bkt/k", nil)
	res := deleteMany(t, g, "<Delete><Quiet>true</Quiet><Object><Key>k</Key><ETag>"+strings.ReplaceAll(etag, `"`,
		"&quot;")+"</ETag><Size>5</Size></Object></Delete>")
	expect(t, "all hold", res, 200, "")
	if strings.Contains(string(res.Body), "Deleted") {
		t.Errorf("quiet: %s", res.Body)
	}
	expect(t, "deleted", g.Do(t, g.Root, "GET", "/bkt/k", nil), 404, "NoSuchKey")
}

func TestDeleteObjectsRefusals(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"))
	many := strings.Repeat("<Object><Key>k</Key></Object>", 1001)
	for _, c := range []struct{ document, code string }{
		{"<Delete></Delete>", "MalformedXML"},
		{"<Delete>" + many + "</Delete>", "MalformedXML"},
		{"<Delete><Object></Object></Delete>", "MalformedXML"},
		{"<Delete><Object><Key></Key></Object></Delete>", "MalformedXML"},
		{"<Delete><Object><Key>k</Key><Key>l</Key></Object></Delete>", "MalformedXML"},
		{"<Delete><Object><Key>k&#x1;</Key></Object></Delete>", "MalformedXML"},
		{"<Delete><Quiet>perhaps</Quiet><Object><Key>k</Key></Object></Delete>", "MalformedXML"},
		{"<Erase><Object><Key>k</Key></Object></Erase>", "MalformedXML"},
		{"<Delete><Object><Key>k</Key>", "MalformedXML"},
		{"", "MissingRequestBodyError"},
	} {
		expect(t, c.document[:min(len(c.document), 80)], deleteMany(t, g, c.document), 400, c.code)
	}
	one := []byte("<Delete><Object><Key>k</Key></Object></Delete>")
	expect(t, "no digest", g.Do(t, g.Root, "POST", "/bkt?delete", one), 400, "InvalidRequest")
	expect(t, "wrong digest", g.Do(t, g.Root, "POST", "/bkt?delete", one, "Content-Md5", "rL0Y20zC+Fzt72VPzMSk2A=="), 400, "BadDigest")
	expect(t, "wrong checksum", g.Do(t, g.Root, "POST", "/bkt?delete", one, "X-Amz-Checksum-Crc32", "AAAAAA=="), 400, "BadDigest")
	g.Must(t, 200, "HEAD", "/bkt/k", nil)

	res := deleteMany(t, g, "<Delete><Object><Key>k</Key><VersionId>v1</VersionId></Object><Object><Key>"+strings.Repeat("k", 1025)+"</Key></Object></Delete>")
	if res.Status != 200 || !strings.Contains(string(res.Body), "<VersionId>v1</VersionId><Code>NoSuchVersion</Code>") ||
		!strings.Contains(string(res.Body), "<Code>KeyTooLongError</Code>") {
		t.Errorf("per-key errors: %d %s", res.Status, res.Body)
	}
	g.Must(t, 200, "HEAD", "/bkt/k", nil)
	g.Must(t, 200, "POST", "/bkt?delete", one, "X-Amz-Checksum-Sha256", sum(engine.SHA256, one))
	expect(t, "deleted", g.Do(t, g.Root, "GET", "/bkt/k", nil), 404, "NoSuchKey")
}

func TestDeleteObjectsFullPage(t *testing.T) {
	g := start(t)
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "<Object><Key>k%d</Key></Object>", i)
		if i%250 == 0 {
			g.Must(t, 200, "PUT", fmt.Sprintf("/bkt/k%d", i), []byte("x"))
		}
	}
	res := deleteMany(t, g, "<Delete>"+b.String()+"</Delete>")
	expect(t, "1000 keys", res, 200, "")
	if n := strings.Count(string(res.Body), "<Deleted>"); n != 1000 {
		t.Errorf("%d deleted", n)
	}
	if res := g.Must(t, 200, "GET", "/bkt?list-type=2", nil); res.Element("KeyCount") != "0" {
		t.Errorf("left: %s", res.Body)
	}
}

// Nobody can delete an object of another user.
func TestDeleteObjectsOfOthers(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"))
	other := g.User(t, "other")
	document := []byte("<Delete><Object><Key>k</Key></Object></Delete>")
	res := g.Do(t, other, "POST", "/bkt?delete", document, "X-Amz-Checksum-Crc32", sum(engine.CRC32, document))
	expect(t, "another user", res, 403, "AccessDenied")
	expect(t, "another user", g.Do(t, other, "DELETE", "/bkt/k", nil), 403, "AccessDenied")
	g.Must(t, 200, "HEAD", "/bkt/k", nil)
}
