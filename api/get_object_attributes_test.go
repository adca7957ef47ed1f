package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
)

const allAttributes = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"

func TestGetObjectAttributes(t *testing.T) {
	g := start(t)
	body := []byte("hello")
	etag := g.Must(t, 200, "PUT", "/bkt/k", body, "X-Amz-Checksum-Crc32c", sum(engine.CRC32C, body)).Header.Get("ETag")
	res := g.Must(t, 200, "GET", "/bkt/k?attributes", nil, "X-Amz-Object-Attributes", "ETag, Checksum,ObjectParts",
		"X-Amz-Object-Attributes", "StorageClass,ObjectSize")
	want := `<GetObjectAttributesResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>` + strings.Trim(etag, `"`) + `</ETag>` +
		`<Checksum><ChecksumCRC32C>` + sum(engine.CRC32C, body) + `</ChecksumCRC32C><ChecksumType>FULL_OBJECT</ChecksumType></Checksum>` +
		`<StorageClass>STANDARD</StorageClass><ObjectSize>5</ObjectSize></GetObjectAttributesResponse>`
	if !strings.HasSuffix(string(res.Body), want) {
		t.Errorf("got %s\nwant %s", res.Body, want)
	}
	if res.Header.Get("Last-Modified") == "" {
		t.Error("no Last-Modified")
	}
	g.Must(t, 200, "PUT", "/bkt/empty", nil)
	if res := g.Must(t, 200, "GET", "/bkt/empty?attributes", nil, "X-Amz-Object-Attributes",
		"ObjectSize"); res.Element("ObjectSize") != "0" || res.Element("ETag") != "" {
		t.Errorf("empty: %s", res.Body)
	}
}

func TestGetObjectAttributesParts(t *testing.T) {
	g := start(t)
	id := newUpload(t, g, "/bkt/k", "X-Amz-Checksum-Algorithm", "SHA1")
	bodies := map[int][]byte{1: bytesOf(partSize), 5: bytesOf(partSize + 1), 9: bytesOf(9)}
	var parts []string
	for _, n := range []int{1, 5, 9} {
		claim := sum(engine.SHA1, bodies[n])
		parts = append(parts, part(n, sendPart(t, g, "/bkt/k", id, n, bodies[n], "X-Amz-Checksum-Sha1", claim), "<ChecksumSHA1>"+claim+"</ChecksumSHA1>"))
	}
	whole := g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, completeDocument(parts...)).Element("ChecksumSHA1")
	checksum := g.Must(t, 200, "GET", "/bkt/k?attributes", nil, "X-Amz-Object-Attributes", "Checksum").Element("Checksum")
	if want := "<ChecksumSHA1>" + strings.TrimSuffix(whole, "-3") + "</ChecksumSHA1><ChecksumType>COMPOSITE</ChecksumType>"; checksum != want {
		t.Errorf("the checksum is %s, want %s", checksum, want)
	}
	page := func(headers ...string) string {
		t.Helper()
		return g.Must(t, 200, "GET", "/bkt/k?attributes", nil, append(headers, "X-Amz-Object-Attributes", allAttributes)...).Element("ObjectParts")
	}
	listed := func(n int) string {
		return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><Size>%d</Size><ChecksumSHA1>%s</ChecksumSHA1></Part>", n, len(bodies[n]), sum(engine.SHA1, bodies[n]))
	}
	head := func(marker, next, max int, more bool) string {
		return fmt.Sprintf("<PartsCount>3</PartsCount><PartNumberMarker>%d</PartNumberMarker><NextPartNumberMarker>%d</NextPartNumberMarker><MaxParts>%d</MaxParts><IsTruncated>%t</IsTruncated>", marker, next, max, more)
	}
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, head(0, 9, 1000, false) + listed(1) + listed(5) + listed(9)},
		{[]string{"X-Amz-Max-Parts", "2"}, head(0, 5, 2, true) + listed(1) + listed(5)},
		{[]string{"X-Amz-Max-Parts", "2", "X-Amz-Part-Number-Marker", "5"}, head(5, 9, 2, false) + listed(9)},
		{[]string{"X-Amz-Part-Number-Marker", "9"}, head(9, 9, 1000, false)},
		{[]string{"X-Amz-Max-Parts", "0"}, head(0, 0, 0, false)},
	} {
		if got := page(c.headers...); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.headers, got, c.want)
		}
	}
}

func TestGetObjectAttributesRefusals(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", nil)
	for _, c := range []struct {
		target  string
		status  int
		code    string
		headers []string
	}{
		{"/bkt/k?attributes", 400, "InvalidRequest", nil},
		{"/bkt/k?attributes", 400, "InvalidRequest", []string{"X-Amz-Object-Attributes", ""}},
		{"/bkt/k?attributes", 400, "InvalidArgument", []string{"X-Amz-Object-Attributes", "ETag,Colour"}},
		{"/bkt/k?attributes", 400, "InvalidArgument", []string{"X-Amz-Object-Attributes", "etag"}},
		{"/bkt/k?attributes", 400, "InvalidArgument", []string{"X-Amz-Object-Attributes", "ETag", "X-Amz-Part-Number-Marker", "x"}},
		{"/bkt/k?attributes", 400, "InvalidArgument", []string{"X-Amz-Object-Attributes", "ETag", "X-Amz-Part-Number-Marker", "-1"}},
		{"/bkt/k?attributes&versionId=x", 400, "InvalidArgument", []string{"X-Amz-Object-Attributes", "ETag"}},
		{"/bkt/none?attributes", 404, "NoSuchKey", []string{"X-Amz-Object-Attributes", "ETag"}},
	} {
		expect(t, fmt.Sprint(c.target, c.headers), g.Do(t, g.Root, "GET", c.target, nil, c.headers...), c.status, c.code)
	}
}
