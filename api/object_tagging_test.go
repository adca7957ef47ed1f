package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// tagDocument makes a Tagging of alternating keys and values.
func tagDocument(pairs ...string) []byte {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", pairs[i], pairs[i+1])
	}
	return []byte("<Tagging><TagSet>" + b.String() + "</TagSet></Tagging>")
}

// tagsOf returns the tags of an object as GetObjectTagging shows them.
func tagsOf(t testing.TB, g *gatewaytest.Gateway, target string) string {
	t.Helper()
	join := "?"
	if strings.Contains(target, "?") {
		join = "&"
	}
	res := g.Must(t, 200, "GET", target+join+"tagging", nil)
	set := res.Element("TagSet")
	return strings.NewReplacer("</Value></Tag><Tag><Key>", ",", "<Tag><Key>", "", "</Key><Value>", "=", "</Value></Tag>", "").Replace(set)
}

func TestObjectTagging(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), "X-Amz-Tagging", "team=blue%20sky&empty=")
	if got := tagsOf(t, g, "/bkt/k"); got != "team=blue sky,empty=" {
		t.Errorf("tags of the header: %q", got)
	}
	before := g.Must(t, 200, "HEAD", "/bkt/k", nil)
	expectHeaders(t, "HEAD", before, "X-Amz-Tagging-Count", "2")

	g.Must(t, 200, "PUT", "/bkt/k?tagging", tagDocument("a", "1", "ü/@", "2"))
	if got := tagsOf(t, g, "/bkt/k"); got != "a=1,ü/@=2" {
		t.Errorf("tags that were set: %q", got)
	}
	after := g.Must(t, 200, "GET", "/bkt/k", nil)
	expectHeaders(t, "GET", after, "X-Amz-Tagging-Count", "2", "ETag", before.Header.Get("ETag"), "Last-Modified", before.Header.Get("Last-Modified"))

	g.Must(t, 204, "DELETE", "/bkt/k?tagging", nil)
	if got := tagsOf(t, g, "/bkt/k"); got != "" {
		t.Errorf("tags that were removed: %q", got)
	}
	expectHeaders(t, "HEAD", g.Must(t, 200, "HEAD", "/bkt/k", nil), "X-Amz-Tagging-Count", "")

	// A new object starts without tags.
	g.Must(t, 200, "PUT", "/bkt/k?tagging", tagDocument("a", "1"))
	g.Must(t, 200, "PUT", "/bkt/k", []byte("y"))
	if got := tagsOf(t, g, "/bkt/k"); got != "" {
		t.Errorf("a new object has tags: %q", got)
	}
}

func TestObjectTaggingRefusals(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), "X-Amz-Tagging", "a=1")
	many := make([]string, 0, 22)
	for i := range 11 {
		many = append(many, fmt.Sprint("k", i), "v")
	}
	for what, c := range map[string]struct {
		doc  []byte
		code string
	}{
		"twice":       {tagDocument("a", "1", "a", "2"), "InvalidTag"},
		"eleven":      {tagDocument(many...), "BadRequest"},
		"long key":    {tagDocument(strings.Repeat("k", 129), "v"), "InvalidTag"},
		"long value":  {tagDocument("k", strings.Repeat("v", 257)), "InvalidTag"},
		"no key":      {tagDocument("", "v"), "InvalidTag"},
		"characters":  {tagDocument("a,b", "v"), "InvalidTag"},
		"AWS's own":   {tagDocument("aws:x", "v"), "InvalidTag"},
		"no value":    {[]byte("<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"), "MalformedXML"},
		"no document": {[]byte("<x/>"), "MalformedXML"},
	} {
		expect(t, what, g.Do(t, g.Root, "PUT", "/bkt/k?tagging", c.doc), 400, c.code)
	}
	for header, code := range map[string]string{"a=1&a=2": "InvalidArgument", "%zz=1": "InvalidArgument", "a%2Cb=1": "InvalidTag"} {
		expect(t, header, g.Do(t, g.Root, "PUT", "/bkt/k", []byte("y"), "X-Amz-Tagging", header), 400, code)
	}
	if got := tagsOf(t, g, "/bkt/k"); got != "a=1" {
		t.Errorf("refused tags left %q", got)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		expect(t, method, g.Do(t, g.Root, method, "/bkt/none?tagging", tagDocument("a", "1")), 404, "NoSuchKey")
		expect(t, method, g.Do(t, g.Root, method, "/bkt/k?tagging&versionId=00112233445566778899aabbccddeeff", tagDocument("a", "1")), 404, "NoSuchVersion")
	}
}

func TestTagsOfCopiesAndUploads(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/src", []byte("x"), "X-Amz-Tagging", "a=1")
	for target, c := range map[string]struct {
		headers []string
		want    string
	}{
		"/bkt/kept":     {nil, "a=1"},
		"/bkt/said":     {[]string{"X-Amz-Tagging-Directive", "COPY", "X-Amz-Tagging", "b=2"}, "a=1"},
		"/bkt/replaced": {[]string{"X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Tagging", "b=2"}, "b=2"},
		"/bkt/without":  {[]string{"X-Amz-Tagging-Directive", "REPLACE"}, ""},
		"/bkt/metadata": {[]string{"X-Amz-Metadata-Directive", "REPLACE"}, "a=1"},
	} {
		g.Must(t, 200, "PUT", target, nil, append(c.headers, "X-Amz-Copy-Source", "/bkt/src")...)
		if got := tagsOf(t, g, target); got != c.want {
			t.Errorf("%s: %q, want %q", target, got, c.want)
		}
	}
	id := newUpload(t, g, "/bkt/up", "X-Amz-Tagging", "up=load")
	tag := sendPart(t, g, "/bkt/up", id, 1, []byte("part"))
	g.Must(t, 200, "POST", "/bkt/up?uploadId="+id, completeDocument(part(1, tag)))
	if got := tagsOf(t, g, "/bkt/up"); got != "up=load" {
		t.Errorf("tags of an upload: %q", got)
	}
}

// Each version has its own tags; a delete marker has none.
func TestTagsOfVersions(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"))
	first := g.Must(t, 200, "PUT", "/bkt/k", []byte("1"), "X-Amz-Tagging", "n=1").Header.Get("X-Amz-Version-Id")
	second := g.Must(t, 200, "PUT", "/bkt/k", []byte("2"), "X-Amz-Tagging", "n=2").Header.Get("X-Amz-Version-Id")
	res := g.Must(t, 200, "PUT", "/bkt/k?tagging&versionId="+first, tagDocument("n", "one"))
	expectHeaders(t, "PUT", res, "X-Amz-Version-Id", first)
	if a, b := tagsOf(t, g, "/bkt/k?versionId="+first), tagsOf(t, g, "/bkt/k"); a != "n=one" || b != "n=2" {
		t.Errorf("first %q, current %q", a, b)
	}
	marker := g.Must(t, 204, "DELETE", "/bkt/k", nil).Header.Get("X-Amz-Version-Id")
	expect(t, "marker", g.Do(t, g.Root, "GET", "/bkt/k?tagging&versionId="+marker, nil), 405, "MethodNotAllowed")
	expect(t, "deleted", g.Do(t, g.Root, "PUT", "/bkt/k?tagging", tagDocument("a", "1")), 404, "NoSuchKey")
	if got := tagsOf(t, g, "/bkt/k?versionId="+second); got != "n=2" {
		t.Errorf("beneath a marker: %q", got)
	}
}
