package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// That a key has a delete marker, so that there was an object once, is told to
// senders who may list the bucket. For all others a deleted key is the same as one
// that nobody ever wrote.
func TestDeletedKeysAreAbsent(t *testing.T) {
	h := newHousehold(t)
	h.mustAsAlice(t, "PUT", "/bucket?ownershipControls", ownedBy)
	h.mustAsAlice(t, "PUT", "/bucket/gone", "x")
	h.mustAsAlice(t, "DELETE", "/bucket/gone", "")
	const all = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	_, lister := h.user(t, h.alice, "lister", all+`]}`)
	_, blind := h.user(t, h.alice, "blind", all+`,{"Effect":"Deny","Action":["s3:ListBucket","s3:ListBucketVersions"],"Resource":"*"}]}`)
	const tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
	documents := h.documents()
	for _, c := range []struct {
		method, query, document string
		headers                 []string
	}{
		{"GET", "", "", nil},
		{"GET", "", "", []string{"Range", "bytes=0-1"}},
		{"HEAD", "", "", nil},
		{"GET", "attributes", "", []string{"X-Amz-Object-Attributes", "ETag"}},
		{"GET", "acl", "", nil},
		{"PUT", "acl", "", []string{"X-Amz-Acl", "private"}},
		{"GET", "tagging", "", nil},
		{"PUT", "tagging", tags, nil},
		{"DELETE", "tagging", "", nil},
		{"GET", "retention", "", nil},
		{"PUT", "retention", documents["PutObjectRetention"], nil},
		{"GET", "legal-hold", "", nil},
		{"PUT", "legal-hold", documents["PutObjectLegalHold"], nil},
		{"DELETE", "", "", []string{"If-Match", "*"}},
		{"DELETE", "", "", []string{"If-Match", `"0"`}},
		{"DELETE", "", "", []string{"If-Match", "*", "X-Amz-If-Match-Size", "0"}},
		{"DELETE", "", "", []string{"X-Amz-If-Match-Size", "0"}},
		{"DELETE", "", "", []string{"X-Amz-If-Match-Last-Modified-Time", "Wed, 21 Oct 2015 07:28:00 GMT"}},
		{"PUT", "", "x", []string{"If-Match", `"0"`}},
		{"PUT", "", "x", []string{"If-Match", "*"}},
	} {
		ask := func(key string) string {
			res := h.g.Do(t, blind, c.method, "/bucket/"+key+"?"+c.query, []byte(c.document), c.headers...)
			return told(res)
		}
		want := "403"
		if c.headers != nil && strings.HasPrefix(c.headers[0], "X-Amz-If-Match") {
			want = "204" // as AWS documents for an object that does not exist
		}
		if gone, never := ask("gone"), ask("never"); gone != never || gone[:3] != want {
			t.Errorf("%s ?%s %q: %s of a deleted key, %s of one that never was", c.method, c.query, c.headers, gone, never)
		}
	}
	for _, condition := range []string{"<ETag>*</ETag>", "<ETag>0</ETag>", "<Size>0</Size>"} {
		ask := func(key string) string {
			doc := []byte("<Delete><Quiet>true</Quiet><Object><Key>" + key + "</Key>" + condition + "</Object></Delete>")
			return told(h.g.Do(t, blind, "POST", "/bucket?delete", doc, "X-Amz-Checksum-Crc32", sum("CRC32", doc)))
		}
		if gone, never := ask("gone"), ask("never"); gone != never {
			t.Errorf("DeleteObjects, %s: %s of a deleted key, %s of one that never was", condition, gone, never)
		}
	}
	for _, header := range [][]string{nil, {"X-Amz-Copy-Source-If-Match", "*"}} {
		copies := func(key string) string {
			return told(h.g.Do(t, blind, "PUT", "/bucket/copy", nil, append(header, "X-Amz-Copy-Source", "/bucket/"+key)...))
		}
		if gone, never := copies("gone"), copies("never"); gone != never {
			t.Errorf("copy: %s of a deleted key, %s of one that never was", gone, never)
		}
	}
	expect(t, "a condition, by who may list", h.g.Do(t, lister, "DELETE", "/bucket/gone", nil, "If-Match", "*"), 412, "PreconditionFailed")
}

// told is an answer without what differs between requests.
func told(res gatewaytest.Response) string {
	return fmt.Sprint(res.Status, " ", res.Code(), " ", res.Header["X-Amz-Delete-Marker"], res.Header["X-Amz-Version-Id"], res.Header["Allow"], res.Header["Last-Modified"])
}
