package api_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

const (
	versioningOn        = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
	versioningSuspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
	noVersion           = "0123456789abcdef0123456789abcdef"
)

// versioned runs a gateway whose bucket bkt has versioning.
func versioned(t testing.TB) *gatewaytest.Gateway {
	t.Helper()
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt?versioning", []byte(versioningOn))
	return g
}

// putVersion stores a body and returns its version id.
func putVersion(t testing.TB, g *gatewaytest.Gateway, target, body string) string {
	t.Helper()
	id := g.Must(t, 200, "PUT", target, []byte(body)).Header.Get("X-Amz-Version-Id")
	if len(id) != 32 {
		t.Fatalf("PUT %s: version id %q", target, id)
	}
	return id
}

func TestBucketVersioning(t *testing.T) {
	g := start(t)
	if res := g.Must(t, 200, "GET", "/bkt?versioning", nil); strings.Contains(string(res.Body), "Status") {
		t.Errorf("a new bucket: %s", res.Body)
	}
	for _, step := range []struct {
		body   string
		status int
		code   string
		now    string
	}{
		{versioningOn, 200, "", "Enabled"},
		{versioningOn, 200, "", "Enabled"},
		{versioningSuspended, 200, "", "Suspended"},
		{"<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>", 400, "MalformedXML", "Suspended"},
		{"<VersioningConfiguration></VersioningConfiguration>", 400, "IllegalVersioningConfigurationException", "Suspended"},
		{"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>", 501, "NotImplemented", "Suspended"},
		{"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>", 200, "", "Enabled"},
		{"<Versioning/>", 400, "MalformedXML", "Enabled"},
	} {
		expect(t, step.body, g.Do(t, g.Root, "PUT", "/bkt?versioning", []byte(step.body)), step.status, step.code)
		if got := g.Must(t, 200, "GET", "/bkt?versioning", nil).Element("Status"); got != step.now {
			t.Errorf("%s: the status is %q, want %q", step.body, got, step.now)
		}
	}
	res := g.Do(t, g.Root, "PUT", "/bkt?versioning", []byte(versioningSuspended), "X-Amz-Mfa", "serial 123456")
	expect(t, "with x-amz-mfa", res, 501, "NotImplemented")
	if got := g.Must(t, 200, "GET", "/bkt?versioning", nil).Element("Status"); got != "Enabled" {
		t.Errorf("after the refusal the status is %q", got)
	}
}

// The headers of every request in the life of a key.
func TestVersionHeaders(t *testing.T) {
	g := start(t)
	res := g.Must(t, 200, "PUT", "/bkt/k", []byte("zero"))
	expectHeaders(t, "a put without versioning", res, "X-Amz-Version-Id", "")
	expectHeaders(t, "a get without versioning", g.Must(t, 200, "GET", "/bkt/k", nil), "X-Amz-Version-Id", "")
	expectHeaders(t, "null by name", g.Must(t, 200, "HEAD", "/bkt/k?versionId=null", nil), "X-Amz-Version-Id", "null")

	g.Must(t, 200, "PUT", "/bkt?versioning", []byte(versioningOn))
	expectHeaders(t, "what was there", g.Must(t, 200, "GET", "/bkt/k", nil), "X-Amz-Version-Id", "null")
	one := putVersion(t, g, "/bkt/k", "one")
	for target, want := range map[string][2]string{
		"/bkt/k":                  {one, "one"},
		"/bkt/k?versionId=" + one: {one, "one"},
		"/bkt/k?versionId=null":   {"null", "zero"},
		"/bkt/k?versionId=" + one + "&partNumber=1": {one, "one"},
	} {
		res := g.Do(t, g.Root, "GET", target, nil)
		expectHeaders(t, target, res, "X-Amz-Version-Id", want[0])
		if string(res.Body) != want[1] {
			t.Errorf("%s: %d %q", target, res.Status, res.Body)
		}
	}
	res = g.Must(t, 200, "GET", "/bkt/k?attributes&versionId=null", nil, "X-Amz-Object-Attributes", "ObjectSize")
	expectHeaders(t, "attributes", res, "X-Amz-Version-Id", "null")
	if res.Element("ObjectSize") != "4" {
		t.Errorf("attributes of the null version: %s", res.Body)
	}

	res = g.Must(t, 204, "DELETE", "/bkt/k", nil)
	marker := res.Header.Get("X-Amz-Version-Id")
	expectHeaders(t, "delete", res, "X-Amz-Delete-Marker", "true")
	for _, method := range []string{"GET", "HEAD"} {
		res = g.Do(t, g.Root, method, "/bkt/k", nil)
		expectHeaders(t, method+" of what is deleted", res, "X-Amz-Delete-Marker", "true", "X-Amz-Version-Id", marker, "Allow", "")
		if res.Status != 404 {
			t.Errorf("%s of a deleted key: %d", method, res.Status)
		}
		res = g.Do(t, g.Root, method, "/bkt/k?versionId="+marker, nil)
		expectHeaders(t, method+" of the marker", res, "X-Amz-Delete-Marker", "true", "X-Amz-Version-Id", marker, "Allow", "DELETE")
		if res.Status != 405 || res.Header.Get("Last-Modified") == "" {
			t.Errorf("%s of the marker: %d, modified %q", method, res.Status, res.Header.Get("Last-Modified"))
		}
	}
	for target, want := range map[string][2]any{
		"/bkt/k?versionId=" + noVersion:                     {404, "NoSuchVersion"},
		"/bkt/k?versionId=abc":                              {400, "InvalidArgument"},
		"/bkt/k?versionId=":                                 {400, "InvalidArgument"},
		"/bkt/k?versionId=00000000000000000000000000000000": {400, "InvalidArgument"},
		"/bkt/none?versionId=null":                          {404, "NoSuchVersion"},
		"/bkt/none":                                         {404, "NoSuchKey"},
	} {
		expect(t, target, g.Do(t, g.Root, "GET", target, nil), want[0].(int), want[1].(string))
	}

	res = g.Must(t, 204, "DELETE", "/bkt/k?versionId="+marker, nil)
	expectHeaders(t, "undelete", res, "X-Amz-Delete-Marker", "true", "X-Amz-Version-Id", marker)
	if got := content(t, g, "/bkt/k"); string(got) != "one" {
		t.Errorf("undeleted: %q", got)
	}
	res = g.Must(t, 204, "DELETE", "/bkt/k?versionId="+one, nil)
	expectHeaders(t, "delete a version", res, "X-Amz-Delete-Marker", "", "X-Amz-Version-Id", one)
	if got := content(t, g, "/bkt/k"); string(got) != "zero" {
		t.Errorf("after its successor was removed: %q", got)
	}
	expectHeaders(t, "again", g.Must(t, 204, "DELETE", "/bkt/k?versionId="+one, nil), "X-Amz-Version-Id", one, "X-Amz-Delete-Marker", "")
	g.Must(t, 204, "DELETE", "/bkt/k?versionId=null", nil)
	expect(t, "all gone", g.Do(t, g.Root, "GET", "/bkt/k", nil), 404, "NoSuchKey")
	g.Must(t, 204, "DELETE", "/bkt", nil)
}

func TestSuspendedVersioning(t *testing.T) {
	g := versioned(t)
	one := putVersion(t, g, "/bkt/k", "one")
	g.Must(t, 200, "PUT", "/bkt?versioning", []byte(versioningSuspended))
	for _, body := range []string{"null one", "null two"} {
		expectHeaders(t, body, g.Must(t, 200, "PUT", "/bkt/k", []byte(body)), "X-Amz-Version-Id", "")
	}
	if got := content(t, g, "/bkt/k?versionId=null"); string(got) != "null two" {
		t.Errorf("the null version: %q", got)
	}
	res := g.Must(t, 204, "DELETE", "/bkt/k", nil)
	expectHeaders(t, "delete", res, "X-Amz-Delete-Marker", "true", "X-Amz-Version-Id", "null")
	expect(t, "the null version is a marker", g.Do(t, g.Root, "GET", "/bkt/k?versionId=null", nil), 405, "MethodNotAllowed")
	if got := content(t, g, "/bkt/k?versionId="+one); string(got) != "one" {
		t.Errorf("the other version: %q", got)
	}
	res = g.Do(t, g.Root, "DELETE", "/bkt", nil)
	expect(t, "a bucket with versions", res, 409, "BucketNotEmpty")
	if !strings.Contains(string(res.Body), "You must delete all versions in the bucket.") {
		t.Errorf("a bucket with versions: %s", res.Body)
	}
}

func TestCopyVersions(t *testing.T) {
	g := versioned(t)
	one := putVersion(t, g, "/bkt/k", "one")
	two := putVersion(t, g, "/bkt/k", "two")
	res := g.Must(t, 200, "PUT", "/bkt/copy", nil, "X-Amz-Copy-Source", "bkt/k?versionId="+one)
	expectHeaders(t, "copy", res, "X-Amz-Copy-Source-Version-Id", one)
	if got := content(t, g, "/bkt/copy"); string(got) != "one" {
		t.Errorf("the copy: %q", got)
	}
	res = g.Must(t, 200, "PUT", "/bkt/copy", nil, "X-Amz-Copy-Source", "bkt/k")
	expectHeaders(t, "copy of the current version", res, "X-Amz-Copy-Source-Version-Id", two)
	res = g.Must(t, 200, "PUT", "/bkt/k", nil, "X-Amz-Copy-Source", "bkt/k?versionId="+one)
	if id := res.Header.Get("X-Amz-Version-Id"); id == "" || id == one || string(content(t, g, "/bkt/k")) != "one" {
		t.Errorf("restored: version %q, %q", id, content(t, g, "/bkt/k"))
	}
	expect(t, "onto itself", g.Do(t, g.Root, "PUT", "/bkt/k", nil, "X-Amz-Copy-Source", "bkt/k"), 400, "InvalidRequest")

	upload := newUpload(t, g, "/bkt/parts")
	part := fmt.Sprintf("/bkt/parts?partNumber=1&uploadId=%s", upload)
	res = g.Must(t, 200, "PUT", part, nil, "X-Amz-Copy-Source", "bkt/k?versionId="+two)
	expectHeaders(t, "part", res, "X-Amz-Copy-Source-Version-Id", two, "X-Amz-Version-Id", "")
	done := completeDocument("<Part><PartNumber>1</PartNumber><ETag>" + res.Element("ETag") + "</ETag></Part>")
	res = g.Must(t, 200, "POST", "/bkt/parts?uploadId="+upload, done)
	made := res.Header.Get("X-Amz-Version-Id")
	putVersion(t, g, "/bkt/parts", "newer")
	expectHeaders(t, "completed again", g.Must(t, 200, "POST", "/bkt/parts?uploadId="+upload, done), "X-Amz-Version-Id", made)
	if got := content(t, g, "/bkt/parts?versionId="+made); string(got) != "two" {
		t.Errorf("the completed version %q: %q", made, got)
	}

	marker := g.Must(t, 204, "DELETE", "/bkt/k", nil).Header.Get("X-Amz-Version-Id")
	for source, want := range map[string][2]any{
		"bkt/k":                        {404, "NoSuchKey"},
		"bkt/k?versionId=" + marker:    {400, "InvalidRequest"},
		"bkt/k?versionId=" + noVersion: {404, "NoSuchVersion"},
		"bkt/k?versionId=x":            {400, "InvalidArgument"},
	} {
		for _, target := range []string{"/bkt/other", "/bkt/copy?partNumber=1&uploadId=" + newUpload(t, g, "/bkt/copy")} {
			expect(t, source+" to "+target, g.Do(t, g.Root, "PUT", target, nil, "X-Amz-Copy-Source", source), want[0].(int), want[1].(string))
		}
	}
}

func TestDeleteManyVersions(t *testing.T) {
	g := versioned(t)
	one, two := putVersion(t, g, "/bkt/k", "one"), putVersion(t, g, "/bkt/k", "two")
	object := func(key, version string) string {
		if version != "" {
			version = "<VersionId>" + version + "</VersionId>"
		}
		return "<Object><Key>" + key + "</Key>" + version + "</Object>"
	}
	send := func(objects ...string) string {
		body := []byte("<Delete>" + strings.Join(objects, "") + "</Delete>")
		return string(g.Must(t, 200, "POST", "/bkt?delete", body, "X-Amz-Checksum-Crc32", sum("CRC32", body)).Body)
	}
	got := send(object("k", ""), object("new", ""))
	made := regexp.MustCompile(`<Deleted><Key>(k|new)</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>([0-9a-f]{32})</DeleteMarkerVersionId></Deleted>`).FindAllStringSubmatch(got, -1)
	if len(made) != 2 || made[0][2] == made[1][2] {
		t.Fatalf("simple deletions: %s", got)
	}
	marker := made[0][2]
	got = send(object("k", marker), object("k", one), object("k", noVersion), object("k", "x"))
	for _, want := range []string{
		"<Deleted><Key>k</Key><VersionId>" + marker + "</VersionId><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>" + marker + "</DeleteMarkerVersionId></Deleted>",
		"<Deleted><Key>k</Key><VersionId>" + one + "</VersionId><DeleteMarker>false</DeleteMarker></Deleted>",
		"<Deleted><Key>k</Key><VersionId>" + noVersion + "</VersionId><DeleteMarker>false</DeleteMarker></Deleted>",
		"<Error><Key>k</Key><VersionId>x</VersionId><Code>NoSuchVersion</Code>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if got := content(t, g, "/bkt/k"); string(got) != "two" {
		t.Errorf("the rest: %q", got)
	}
	expect(t, "the removed version", g.Do(t, g.Root, "GET", "/bkt/k?versionId="+one, nil), 404, "NoSuchVersion")
	send(object("k", two), object("new", made[1][2]))
	g.Must(t, 204, "DELETE", "/bkt", nil)
}

func TestConditionalDeleteOfVersions(t *testing.T) {
	g := versioned(t)
	tag := g.Must(t, 200, "PUT", "/bkt/k", []byte("one")).Header.Get("ETag")
	expect(t, "another ETag", g.Do(t, g.Root, "DELETE", "/bkt/k", nil, "If-Match", `"x"`), 412, "PreconditionFailed")
	expectHeaders(t, "the right ETag", g.Must(t, 204, "DELETE", "/bkt/k", nil, "If-Match", tag), "X-Amz-Delete-Marker", "true")
	expect(t, "a marker", g.Do(t, g.Root, "DELETE", "/bkt/k", nil, "If-Match", "*"), 412, "PreconditionFailed")
	expect(t, "nothing", g.Do(t, g.Root, "DELETE", "/bkt/none", nil, "If-Match", "*"), 404, "NoSuchKey")
	g.Must(t, 200, "PUT", "/bkt/k", []byte("two"), "If-None-Match", "*")
	expect(t, "where there is one", g.Do(t, g.Root, "PUT", "/bkt/k", []byte("three"), "If-None-Match", "*"), 412, "PreconditionFailed")
}
