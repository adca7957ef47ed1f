package api_test

import (
	"strings"
	"testing"
)

// A refused argument is named with its value: for programs in elements of their
// own, and for people in the message, which is all that a terminal shows.
func TestWrongArgumentsAreNamed(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt?ownershipControls", []byte(ownedBy))
	g.Must(t, 200, "PUT", "/bkt/k", nil)
	for _, c := range []struct {
		method, target string
		headers        []string
		name, value    string
		message        string // empty: the gateway's own message, with name and value
	}{
		{"PUT", "/bkt?acl", []string{"X-Amz-Acl", "privat"}, "x-amz-acl", "privat", ""},
		{"PUT", "/bkt/new", []string{"X-Amz-Acl", "privat"}, "x-amz-acl", "privat", ""},
		{"PUT", "/bkt/k?acl", []string{"X-Amz-Acl", "<privat>"}, "x-amz-acl", "&lt;privat&gt;", ""},
		{"PUT", "/bkt/new", []string{"X-Amz-Server-Side-Encryption", "AES"}, "x-amz-server-side-encryption", "AES",
			"The encryption method specified is not supported"},
		{"PUT", "/bkt/new", []string{"X-Amz-Server-Side-Encryption", "aws:kms",
			"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "yes"}, "x-amz-server-side-encryption-bucket-key-enabled", "yes", ""},
		{"PUT", "/bkt/new", []string{"X-Amz-Copy-Source", "bkt"}, "x-amz-copy-source", "", "Invalid copy source object key"},
		{"PUT", "/bkt/new", []string{"X-Amz-Copy-Source", "/bkt/k", "X-Amz-Metadata-Directive", "KEEP"},
			"x-amz-metadata-directive", "KEEP", "Unknown metadata directive."},
		{"GET", "/bkt?max-keys=x", nil, "max-keys", "x", "Provided max-keys not an integer or within integer range"},
		{"GET", "/bkt?encoding-type=x", nil, "encoding-type", "x", "Invalid Encoding Method specified in Request"},
		{"GET", "/bkt?list-type=2&continuation-token=%21", nil, "continuation-token", "!", "The continuation token provided is incorrect"},
		{"GET", "/?continuation-token=%21", nil, "continuation-token", "!", "The continuation token provided is incorrect"},
		{"GET", "/bkt/k?versionId=%21", nil, "versionId", "!", "Invalid version id specified"},
		{"GET", "/bkt/k?partNumber=0", nil, "partNumber", "0", "Part number must be an integer between 1 and 10000, inclusive"},
		{"PUT", "/bkt/k?partNumber=1", nil, "partNumber", "partNumber", "This operation does not accept partNumber without uploadId"},
	} {
		res := g.Do(t, g.Root, c.method, c.target, nil, c.headers...)
		if c.message == "" {
			c.message = "The value '" + c.value + "' of " + c.name + " is not valid."
		}
		if res.Status != 400 || res.Code() != "InvalidArgument" || !strings.EqualFold(res.Element("ArgumentName"), c.name) ||
			res.Element("ArgumentValue") != c.value || res.Element("Message") != c.message {
			t.Errorf("%s %s %v: %d %s, want %s %q %q", c.method, c.target, c.headers, res.Status, res.Body, c.name, c.value, c.message)
		}
	}
}

// No byte of an empty object can be selected, except its last ones, of which
// there are none.
func TestRangesOfNothing(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", nil)
	for header, status := range map[string]int{"bytes=0-": 416, "bytes=0-0": 416, "bytes=5-9": 416, "bytes=-0": 416,
		"bytes=-1": 200, "bytes=-5": 200, "bytes=x": 200, "": 200} {
		for _, method := range []string{"GET", "HEAD"} {
			res := g.Do(t, g.Root, method, "/bkt/k", nil, "Range", header)
			if res.Status != status || res.Header.Get("Content-Range") != "" || status == 200 && len(res.Body) > 0 {
				t.Errorf("%s %s: %d %v", method, header, res.Status, res.Header)
			}
		}
	}
	res := g.Do(t, g.Root, "GET", "/bkt/k?partNumber=1", nil)
	if res.Status != 200 || len(res.Body) > 0 {
		t.Errorf("its only part: %d %s", res.Status, res.Body)
	}
}

// Parts keep their numbers, also with gaps.
func TestPartsWithGaps(t *testing.T) {
	g := start(t)
	id := newUpload(t, g, "/bkt/k")
	bodies := map[int][]byte{2: bytesOf(5 << 20), 5: bytesOf(5<<20 + 1), 7: bytesOf(3)}
	var parts []string
	for _, n := range []int{2, 5, 7} {
		parts = append(parts, part(n, sendPart(t, g, "/bkt/k", id, n, bodies[n])))
	}
	g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, completeDocument(parts...))
	for n := 1; n <= 8; n++ {
		res := g.Do(t, g.Root, "GET", "/bkt/k?partNumber="+string(rune('0'+n)), nil)
		if want, there := bodies[n]; there && (res.Status != 206 || string(res.Body) != string(want) || res.Header.Get("X-Amz-Mp-Parts-Count") != "3") {
			t.Errorf("part %d: %d with %d bytes", n, res.Status, len(res.Body))
		} else if !there && (res.Status != 416 || res.Code() != "InvalidPartNumber") {
			t.Errorf("no part %d: %d %s", n, res.Status, res.Body)
		}
	}
	if n := strings.Count(string(g.Must(t, 200, "GET", "/bkt/k?attributes", nil, "X-Amz-Object-Attributes", "ObjectParts").Body), "<PartNumber>"); n != 3 {
		t.Errorf("%d parts are shown", n)
	}
}
