package api_test

import (
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
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
			if got := res.Status == 403; got != want || !want && res.Status != 200 {
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
		if res := w.ask(t, g, user); res.Status != 200 {
			t.Errorf("%s: %d %s", way, res.Status, res.Body)
		}
	}
}
