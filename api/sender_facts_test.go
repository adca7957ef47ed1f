package api_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// Policies know the same of a sender behind a proxy, whether an object comes in
// a PUT or in a form: a form replaces the header of its request.
func TestSenderOfAForm(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	sender := []string{"X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https", "Referer", "https://page.test/", "User-Agent", "browser"}
	denies := map[string]bool{ // by condition, whether the sender is denied
		`{"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`:         true,
		`{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`:           true,
		`{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`:            false,
		`{"NotIpAddress":{"aws:SourceIp":"192.0.2.1"}}`:           false,
		`{"Bool":{"aws:SecureTransport":"false"}}`:                false,
		`{"Bool":{"aws:SecureTransport":"true"}}`:                 true,
		`{"StringNotLike":{"aws:Referer":"https://page.test/*"}}`: false,
		`{"StringLike":{"aws:Referer":"https://page.test/*"}}`:    true,
		`{"StringNotEquals":{"aws:UserAgent":"browser"}}`:         false,
		`{"StringEquals":{"aws:UserAgent":"browser"}}`:            true,
	}
	ask := func(condition string) (put, form int) {
		t.Helper()
		expect(t, condition, g.Do(t, alice, "PUT", "/bucket?policy", policyOf(`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject",
			"Resource":"arn:aws:s3:::bucket/*","Condition":`+condition+`}`)), 204, "")
		u := good(g, []byte("x"), "key", "k")
		u.cred, u.bucket = alice, "bucket"
		return g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), sender...).Status, u.post(t, g, "/bucket", sender...).Status
	}
	for condition, denied := range denies {
		if put, form := ask(condition); (put == 403) != denied || (form == 403) != denied {
			t.Errorf("%s: PUT %d, form %d, denied is %v", condition, put, form, denied)
		}
	}
	for _, key := range access.ConditionKeys {
		if !strings.HasPrefix(key, "aws:") || strings.HasSuffix(key, "/") || key == "aws:sourceip" {
			continue
		}
		if put, form := ask(`{"Null":{"` + key + `":"true"}}`); (put == 403) != (form == 403) {
			t.Errorf("without %s: PUT %d, form %d", key, put, form)
		}
	}
}
