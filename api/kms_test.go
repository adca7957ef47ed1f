package api_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

// keyUses are all ways to use the SSE-KMS key: "d" decrypts the object
// "sealed", "g" generates a data key.
var keyUses = map[string]struct {
	uses string
	ask  func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response
}{
	"GET":             {"d", askOf("GET", "/bucket/sealed")},
	"HEAD":            {"d", askOf("HEAD", "/bucket/sealed")},
	"a version":       {"d", askOf("GET", "/bucket/sealed?versionId=null")},
	"attributes":      {"d", askOf("GET", "/bucket/sealed?attributes", "x-amz-object-attributes", "ETag")},
	"copy from":       {"d", askOf("PUT", "/bucket/copy", "x-amz-copy-source", "/bucket/sealed", "x-amz-server-side-encryption", "AES256")},
	"copy from, both": {"dg", askOf("PUT", "/bucket/copy", "x-amz-copy-source", "/bucket/sealed", "x-amz-server-side-encryption", "aws:kms")},
	"copy to":         {"g", askOf("PUT", "/bucket/copy", "x-amz-copy-source", "/bucket/plain", "x-amz-server-side-encryption", "aws:kms")},
	"rename": {"d", func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
		res := g.Do(t, c, "PUT", "/bucket/renamed?renameObject", nil, "x-amz-rename-source", "/bucket/sealed")
		if res.Status == 200 {
			g.Do(t, c, "PUT", "/bucket/sealed?renameObject", nil, "x-amz-rename-source", "/bucket/renamed")
		}
		return res
	}},
	"PUT":             {"g", askOf("PUT", "/bucket/new", "x-amz-server-side-encryption", "aws:kms")},
	"PUT by default":  {"g", askOf("PUT", "/defaults/new")},
	"upload":          {"g", askOf("POST", "/bucket/new?uploads", "x-amz-server-side-encryption", "aws:kms")},
	"GET of a plain":  {"", askOf("GET", "/bucket/plain")},
	"PUT of a plain":  {"", askOf("PUT", "/bucket/new")},
	"PUT of AES256":   {"", askOf("PUT", "/defaults/new", "x-amz-server-side-encryption", "AES256")},
	"tags":            {"", askOf("GET", "/bucket/sealed?tagging")},
	"listing":         {"", askOf("GET", "/bucket")},
	"part of a plain": {"", askOf("POST", "/bucket/new?uploads")},
	// A condition on an entity tag tells something of the bytes.
	"PUT on a condition":      {"d", askOf("PUT", "/bucket/sealed", "If-Match", `"0"`)},
	"copy on a condition":     {"d", askOf("PUT", "/bucket/sealed", "x-amz-copy-source", "/bucket/plain", "If-Match", `"0"`)},
	"rename on a condition":   {"d", askOf("PUT", "/bucket/sealed?renameObject", "x-amz-rename-source", "/bucket/plain", "If-Match", `"0"`)},
	"DELETE on a condition":   {"d", askOf("DELETE", "/bucket/sealed", "If-Match", `"0"`)},
	"DELETE of a version":     {"d", askOf("DELETE", "/bucket/sealed?versionId=null", "If-Match", `"0"`)},
	"PUT on a plain":          {"", askOf("PUT", "/bucket/plain", "If-Match", `"0"`)},
	"PUT where nothing is":    {"", askOf("PUT", "/bucket/new", "If-None-Match", "*", "x-amz-server-side-encryption", "AES256")},
	"complete on a condition": {"d", onUpload("sealed", "AES256", "POST", "", "If-Match", `"0"`)},
	"several on a condition": {"d", func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
		doc := []byte(`<Delete><Object><Key>sealed</Key><ETag>"0"</ETag></Object></Delete>`)
		sum := weakhash.MD5(doc)
		res := g.Do(t, c, "POST", "/bucket?delete", doc, "Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		if res.Code() == "AccessDenied" {
			res.Status = 403
		}
		return res
	}},
	// Parts and their object, of an upload that somebody else began.
	"part":               {"g", onUpload("new", "aws:kms", "PUT", "&partNumber=1")},
	"part from a copy":   {"g", onUpload("new", "aws:kms", "PUT", "&partNumber=1", "x-amz-copy-source", "/bucket/plain")},
	"complete":           {"g", onUpload("new", "aws:kms", "POST", "")},
	"part of AES256":     {"", onUpload("new", "AES256", "PUT", "&partNumber=1")},
	"complete of AES256": {"", onUpload("new", "AES256", "POST", "")},
}

// onUpload asks for something of an upload with one part that the operator began.
func onUpload(key, encryption, method, query string, header ...string) func(*testing.T, *gatewaytest.Gateway, accounts.Credential) gatewaytest.Response {
	return func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
		t.Helper()
		target := "/bucket/" + key + "?uploadId=" + g.Do(t, g.Root, "POST", "/bucket/"+key+"?uploads", nil, "x-amz-server-side-encryption", encryption).Element("UploadId")
		tag := g.Do(t, g.Root, "PUT", target+"&partNumber=1", []byte("x")).Header.Get("ETag")
		body := []byte("x")
		if method == "POST" {
			body = completeDocument(part(1, tag))
		} else if len(header) > 0 {
			body = nil
		}
		return g.Do(t, c, method, target+query, body, header...)
	}
}

func askOf(method, target string, header ...string) func(*testing.T, *gatewaytest.Gateway, accounts.Credential) gatewaytest.Response {
	return func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
		return g.Do(t, c, method, target, nil, header...)
	}
}

// A key grants no rights of its own, but a Deny of its use denies the requests
// that need it.
func TestKeysThatAreDenied(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	h := &household{g: g, alice: alice}
	key := "arn:aws:kms:" + g.Region + ":" + accounts.Account(alice.Tenant.ID) + ":key/" + g.Engine.Buckets().KeyName()
	expect(t, "sealed", g.Do(t, alice, "PUT", "/bucket/sealed", []byte("x"), "x-amz-server-side-encryption", "aws:kms"), 200, "")
	expect(t, "plain", g.Do(t, alice, "PUT", "/bucket/plain", []byte("x")), 200, "")
	expect(t, "bucket", g.Do(t, alice, "PUT", "/defaults", nil), 200, "")
	expect(t, "default", g.Do(t, alice, "PUT", "/defaults?encryption",
		[]byte("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")), 200, "")
	on := func(action, resource, condition string) string {
		return `{"Effect":"Deny","Action":"` + action + `","Resource":"` + resource + `","Condition":` + condition + `}`
	}
	for name, c := range map[string]struct{ denies, statement string }{
		"everything":             {"dg", on("kms:*", "*", "{}")},
		"decryption":             {"d", on("kms:Decrypt", "*", "{}")},
		"data keys":              {"g", on("KMS:generatedatakey*", "*", "{}")},
		"the key":                {"dg", on("kms:*", key, "{}")},
		"another key":            {"", on("kms:*", key+"x", "{}")},
		"all but S3":             {"dg", `{"Effect":"Deny","NotAction":"s3:*","Resource":"*"}`},
		"other services of keys": {"", on("kms:*", "*", `{"StringNotEquals":{"kms:ViaService":"s3.`+g.Region+`.amazonaws.com"}}`)},
		"S3":                     {"dg", on("kms:*", "*", `{"StringEquals":{"kms:ViaService":"s3.`+g.Region+`.amazonaws.com"},"Bool":{"aws:ViaAWSService":"true"}}`)},
		"other accounts":         {"", on("kms:*", "*", `{"StringNotEquals":{"kms:CallerAccount":"`+accounts.Account(alice.Tenant.ID)+`"}}`)},
		"an object":              {"d", on("kms:*", "*", `{"ArnLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::bucket/sealed"}}`)},
		"an alias":               {"dg", on("kms:*", "*", `{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/aws/s3"}}`)},
		"whatever else":          {"", on("kms:CreateGrant", "*", "{}")},
	} {
		_, user := h.user(t, alice, strings.ReplaceAll(name, " ", "-"),
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},`+c.statement+`]}`)
		for way, w := range keyUses {
			want := strings.ContainsAny(w.uses, c.denies) && c.denies != ""
			res := w.ask(t, g, user)
			if got := res.Status == 403; got != want || !want && res.Status != 200 && res.Status != 412 {
				t.Errorf("denied %s, %s: %d %s", name, way, res.Status, res.Body)
			}
		}
	}
	for way, w := range keyUses { // no policy has to allow it
		_, user := h.user(t, alice, "plain-"+strings.Map(func(c rune) rune {
			if c == ' ' || c == ',' {
				return '-'
			}
			return c
		}, way), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*"}]}`)
		if res := w.ask(t, g, user); res.Status != 200 && res.Status != 412 {
			t.Errorf("%s: %d %s", way, res.Status, res.Body)
		}
	}
}
