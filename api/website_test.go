package api_test

import (
	"bytes"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

const everybodyReads = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"}]}`

// visit requests a page of a bucket's website as a browser does.
func visit(t testing.TB, g *gatewaytest.Gateway, method, host, target string, headers ...string) gatewaytest.Response {
	t.Helper()
	r := g.Request(t, method, target, nil)
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return g.Send(t, r)
}

// startSite runs a gateway whose bucket bkt is public and is the website.
func startSite(t testing.TB, configuration string) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, Domains: []string{"s3.test"}, Websites: []string{"web.test"}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	g.Must(t, 204, "PUT", "/bkt?policy", []byte(everybodyReads))
	g.Must(t, 200, "PUT", "/bkt?website", []byte("<WebsiteConfiguration>"+configuration+"</WebsiteConfiguration>"))
	for key, body := range map[string]string{
		"index.html": "home", "docs/index.html": "the docs", "a b+c.html": "odd name", "error.html": "so sorry", "page.html": "a page",
	} {
		g.Must(t, 200, "PUT", "/bkt/"+strings.ReplaceAll(strings.ReplaceAll(key, " ", "%20"), "+", "%2B"), []byte(body), "Content-Type", "text/html")
	}
	g.Must(t, 200, "PUT", "/bkt/moved", nil, "X-Amz-Website-Redirect-Location", "/page.html")
	return g
}

const site = "bkt.web.test"

// A page that a browser has over TLS, which a proxy terminates, is not
// redirected to plain HTTP.
func TestWebsiteBehindProxy(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Websites: []string{"web.test"}, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	g.Must(t, 204, "PUT", "/bkt?policy", []byte(everybodyReads))
	g.Must(t, 200, "PUT", "/bkt?website", []byte("<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules><RoutingRule>"+
		"<Redirect><ReplaceKeyWith>new</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>"))
	for said, want := range map[string]string{"https": "https://" + site + "/new", "http": "http://" + site + "/new"} {
		if res := visit(t, g, "GET", site, "/old", "X-Forwarded-Proto", said); res.Header.Get("Location") != want {
			t.Errorf("over %s: %d, %q, want %q", said, res.Status, res.Header.Get("Location"), want)
		}
	}
}

func TestWebsite(t *testing.T) {
	g := startSite(t, "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"+
		"<ErrorDocument><Key>error.html</Key></ErrorDocument>"+
		"<RoutingRules><RoutingRule><Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition><Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect></RoutingRule>"+
		"<RoutingRule><Condition><KeyPrefixEquals>lost/</KeyPrefixEquals><HttpErrorCodeReturnedEquals>403</HttpErrorCodeReturnedEquals></Condition>"+
		"<Redirect><Protocol>https</Protocol><HostName>else.test</HostName><ReplaceKeyWith>found</ReplaceKeyWith><HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule></RoutingRules>")
	for _, c := range []struct {
		target   string
		status   int
		body     string
		location string
	}{
		{"/", 200, "home", ""},
		{"/docs/", 200, "the docs", ""},
		{"/docs", 302, "", "/docs/"},
		{"//docs", 403, "so sorry", ""}, // another key, which would lead to another host
		{"/page.html", 200, "a page", ""},
		{"/page.html?response-content-type=x&versionId=null&uploads", 200, "a page", ""},
		{"/a%20b+c.html", 200, "odd name", ""},
		{"/moved", 301, "", "/page.html"},
		{"/old/x?a=b", 301, "", "http://bkt.web.test/new/x?a=b"},
		{"/lost/x", 302, "", "https://else.test/found"},
		{"/none", 403, "so sorry", ""}, // nobody may list the bucket or learn which keys are absent
		{"/none/", 403, "so sorry", ""},
	} {
		res := visit(t, g, "GET", site, c.target)
		if res.Status != c.status || string(res.Body) != c.body || res.Header.Get("Location") != c.location {
			t.Errorf("GET %s: %d %q, to %q", c.target, res.Status, res.Body, res.Header.Get("Location"))
		}
		head := visit(t, g, "HEAD", site, c.target)
		if head.Status != c.status || len(head.Body) > 0 || head.Header.Get("Location") != c.location {
			t.Errorf("HEAD %s: %d, to %q", c.target, head.Status, head.Header.Get("Location"))
		}
	}
	res := visit(t, g, "GET", site+":8080", "/page.html", "Range", "bytes=2-3")
	if res.Status != 206 || string(res.Body) != "pa" || res.Header.Get("Content-Type") != "text/html" {
		t.Errorf("a range: %d %q", res.Status, res.Body)
	}
	if again := visit(t, g, "GET", site, "/page.html", "If-None-Match", res.Header.Get("ETag")); again.Status != 304 {
		t.Errorf("again: %d", again.Status)
	}
	if res := visit(t, g, "GET", site, "/none", "Range", "bytes=0-1"); res.Status != 403 || string(res.Body) != "so sorry" ||
		res.Header.Get("X-Amz-Error-Code") != "AccessDenied" {
		t.Errorf("a range of nothing: %d %q", res.Status, res.Body)
	}
	// A sender who may list the bucket learns that the page is absent.
	g.Must(t, 204, "PUT", "/bkt?policy",
		[]byte(strings.NewReplacer(`"s3:GetObject"`, `["s3:GetObject","s3:ListBucket"]`, `"arn:aws:s3:::bkt/*"`,
			`["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]`).Replace(everybodyReads)))
	if res := visit(t, g, "GET", site, "/none"); res.Status != 404 || string(res.Body) != "so sorry" {
		t.Errorf("absent: %d %q", res.Status, res.Body)
	}
}

func TestWebsiteErrors(t *testing.T) {
	g := startSite(t, "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>")
	g.Must(t, 200, "PUT", "/plain", nil)
	g.Must(t, 200, "PUT", "/secret", nil)
	g.Must(t, 200, "PUT", "/secret?website",
		[]byte("<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><ErrorDocument><Key>e</Key></ErrorDocument></WebsiteConfiguration>"))
	for _, key := range []string{"i", "e"} {
		g.Must(t, 200, "PUT", "/secret/"+key, []byte("private"))
	}
	for _, c := range []struct {
		method, host, target string
		status               int
		code                 string
	}{
		{"GET", site, "/<script>", 403, "AccessDenied"},
		{"GET", "plain.web.test", "/", 404, "NoSuchWebsiteConfiguration"},
		{"GET", "none.web.test", "/", 404, "NoSuchBucket"},
		{"GET", "secret.web.test", "/", 403, "AccessDenied"},
		{"GET", "SECRET.Web.Test", "/i", 403, "AccessDenied"},
		{"PUT", site, "/page.html", 405, "MethodNotAllowed"},
		{"POST", site, "/", 405, "MethodNotAllowed"},
		{"DELETE", site, "/page.html", 405, "MethodNotAllowed"},
	} {
		r := g.Request(t, c.method, "/", nil)
		r.Host, r.URL.Opaque = c.host, c.target
		res := g.Send(t, r)
		if res.Status != c.status || res.Header.Get("X-Amz-Error-Code") != c.code || !bytes.Contains(res.Body, []byte("<li>Code: "+c.code+"</li>")) ||
			!strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || bytes.Contains(res.Body, []byte("<script>")) ||
			bytes.Contains(res.Body, []byte("private")) {
			t.Errorf("%s %s%s: %d %s", c.method, c.host, c.target, res.Status, res.Body)
		}
	}
	// A website ignores signatures.
	r := g.Request(t, "GET", "/i", nil)
	r.Host = "secret.web.test"
	g.Sign(t, r, g.Root, nil)
	if res := g.Send(t, r); res.Status != http.StatusForbidden {
		t.Errorf("signed: %d %s", res.Status, res.Body)
	}
}

// A visit counts with the bucket and its owner.
func TestWebsiteRates(t *testing.T) {
	g := startSite(t, "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>")
	b, err := g.Engine.Buckets().Get(t.Context(), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	visits := func() (refused int) {
		for range 20 {
			if res := visit(t, g, "GET", site, "/"); res.Status == 503 && strings.Contains(string(res.Body), "<li>Code: SlowDown</li>") {
				refused++
			}
		}
		return refused
	}
	if n := visits(); n != 0 {
		t.Fatalf("%d of 20 were refused without a limit", n)
	}
	for name, set := range map[string]func(meta.Limits) error{
		"the bucket": func(l meta.Limits) error { return g.Engine.Buckets().SetLimits(t.Context(), b, l) },
		"its owner":  func(l meta.Limits) error { return g.Engine.Accounts().SetLimits(t.Context(), b.Owner, l) },
	} {
		if err := set(meta.Limits{Requests: 1}); err != nil {
			t.Fatal(err)
		}
		if visits() == 0 {
			t.Errorf("20 visits passed a limit of %s of one a second", name)
		}
		if b, err = g.Engine.Buckets().Get(t.Context(), "bkt"); err != nil {
			t.Fatal(err)
		}
		if err := set(meta.Limits{}); err != nil {
			t.Fatal(err)
		}
		if b, err = g.Engine.Buckets().Get(t.Context(), "bkt"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWebsiteThatIsElsewhere(t *testing.T) {
	g := startSite(t, "<RedirectAllRequestsTo><HostName>www.example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>")
	res := visit(t, g, "GET", site, "/any/path?q=1")
	if res.Status != 301 || res.Header.Get("Location") != "https://www.example.com/any/path?q=1" {
		t.Errorf("%d %s", res.Status, res.Header.Get("Location"))
	}
}

func TestPutBucketWebsiteRefuses(t *testing.T) {
	g := start(t)
	rule := func(s string) string {
		return "<IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules><RoutingRule>" + s + "</RoutingRule></RoutingRules>"
	}
	redirectTo := func(s string) string { return rule("<Redirect>" + s + "</Redirect>") }
	for document, code := range map[string]string{
		"": "InvalidArgument",
		"<IndexDocument><Suffix></Suffix></IndexDocument>":                                                                       "InvalidArgument",
		"<IndexDocument><Suffix>a/b</Suffix></IndexDocument>":                                                                    "InvalidArgument",
		"<IndexDocument><Suffix>i</Suffix></IndexDocument><ErrorDocument><Key></Key></ErrorDocument>":                            "InvalidArgument",
		"<RedirectAllRequestsTo><HostName>a</HostName></RedirectAllRequestsTo><IndexDocument><Suffix>i</Suffix></IndexDocument>": "MalformedXML",
		"<RedirectAllRequestsTo><HostName></HostName></RedirectAllRequestsTo>":                                                   "MalformedXML",
		"<RedirectAllRequestsTo><HostName>a</HostName><Protocol>ftp</Protocol></RedirectAllRequestsTo>":                          "InvalidRequest",
		"<RedirectAllRequestsTo><HostName>a/b@c</HostName></RedirectAllRequestsTo>":                                              "InvalidRequest",
		rule(""): "MalformedXML",
		rule("<Condition></Condition><Redirect><HostName>a</HostName></Redirect>"):                                                               "MalformedXML",
		rule("<Condition><HttpErrorCodeReturnedEquals>399</HttpErrorCodeReturnedEquals></Condition><Redirect><HostName>a</HostName></Redirect>"): "InvalidRequest",
		rule("<Condition><HttpErrorCodeReturnedEquals>4xx</HttpErrorCodeReturnedEquals></Condition><Redirect><HostName>a</HostName></Redirect>"): "MalformedXML",
		redirectTo(""): "MalformedXML",
		redirectTo("<HttpRedirectCode>300</HttpRedirectCode>"):                                         "InvalidRequest",
		redirectTo("<HttpRedirectCode>399</HttpRedirectCode>"):                                         "InvalidRequest",
		redirectTo("<Protocol>javascript</Protocol>"):                                                  "InvalidRequest",
		redirectTo("<ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith>"): "InvalidRequest",
		"<IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules>" + strings.Repeat("<RoutingRule><Redirect><HostName>a</HostName></Redirect></RoutingRule>", 51) + "</RoutingRules>": "InvalidRequest",
	} {
		res := g.Do(t, g.Root, "PUT", "/bkt?website", []byte("<WebsiteConfiguration>"+document+"</WebsiteConfiguration>"))
		if res.Code() != code {
			t.Errorf("%s: %d %s", document, res.Status, res.Body)
		}
	}
	expect(t, "after what was refused", g.Do(t, g.Root, "GET", "/bkt?website", nil), 404, "NoSuchWebsiteConfiguration")
	good := "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><ErrorDocument><Key>e</Key></ErrorDocument><RoutingRules><RoutingRule><Condition>" +
		"<HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals><KeyPrefixEquals>a</KeyPrefixEquals></Condition><Redirect><HostName>h</HostName>" +
		"<HttpRedirectCode>307</HttpRedirectCode><Protocol>https</Protocol><ReplaceKeyPrefixWith></ReplaceKeyPrefixWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>"
	g.Must(t, 200, "PUT", "/bkt?website", []byte(good))
	if got := shown(g.Must(t, 200, "GET", "/bkt?website", nil)); got != good {
		t.Errorf("shown as %s", got)
	}
	g.Must(t, 204, "DELETE", "/bkt?website", nil)
	expect(t, "deleted", g.Do(t, g.Root, "GET", "/bkt?website", nil), 404, "NoSuchWebsiteConfiguration")
}
