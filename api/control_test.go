package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// control sends a request of S3 Control about an account.
func control(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, account, method, path, body string) gatewaytest.Response {
	t.Helper()
	r := g.Request(t, method, "/v20180820/"+path, []byte(body))
	r.Header.Set("X-Amz-Account-Id", account)
	if c.AccessKey != "" {
		g.Sign(t, r, c, []byte(body))
	}
	return g.Send(t, r)
}

func tagsPath(bucket string) string { return "tags/" + url.PathEscape("arn:aws:s3:::"+bucket) }

func tagRequest(pairs ...string) string {
	return `<TagResourceRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags>` + tagXML(pairs...) + "</Tags></TagResourceRequest>"
}

func tagXML(pairs ...string) (b string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		b += "<Tag><Key>" + pairs[i] + "</Key><Value>" + pairs[i+1] + "</Value></Tag>"
	}
	return b
}

// The tags of S3 Control are those of the bucket's sub-resource.
func TestControlTags(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	account := accounts.Account(g.Root.Tenant.ID)
	ask := func(status int, method, query, body string) gatewaytest.Response {
		t.Helper()
		res := control(t, g, g.Root, account, method, tagsPath("bucket")+query, body)
		if res.Status != status {
			t.Fatalf("%s %s: %d %s, want %d", method, query, res.Status, res.Body, status)
		}
		return res
	}
	shows := func(pairs ...string) {
		t.Helper()
		want := `<ListTagsForResourceResult xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags>` + tagXML(pairs...) + "</Tags></ListTagsForResourceResult>"
		if res := ask(200, "GET", "", ""); !strings.HasSuffix(string(res.Body), want) {
			t.Errorf("tags are %s, want %s", res.Body, want)
		}
		res := g.Do(t, g.Root, "GET", "/bucket?tagging", nil)
		if len(pairs) == 0 && res.Code() != "NoSuchTagSet" || len(pairs) > 0 && !strings.Contains(string(res.Body), "<TagSet>"+tagXML(pairs...)+"</TagSet>") {
			t.Errorf("GetBucketTagging: %d %s", res.Status, res.Body)
		}
	}
	shows()
	ask(204, "POST", "", tagRequest("a", "1", "b", "2"))
	shows("a", "1", "b", "2")
	ask(204, "POST", "", tagRequest("c", "3", "a", "4"))
	shows("a", "4", "b", "2", "c", "3")
	ask(204, "DELETE", "?tagKeys=a&tagKeys=c&tagKeys=never", "")
	shows("b", "2")
	g.Must(t, 204, "PUT", "/bucket?tagging", []byte("<Tagging><TagSet>"+tagXML("z", "9")+"</TagSet></Tagging>"))
	shows("z", "9")
	ask(204, "DELETE", "?tagKeys=z", "")
	shows()

	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprint("k", i), "v")
	}
	ask(204, "POST", "", tagRequest(many...))
	for body, code := range map[string]string{
		tagRequest("one more", "v"): "BadRequest", tagRequest(append(many, "x", "y")...): "BadRequest",
		tagRequest("aws:a", "v"): "InvalidTag", tagRequest("k1", "v", "k1", "w"): "InvalidTag", tagRequest("", "v"): "InvalidTag",
		"": "MissingRequestBodyError", "<TagResourceRequest/>": "MalformedXML", "<Tagging><TagSet/></Tagging>": "MalformedXML",
	} {
		if res := ask(400, "POST", "", body); res.Code() != code || !strings.Contains(string(res.Body), "<ErrorResponse><Error><Code>") {
			t.Errorf("%.80s: %s, want %s", body, res.Body, code)
		}
	}
	ask(400, "DELETE", "", "")
	ask(400, "DELETE", "?"+strings.Repeat("tagKeys=a&", 51), "")
	ask(204, "POST", "", tagRequest("k1", "w"))
	many[3] = "w"
	shows(many...)
}

// Tags that are set concurrently are all set.
func TestControlTagsAtOnce(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	account := accounts.Account(g.Root.Tenant.ID)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			for {
				res := control(t, g, g.Root, account, "POST", tagsPath("bucket"), tagRequest(fmt.Sprint("k", i), "v"))
				if res.Code() != "OperationAborted" {
					if res.Status != 204 {
						t.Errorf("%d %s", res.Status, res.Body)
					}
					return
				}
			}
		})
	}
	all.Wait()
	if res := g.Must(t, 200, "GET", "/bucket?tagging", nil); strings.Count(string(res.Body), "<Tag>") != 3 {
		t.Errorf("tags were lost: %s", res.Body)
	}
}

// A bucket of another account than the named one is refused, and so is a sender
// without the right.
func TestControlRefusals(t *testing.T) {
	h := newHousehold(t)
	g := h.g
	account, theirs := accounts.Account(h.alice.Tenant.ID), accounts.Account(h.mallory.Tenant.ID)
	_, reader := h.user(t, h.alice, "reader",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListTagsForResource","s3:GetBucketTagging"],"Resource":"arn:aws:s3:::bucket"}]}`)
	_, former := h.user(t, h.alice, "former",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketTagging","s3:PutBucketTagging"],"Resource":"*"}]}`)
	for _, c := range []struct {
		who           accounts.Credential
		account, path string
		code          string
	}{
		{h.alice, account, tagsPath("bucket"), ""},
		{reader, account, tagsPath("bucket"), ""},
		{former, account, tagsPath("bucket"), "AccessDenied"},
		{h.mallory, account, tagsPath("bucket"), "AccessDenied"},
		{h.mallory, theirs, tagsPath("bucket"), "AccessDenied"},
		{h.alice, theirs, tagsPath("bucket"), "AccessDenied"},
		{accounts.Credential{}, account, tagsPath("bucket"), "AccessDenied"},
		{h.alice, account, tagsPath("no-such-bucket"), "NoSuchResource"},
		{h.alice, account, tagsPath(""), "AccessDenied"},
		{h.alice, account, tagsPath("bucket/key"), "NoSuchResource"},
		{h.alice, account, "tags/bucket", "InvalidRequest"},
		{h.alice, account, "tags/" + url.PathEscape("arn:aws:s3:us-east-1:"+account+":accesspoint/a"), "NotImplemented"},
		{h.alice, account, "accesspoint", ""},
		{h.alice, account, "accesspoint/a", "NotImplemented"},
		{h.alice, account, "configuration/publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"},
		{h.mallory, account, "configuration/publicAccessBlock", "AccessDenied"},
		{h.alice, account, "bucket/a/lifecycleconfiguration", "NotImplemented"},
		{h.alice, account, "jobs", "NotImplemented"},
	} {
		if res := control(t, g, c.who, c.account, "GET", c.path, ""); res.Code() != c.code || c.code == "" && res.Status != 200 {
			t.Errorf("%s of %s by %v: %d %s, want %q", c.path, c.account, c.who, res.Status, res.Body, c.code)
		}
	}
	if res := control(t, g, reader, account, "POST", tagsPath("bucket"), tagRequest("a", "b")); res.Code() != "AccessDenied" {
		t.Errorf("a sender who may only read tags set them: %d %s", res.Status, res.Body)
	}
	// A bucket's policy can allow others, but nobody without a signature.
	g.Do(t, h.alice, "DELETE", "/bucket?publicAccessBlock", nil)
	if res := g.Do(t, h.alice, "PUT", "/bucket?policy",
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:ListTagsForResource","Resource":"arn:aws:s3:::bucket"}]}`)); res.Status != 204 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	if res := control(t, g, h.mallory, account, "GET", tagsPath("bucket"), ""); res.Status != 200 {
		t.Errorf("a sender whom the policy allows: %d %s", res.Status, res.Body)
	}
	if res := control(t, g, accounts.Credential{}, account, "GET", tagsPath("bucket"), ""); res.Code() != "AccessDenied" {
		t.Errorf("without a signature: %d %s", res.Status, res.Body)
	}
	// The account header is signed, like all x-amz- headers.
	r := g.Request(t, "GET", "/v20180820/"+tagsPath("bucket"), nil)
	g.Sign(t, r, h.alice, nil)
	r.Header.Set("X-Amz-Account-Id", account)
	if res := g.Send(t, r); res.Code() != "AccessDenied" {
		t.Errorf("with an unsigned account header: %d %s", res.Status, res.Body)
	}
}

// A bucket that has the first path segment of S3 Control as its name, or digits
// like an account's, works like any other.
func TestControlShadowsNoBucket(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Domains: []string{"s3.example.com"}})
	account := accounts.Account(g.Root.Tenant.ID)
	const key = "v20180820/tags/arn:aws:s3:::bucket"
	for _, bucket := range []string{"bucket", "v20180820", account} {
		g.Must(t, 200, "PUT", "/"+bucket, nil)
	}
	g.Must(t, 200, "PUT", "/v20180820/tags/arn:aws:s3:::bucket", []byte("by path"))
	g.Must(t, 200, "PUT", "/"+account+"/"+key, []byte("by host"))
	for _, c := range []struct{ host, target, account, want string }{
		{"", "/" + key, "", "by path"},
		{account + ".s3.example.com", "/" + key, "", "by host"},
		{account + ".s3.example.com", "/" + key, "000000000001", "by host"},
		{"", "/" + key, account, "<Tags></Tags>"},
		{"s3.example.com", "/" + key, account, "<Tags></Tags>"},
		{account + ".s3.example.com", "/" + key, account, "<Tags></Tags>"},
		{account + ".127.0.0.1", "/" + key, account, "<Tags></Tags>"},
		{"bucket.s3.example.com", "/" + key, account, "NoSuchKey"},
	} {
		r := g.Request(t, "GET", c.target, nil)
		if c.host != "" {
			r.Host = c.host
		}
		if c.account != "" {
			r.Header = http.Header{"X-Amz-Account-Id": {c.account}}
		}
		if err := sigv4.Sign(r, g.Root.AccessKey, g.Root.SecretKey, g.Region, "s3", sigv4.PayloadHash(nil), time.Now()); err != nil {
			t.Fatal(err)
		}
		if res := g.Send(t, r); !strings.Contains(string(res.Body), c.want) {
			t.Errorf("%+v: %d %s", c, res.Status, res.Body)
		}
	}
}
