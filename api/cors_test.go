package api_test

import (
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// sharedWith are CORS rules: one origin may do much, its subdomains may read,
// and everybody may HEAD.
const sharedWith = `<CORSConfiguration>` +
	`<CORSRule><AllowedOrigin>https://app.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedMethod>DELETE</AllowedMethod>` +
	`<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>` +
	`<CORSRule><AllowedOrigin>https://*.app.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>X-Amz-*</AllowedHeader></CORSRule>` +
	`<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod></CORSRule></CORSConfiguration>`

// ask sends a preflight as a browser does: unsigned.
func ask(t testing.TB, g *gatewaytest.Gateway, target string, headers ...string) gatewaytest.Response {
	t.Helper()
	r := g.Request(t, "OPTIONS", target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return g.Send(t, r)
}

func TestPreflight(t *testing.T) {
	g := start(t)
	const wantMethod, wantHeaders = "Access-Control-Request-Method", "Access-Control-Request-Headers"
	closed := ask(t, g, "/bkt/key", "Origin", "https://app.example", wantMethod, "GET")
	expect(t, "no rules", closed, 403, "AccessForbidden")
	if closed.Element("Message") != "CORSResponse: CORS is not enabled for this bucket." ||
		closed.Element("ResourceType") != "OBJECT" || closed.Element("Method") != "GET" {
		t.Errorf("no rules: %s", closed.Body)
	}
	g.Must(t, 200, "PUT", "/bkt?cors", []byte(sharedWith))
	for _, c := range []struct {
		target, origin, method, headers string
		status                          int
		code                            string
		allowed, credentials            string
	}{
		{"/bkt/key", "https://app.example", "PUT", "content-type,x-amz-date", 200, "", "https://app.example", "true"},
		{"/bkt/a%2Fb?partNumber=1&uploadId=x&X-Amz-Signature=0", "https://app.example", "PUT", "", 200, "", "https://app.example", "true"},
		{"/bkt", "https://app.example", "GET", "", 200, "", "https://app.example", "true"},
		{"/bkt/key", "https://www.app.example", "GET", "X-AMZ-Date", 200, "", "https://www.app.example", "true"},
		{"/bkt/key", "https://evil.example", "HEAD", "", 200, "", "*", ""},
		{"/bkt/key", "null", "HEAD", "", 200, "", "*", ""},
		{"/bkt/key", "https://www.app.example", "GET", "Content-Type", 403, "AccessForbidden", "", ""},
		{"/bkt/key", "https://www.app.example", "PUT", "", 403, "AccessForbidden", "", ""},
		{"/bkt/key", "https://app.example.evil.example", "GET", "", 403, "AccessForbidden", "", ""},
		{"/bkt/key", "HTTPS://APP.EXAMPLE", "GET", "", 403, "AccessForbidden", "", ""},
		{"/bkt/key", "https://app.example", "PATCH", "", 400, "BadRequest", "", ""},
		{"/bkt/key", "https://app.example", "get", "", 400, "BadRequest", "", ""},
		{"/bkt/key", "https://app.example", "GET", "a b", 400, "BadRequest", "", ""},
		{"/none/key", "https://app.example", "GET", "", 404, "NoSuchBucket", "", ""},
	} {
		headers := []string{"Origin", c.origin, wantMethod, c.method}
		if c.headers != "" {
			headers = append(headers, wantHeaders, c.headers)
		}
		res := ask(t, g, c.target, headers...)
		expect(t, c.method+" from "+c.origin, res, c.status, c.code)
		expectHeaders(t, c.method+" from "+c.origin, res, "Access-Control-Allow-Origin", c.allowed, "Access-Control-Allow-Credentials", c.credentials)
	}
	full := ask(t, g, "/bkt/key", "Origin", "https://app.example", wantMethod, "PUT", wantHeaders, "Content-Type, X-Amz-Date")
	expectHeaders(t, "all of it", full, "Access-Control-Allow-Methods", "GET, PUT, DELETE", "Access-Control-Allow-Headers", "content-type, x-amz-date",
		"Access-Control-Expose-Headers", "ETag, x-amz-request-id", "Access-Control-Max-Age", "3000",
		"Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	expect(t, "no origin", ask(t, g, "/bkt", wantMethod, "GET"), 400, "BadRequest")
	expect(t, "no method", ask(t, g, "/bkt", "Origin", "https://app.example"), 400, "BadRequest")
	g.Must(t, 204, "DELETE", "/bkt?cors", nil)
	expect(t, "no rules any more", ask(t, g, "/bkt", "Origin", "https://app.example", wantMethod, "GET"), 403, "AccessForbidden")
}

// A page uploads and reads with presigned URLs and can read every answer,
// errors included. A page of another origin can read none.
func TestBrowserPage(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt?cors", []byte(sharedWith))
	for _, c := range []struct {
		origin, allowed, credentials, vary string
	}{
		{"https://app.example", "https://app.example", "true", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"},
		{"https://evil.example", "", "", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"},
		{"", "", "", ""},
	} {
		answers := map[string]gatewaytest.Response{}
		from := func(r string, method, target string, body []byte) {
			var headers []string
			if c.origin != "" {
				headers = []string{"Origin", c.origin}
			}
			answers[r] = g.Do(t, g.Root, method, target, body, headers...)
		}
		from("upload", "PUT", "/bkt/key", []byte("data"))
		from("read", "GET", "/bkt/key", nil)
		from("list", "GET", "/bkt?list-type=2", nil)
		from("absent", "GET", "/bkt/none", nil)
		from("refused", "PUT", "/bkt/key?acl", []byte("<x/>"))
		unsigned := g.Request(t, "GET", "/bkt/key", nil)
		if c.origin != "" {
			unsigned.Header.Set("Origin", c.origin)
		}
		answers["denied"] = g.Send(t, unsigned)
		spoiled := g.Request(t, "GET", "/bkt/key", nil)
		g.Sign(t, spoiled, g.Root, nil)
		spoiled.Header.Set("Authorization", spoil(spoiled.Header.Get("Authorization")))
		if c.origin != "" {
			spoiled.Header.Set("Origin", c.origin)
		}
		answers["badly signed"] = g.Send(t, spoiled)
		for name, res := range answers {
			expectHeaders(t, name+" from "+c.origin, res, "Access-Control-Allow-Origin", c.allowed, "Access-Control-Allow-Credentials", c.credentials, "Vary", c.vary)
		}
		if answers["read"].Status != 200 || answers["denied"].Status != 403 ||
			answers["badly signed"].Code() != "SignatureDoesNotMatch" || answers["absent"].Status != 404 {
			t.Errorf("the origin decided about access: %v", answers)
		}
	}
	head := g.Do(t, g.Root, "HEAD", "/bkt/key", nil, "Origin", "https://evil.example")
	expectHeaders(t, "for everybody", head, "Access-Control-Allow-Origin", "*", "Access-Control-Allow-Credentials", "")
	other := g.Do(t, g.Root, "GET", "/", nil, "Origin", "https://app.example")
	expectHeaders(t, "no bucket", other, "Access-Control-Allow-Origin", "", "Vary", "")
}

// Credentials are allowed to every origin that matches a pattern other than a
// bare *. A request that names another method, as a preflight does, is judged
// by that method. Exposed headers keep the rule's order.
func TestCORSOfRequests(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt?cors", []byte(corsRulesOf(
		`<AllowedOrigin>https://*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>X-A-*</AllowedHeader><ExposeHeader>x-b</ExposeHeader><ExposeHeader>X-a</ExposeHeader>`,
		`<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>`)))
	g.Must(t, 200, "PUT", "/bkt/key", []byte("data"))
	const origin, credentials, expose, allowed = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Access-Control-Allow-Headers"
	const askMethod, askHeaders = "Access-Control-Request-Method", "Access-Control-Request-Headers"
	for _, c := range []struct {
		name    string
		headers []string
		want    []string
	}{
		{"as it is", nil, []string{origin, "*", credentials, "", expose, "", allowed, ""}},
		{"as a PUT", []string{askMethod, "PUT"}, []string{origin, "https://a.example", credentials, "true", expose, "x-b, X-a", allowed, ""}},
		{"with headers", []string{askMethod, "PUT", askHeaders, "X-A-1, x-a-2"}, []string{origin, "https://a.example", credentials, "true", allowed, "x-a-1, x-a-2"}},
		{"with another header", []string{askMethod, "PUT", askHeaders, "X-Other"}, []string{origin, "", credentials, "", allowed, ""}},
		{"with no header", []string{askMethod, "PUT", askHeaders, "a b"}, []string{origin, "", credentials, "", allowed, ""}},
		{"as a DELETE", []string{askMethod, "DELETE"}, []string{origin, "", credentials, ""}},
	} {
		res := g.Do(t, g.Root, "GET", "/bkt/key", nil, append([]string{"Origin", "https://a.example"}, c.headers...)...)
		expect(t, c.name, res, 200, "")
		expectHeaders(t, c.name, res, c.want...)
	}
}

// corsRulesOf makes a CORSConfiguration of the contents of its rules.
func corsRulesOf(rules ...string) string {
	return "<CORSConfiguration><CORSRule>" + strings.Join(rules, "</CORSRule><CORSRule>") + "</CORSRule></CORSConfiguration>"
}
