package api_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

// A principal that may write and delete but not read cannot find out anything
// about objects by conditions: right and wrong guesses are refused alike, and
// so are guesses about absent objects.
func TestConditionsTellNothing(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	h := &household{g: g, alice: alice}
	const blind = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:PutObject","s3:DeleteObject","s3:DeleteObjectVersion","s3:ListBucket"%s],"Resource":"*"}}`
	_, writer := h.user(t, alice, "writer", strings.Replace(blind, "%s", "", 1))
	_, reader := h.user(t, alice, "reader", strings.Replace(blind, "%s", `,"s3:GetObject"`, 1))
	put := func() string {
		res := g.Do(t, alice, "PUT", "/bucket/k", []byte("content"))
		expect(t, "put", res, 200, "")
		return res.Header.Get("ETag")
	}
	etag := put()
	modified := g.Do(t, alice, "HEAD", "/bucket/k", nil).Header.Get("Last-Modified")
	ask := func(method, target, header string) func(accounts.Credential, string, string) string {
		return func(c accounts.Credential, key, value string) string {
			res := g.Do(t, c, method, strings.Replace(target, "KEY", key, 1), nil, header, value, "x-amz-copy-source", "/bucket/open")
			if method != "PUT" {
				res = g.Do(t, c, method, strings.Replace(target, "KEY", key, 1), nil, header, value)
			}
			return res.Code()
		}
	}
	several := func(element string) func(accounts.Credential, string, string) string {
		return func(c accounts.Credential, key, value string) string {
			doc := "<Delete><Object><Key>" + key + "</Key><" + element + ">" + value + "</" + element + "></Object></Delete>"
			sum := weakhash.MD5([]byte(doc))
			return g.Do(t, c, "POST", "/bucket?delete", []byte(doc), "Content-Md5", base64.StdEncoding.EncodeToString(sum[:])).Code()
		}
	}
	plain := func(c accounts.Credential, key, value string) string {
		return g.Do(t, c, "PUT", "/bucket/"+key, []byte("content"), "If-Match", value).Code()
	}
	complete := func(c accounts.Credential, key, value string) string {
		id := g.Do(t, c, "POST", "/bucket/"+key+"?uploads", nil).Element("UploadId")
		tag := g.Do(t, c, "PUT", "/bucket/"+key+"?partNumber=1&uploadId="+id, []byte("content")).Header.Get("ETag")
		return g.Do(t, c, "POST", "/bucket/"+key+"?uploadId="+id, completeDocument(part(1, tag)), "If-Match", value).Code()
	}
	_, copier := h.user(t, alice, "copier",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:GetObject","Resource":["arn:aws:s3:::bucket/k","arn:aws:s3:::bucket/none"]}]}`)
	for name, c := range map[string]struct {
		ask          func(c accounts.Credential, key, value string) string
		by           accounts.Credential
		right, wrong string
		refused      string // of a wrong guess by a principal that may read
	}{
		"PUT":                 {plain, writer, etag, `"0"`, "PreconditionFailed"},
		"complete":            {complete, writer, etag, `"0"`, "PreconditionFailed"},
		"copy":                {ask("PUT", "/bucket/KEY", "If-Match"), copier, etag, `"0"`, "PreconditionFailed"},
		"DELETE":              {ask("DELETE", "/bucket/KEY", "If-Match"), writer, etag, `"0"`, "PreconditionFailed"},
		"DELETE of a version": {ask("DELETE", "/bucket/KEY?versionId=null", "If-Match"), writer, etag, `"0"`, "PreconditionFailed"},
		"DELETE by size":      {ask("DELETE", "/bucket/KEY", "X-Amz-If-Match-Size"), writer, "7", "8", "PreconditionFailed"},
		"DELETE by time": {ask("DELETE", "/bucket/KEY", "X-Amz-If-Match-Last-Modified-Time"), writer, modified,
			"Wed, 21 Oct 2015 07:28:00 GMT", "PreconditionFailed"},
		"several":         {several("ETag"), writer, etag, `"0"`, "PreconditionFailed"},
		"several by size": {several("Size"), writer, "7", "8", "PreconditionFailed"},
		"several by time": {several("LastModifiedTime"), writer, modified, "Wed, 21 Oct 2015 07:28:00 GMT", "PreconditionFailed"},
	} {
		for _, guess := range [][2]string{{"k", c.right}, {"k", c.wrong}, {"none", c.right}} {
			if code := c.ask(c.by, guess[0], guess[1]); code != "AccessDenied" {
				t.Errorf("%s of %s with %s: %q", name, guess[0], guess[1], code)
			}
		}
		if strings.Contains(c.right, `"`) {
			if code := c.ask(c.by, "k", "*"); code != "" {
				t.Errorf("%s with a star: %q", name, code)
			}
			put()
		}
		if code := c.ask(reader, "k", c.wrong); code != c.refused {
			t.Errorf("%s by a reader: %q", name, code)
		}
		if name == "DELETE by time" || name == "several by time" {
			modified = g.Do(t, alice, "HEAD", "/bucket/k", nil).Header.Get("Last-Modified")
			c.right = modified
		}
		if code := c.ask(reader, "k", c.right); code != "" {
			t.Errorf("%s by a reader who guesses right: %q", name, code)
		}
		put()
	}
}
