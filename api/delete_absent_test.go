package api_test

import (
	"strings"
	"testing"
)

// A condition on a key that holds nothing tells no more in a DeleteObjects than in a
// DeleteObject: that there is nothing is for senders who may list the bucket.
func TestConditionsTellNobodyOfAbsentKeys(t *testing.T) {
	h := newHousehold(t)
	const may = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:DeleteObject","s3:GetObject"ALSO],"Resource":"*"}]}`
	_, deleter := h.user(t, h.alice, "deleter", strings.Replace(may, "ALSO", "", 1))
	_, lister := h.user(t, h.alice, "lister", strings.Replace(may, "ALSO", `,"s3:ListBucket"`, 1))
	for _, etag := range []string{`"abc"`, "*"} {
		document := []byte("<Delete><Object><Key>absent</Key><ETag>" + etag + "</ETag></Object></Delete>")
		digest := []string{"X-Amz-Checksum-Crc32", sum("CRC32", document)}
		one := h.g.Do(t, deleter, "DELETE", "/bucket/absent", nil, "If-Match", etag)
		expect(t, "one key by who may not list", one, 403, "AccessDenied")
		many := h.g.Do(t, deleter, "POST", "/bucket?delete", document, digest...)
		if many.Status != 200 || many.Element("Code") != "AccessDenied" {
			t.Errorf("ETag %s by who may not list: %d %s", etag, many.Status, many.Body)
		}
		many = h.g.Do(t, lister, "POST", "/bucket?delete", document, digest...)
		if many.Status != 200 || many.Element("Code") != "NoSuchKey" {
			t.Errorf("ETag %s by who may list: %d %s", etag, many.Status, many.Body)
		}
	}
}
