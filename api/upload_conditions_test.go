package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// A policy about what a new object gets holds for the parts and the completion of
// an upload, whoever began it: a Deny of it is not evaded by filling another's
// upload, and a demand for it is met by an upload that was begun so.
func TestConditionsOfUploads(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	h := &household{g: g, alice: alice}
	expect(t, "bucket", g.Do(t, alice, "PUT", "/made", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true", "X-Amz-Object-Ownership", "ObjectWriter"), 200, "")
	expect(t, "source", g.Do(t, alice, "PUT", "/made/source", []byte("part")), 200, "")
	_, maker := h.user(t, alice, "maker", allowAll)
	until := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	begin := func(c accounts.Credential, headers []string) string {
		res := g.Do(t, c, "POST", "/made/k?uploads", nil, headers...)
		expect(t, "begin", res, 200, "")
		return res.Element("UploadId")
	}
	for n, c := range []struct {
		header, value, condition string
		more                     []string
	}{
		{"X-Amz-Acl", "public-read", `"s3:x-amz-acl":"public-read"`, nil},
		{"X-Amz-Grant-Read", `uri="http://acs.amazonaws.com/groups/global/AllUsers"`, `"s3:x-amz-grant-read":"uri=http://acs.amazonaws.com/groups/global/AllUsers"`, nil},
		{"X-Amz-Tagging", "class=trusted", `"s3:RequestObjectTag/class":"trusted"`, nil},
		{"X-Amz-Storage-Class", "GLACIER_IR", `"s3:x-amz-storage-class":"GLACIER_IR"`, nil},
		{"X-Amz-Website-Redirect-Location", "/elsewhere", `"s3:x-amz-website-redirect-location":"/elsewhere"`, nil},
		{"X-Amz-Server-Side-Encryption", "aws:kms", `"s3:x-amz-server-side-encryption":"aws:kms"`, nil},
		{"X-Amz-Object-Lock-Mode", "COMPLIANCE", `"s3:object-lock-mode":"COMPLIANCE"`, []string{"X-Amz-Object-Lock-Retain-Until-Date", until}},
		{"X-Amz-Object-Lock-Legal-Hold", "ON", `"s3:object-lock-legal-hold":"ON"`, nil},
	} {
		headers := append([]string{c.header, c.value}, c.more...)
		rights := func(operator string) string {
			return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
				{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"` + operator + `":{` + c.condition + `}}}]}`
		}
		_, without := h.user(t, alice, fmt.Sprint("without", n), rights("StringEquals"))
		_, demanded := h.user(t, alice, fmt.Sprint("demanded", n), rights("StringNotEquals"))
		fill := func(name string, who accounts.Credential, id, code string) {
			t.Helper()
			status := map[string]int{"": 200, "AccessDenied": 403}[code]
			at := "/made/k?partNumber=1&uploadId=" + id
			expect(t, name+": a copied part", g.Do(t, who, "PUT", at, nil, "X-Amz-Copy-Source", "/made/source"), status, code)
			digest := []string{"X-Amz-Checksum-Crc32", sum("CRC32", []byte("part"))}
			expect(t, name+": a part", g.Do(t, who, "PUT", at, []byte("part"), digest...), status, code)
			tag := g.Do(t, maker, "PUT", at, []byte("part"), digest...).Header.Get("ETag")
			expect(t, name+": the end", g.Do(t, who, "POST", "/made/k?uploadId="+id, completeDocument(part(1, tag))), status, code)
		}
		fill(c.header+" of another", without, begin(maker, headers), "AccessDenied")
		fill("without "+c.header, without, begin(without, nil), "")
		fill(c.header+" as demanded", demanded, begin(demanded, headers), "")
		fill("not as demanded of "+c.header, demanded, begin(maker, nil), "AccessDenied")
	}
}
