package api_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

// shared runs a gateway where alice's bucket holds the objects "open" and
// "closed", and bob has an account of his own.
func shared(t *testing.T, o gatewaytest.Options) (g *gatewaytest.Gateway, alice, bob accounts.Credential) {
	t.Helper()
	g = gatewaytest.Start(t, o)
	alice, bob = g.User(t, "alice"), g.User(t, "bob")
	for _, target := range []string{"/bucket", "/bucket/open", "/bucket/closed"} {
		if res := g.Do(t, alice, "PUT", target, nil); res.Status != 200 {
			t.Fatalf("PUT %s: %d %s", target, res.Status, res.Body)
		}
	}
	return g, alice, bob
}

// anonymously sends a request without credentials.
func anonymously(t *testing.T, g *gatewaytest.Gateway, method, target string, body []byte) gatewaytest.Response {
	t.Helper()
	return g.Send(t, g.Request(t, method, target, body))
}

func policyOf(statements ...string) []byte {
	return []byte(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
}

const readOpen = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/open"}`

func TestBucketPolicyDecides(t *testing.T) {
	g, alice, bob := shared(t, gatewaytest.Options{})
	expect(t, "before", anonymously(t, g, "GET", "/bucket/open", nil), 403, "AccessDenied")
	expect(t, "no policy", g.Do(t, alice, "GET", "/bucket?policy", nil), 404, "NoSuchBucketPolicy")
	expect(t, "a stranger's policy", g.Do(t, bob, "PUT", "/bucket?policy", policyOf(readOpen)), 403, "AccessDenied")
	doc := policyOf(readOpen)
	expect(t, "put", g.Do(t, alice, "PUT", "/bucket?policy", doc), 204, "")
	if res := g.Do(t, alice, "GET", "/bucket?policy", nil); string(res.Body) != string(doc) || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the policy came back as %q: %s", res.Header.Get("Content-Type"), res.Body)
	}
	if res := g.Do(t, alice, "GET", "/bucket?policyStatus", nil); res.Element("IsPublic") != "TRUE" {
		t.Errorf("policy status: %s", res.Body)
	}
	expect(t, "allowed", anonymously(t, g, "GET", "/bucket/open", nil), 200, "")
	expect(t, "allowed to head", anonymously(t, g, "HEAD", "/bucket/open", nil), 200, "")
	expect(t, "not the other", anonymously(t, g, "GET", "/bucket/closed", nil), 403, "AccessDenied")
	expect(t, "not what is absent", anonymously(t, g, "GET", "/bucket/none", nil), 403, "AccessDenied")
	expect(t, "not to list", anonymously(t, g, "GET", "/bucket", nil), 403, "AccessDenied")
	expect(t, "not to write", anonymously(t, g, "PUT", "/bucket/open", []byte("x")), 403, "AccessDenied")
	expect(t, "bob neither", g.Do(t, bob, "DELETE", "/bucket/open", nil), 403, "AccessDenied")

	account := accounts.Account(bob.Tenant.ID)
	doc = policyOf(fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::bucket/*"}`, account),
		`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/closed"}`)
	expect(t, "another policy", g.Do(t, alice, "PUT", "/bucket?policy", doc), 204, "")
	expect(t, "bob reads", g.Do(t, bob, "GET", "/bucket/open", nil), 200, "")
	expect(t, "bob is denied", g.Do(t, bob, "GET", "/bucket/closed", nil), 403, "AccessDenied")
	expect(t, "so is the owner", g.Do(t, alice, "GET", "/bucket/closed", nil), 403, "AccessDenied")
	expect(t, "an absent key looks forbidden", g.Do(t, bob, "GET", "/bucket/none", nil), 403, "AccessDenied")
	expect(t, "bob writes", g.Do(t, bob, "PUT", "/bucket/new", []byte("x")), 200, "")
	expect(t, "the owner reads it", g.Do(t, alice, "GET", "/bucket/new", nil), 200, "")
	expect(t, "nobody else", anonymously(t, g, "GET", "/bucket/open", nil), 403, "AccessDenied")
	if res := g.Do(t, alice, "GET", "/bucket?policyStatus", nil); res.Element("IsPublic") != "FALSE" {
		t.Errorf("policy status: %s", res.Body)
	}

	doc = policyOf(fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:DeleteObject","Resource":"arn:aws:s3:::bucket/n*"}`, account))
	expect(t, "a policy for some keys", g.Do(t, alice, "PUT", "/bucket?policy", doc), 204, "")
	two := []byte("<Delete><Object><Key>new</Key></Object><Object><Key>open</Key></Object></Delete>")
	digest := weakhash.MD5(two)
	res := g.Do(t, bob, "POST", "/bucket?delete", two, "Content-Md5", base64.StdEncoding.EncodeToString(digest[:]))
	if res.Status != 200 || strings.Count(string(res.Body), "<Deleted>") != 1 || res.Code() != "AccessDenied" {
		t.Errorf("bob deletes two keys but may delete one: %d %s", res.Status, res.Body)
	}

	lockedOut := policyOf(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}`)
	expect(t, "nobody may do anything", g.Do(t, alice, "PUT", "/bucket?policy", lockedOut), 204, "")
	expect(t, "the owner may not read", g.Do(t, alice, "GET", "/bucket/open", nil), 403, "AccessDenied")
	expect(t, "but undo it", g.Do(t, alice, "DELETE", "/bucket?policy", nil), 204, "")
	expect(t, "and read", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")
	expect(t, "bob is a stranger again", g.Do(t, bob, "GET", "/bucket/open", nil), 403, "AccessDenied")
}

// Behind a configured proxy, the client's address is the last one in the list
// that is not a proxy's. Earlier ones may be invented.
func TestAddressBehindProxies(t *testing.T) {
	for _, c := range []struct {
		proxies string
		said    []string
		source  string // "": none
	}{
		{"127.0.0.0/8", nil, "127.0.0.1"},
		{"127.0.0.0/8", []string{"10.1.1.1"}, "10.1.1.1"},
		{"127.0.0.0/8", []string{"10.1.1.1, 192.0.2.1"}, "192.0.2.1"},
		{"127.0.0.0/8", []string{"10.1.1.1", "192.0.2.1,127.0.0.9"}, "192.0.2.1"},
		{"127.0.0.0/8", []string{"127.0.0.7, 127.0.0.9"}, "127.0.0.7"},
		{"127.0.0.0/8", []string{"::ffff:10.1.1.1"}, "10.1.1.1"},
		{"127.0.0.0/8", []string{"2001:db8::1"}, "2001:db8::1"},
		{"127.0.0.0/8", []string{"10.1.1.1, unknown"}, ""},
		{"192.0.2.0/24", []string{"10.1.1.1"}, "127.0.0.1"},
	} {
		g, alice, _ := shared(t, gatewaytest.Options{Proxies: []netip.Prefix{netip.MustParsePrefix(c.proxies)}})
		allowed := "none"
		for _, at := range []string{"127.0.0.1", "127.0.0.7", "10.1.1.1", "192.0.2.1", "2001:db8::1", "0.0.0.0/0"} {
			expect(t, at, g.Do(t, alice, "PUT", "/bucket?policy", policyOf(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",
				"Resource":"arn:aws:s3:::bucket/*","Condition":{"IpAddress":{"aws:SourceIp":"`+at+`"}}}`)), 204, "")
			r := g.Request(t, "GET", "/bucket/open", nil)
			r.Header["X-Forwarded-For"] = c.said
			if res := g.Send(t, r); res.Status == 200 && allowed == "none" {
				allowed = at
			}
		}
		if want := cmp.Or(c.source, "none"); allowed != want {
			t.Errorf("%v from a proxy in %s: the address is %s, want %s", c.said, c.proxies, allowed, want)
		}
	}
}

func TestConditionsOfRequests(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	allow := func(action, resource, condition string) []byte {
		return policyOf(fmt.Sprintf(`{"Effect":"Allow","Principal":"*","Action":"%s","Resource":"arn:aws:s3:::bucket%s","Condition":%s}`, action,
			resource, condition))
	}
	for _, c := range []struct {
		name      string
		policy    []byte
		target    string
		allowed   bool
		headers   []string
		signed    bool
		forbidden string // the same request to a target that is denied
	}{
		{name: "source address", policy: allow("s3:GetObject", "/*", `{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), target: "/bucket/open", allowed: true},
		{name: "another address", policy: allow("s3:GetObject", "/*", `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), target: "/bucket/open"},
		{name: "an address that a header claims",
			policy: allow("s3:GetObject", "/*",
				`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), target: "/bucket/open", headers: []string{"X-Forwarded-For", "10.1.1.1", "Aws-SourceIp", "10.1.1.1"}},
		{name: "no TLS", policy: allow("s3:GetObject", "/*", `{"Bool":{"aws:SecureTransport":"true"}}`), target: "/bucket/open"},
		{name: "prefix", policy: allow("s3:ListBucket", "", `{"StringEquals":{"s3:prefix":"op"}}`), target: "/bucket?prefix=op",
			allowed: true, forbidden: "/bucket?prefix=clo"},
		{name: "prefix of version 2", policy: allow("s3:ListBucket", "", `{"StringLike":{"s3:prefix":"op*"}}`),
			target: "/bucket?list-type=2&prefix=open", allowed: true, forbidden: "/bucket?list-type=2"},
		{name: "page size", policy: allow("s3:ListBucket", "", `{"NumericLessThanEquals":{"s3:max-keys":"10"}}`),
			target: "/bucket?max-keys=10", allowed: true, forbidden: "/bucket?max-keys=11"},
		{name: "referer", policy: allow("s3:GetObject", "/*", `{"StringLike":{"aws:Referer":"https://example.com/*"}}`),
			target: "/bucket/open", headers: []string{"Referer", "https://example.com/page"}, allowed: true},
		{name: "no referer", policy: allow("s3:GetObject", "/*", `{"StringLike":{"aws:Referer":"https://example.com/*"}}`), target: "/bucket/open"},
	} {
		expect(t, c.name, g.Do(t, alice, "PUT", "/bucket?policy", c.policy), 204, "")
		ask := func(target string) gatewaytest.Response {
			r := g.Request(t, "GET", target, nil)
			for i := 0; i+1 < len(c.headers); i += 2 {
				r.Header.Add(c.headers[i], c.headers[i+1])
			}
			return g.Send(t, r)
		}
		if res := ask(c.target); (res.Status == 200) != c.allowed {
			t.Errorf("%s: %d %s", c.name, res.Status, res.Body)
		}
		if c.forbidden != "" {
			expect(t, c.name+", another", ask(c.forbidden), 403, "AccessDenied")
		}
	}
}

func TestBadBucketPolicies(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	for name, doc := range map[string]string{
		"empty":           ``,
		"no JSON":         `x`,
		"no statement":    `{"Version":"2012-10-17"}`,
		"another bucket":  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}]}`,
		"unknown account": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`,
		"unknown user":    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + accounts.Account(alice.Tenant.ID) + `:user/nobody"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`,
		"unknown action":  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:Fly","Resource":"arn:aws:s3:::bucket/*"}]}`,
		"trailing":        string(policyOf(readOpen)) + "x",
		"too long":        string(policyOf(strings.Replace(readOpen, "GetObject", "GetObject"+strings.Repeat("*", 21<<10), 1))),
	} {
		res := g.Do(t, alice, "PUT", "/bucket?policy", []byte(doc))
		if res.Status != 400 || res.Code() != "MalformedPolicy" && res.Code() != "MissingRequestBodyError" {
			t.Errorf("%s: %d %s", name, res.Status, res.Body)
		}
	}
	expect(t, "nothing is stored", g.Do(t, alice, "GET", "/bucket?policy", nil), 404, "NoSuchBucketPolicy")
}

// A setting that was edited or copied from another bucket closes the bucket.
func TestEditedPolicyDeniesEverything(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	expect(t, "put", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(readOpen)), 204, "")
	g.EditSetting(t, "bucket", "policy", []byte("edited by hand"))
	expect(t, "anonymous", anonymously(t, g, "GET", "/bucket/open", nil), 403, "AccessDenied")
	expect(t, "owner", g.Do(t, alice, "GET", "/bucket/open", nil), 403, "AccessDenied")
	expect(t, "list", g.Do(t, alice, "GET", "/bucket", nil), 403, "AccessDenied")
}

func block(switches string) []byte {
	var b strings.Builder
	b.WriteString("<PublicAccessBlockConfiguration>")
	for i, name := range []string{"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"} {
		fmt.Fprintf(&b, "<%s>%t</%s>", name, switches[i] == '1', name)
	}
	b.WriteString("</PublicAccessBlockConfiguration>")
	return []byte(b.String())
}

func TestPublicAccessBlock(t *testing.T) {
	g, alice, bob := shared(t, gatewaytest.Options{BlockPublicAccess: true})
	if res := g.Do(t, alice, "GET", "/bucket?publicAccessBlock", nil); res.Element("RestrictPublicBuckets") != "true" {
		t.Errorf("a new bucket: %s", res.Body)
	}
	expect(t, "blocked policy", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(readOpen)), 403, "AccessDenied")
	expect(t, "malformed", g.Do(t, alice, "PUT", "/bucket?publicAccessBlock", []byte("<x/>")), 400, "MalformedXML")
	expect(t, "delete", g.Do(t, alice, "DELETE", "/bucket?publicAccessBlock", nil), 204, "")
	expect(t, "deleted", g.Do(t, alice, "GET", "/bucket?publicAccessBlock", nil), 404, "NoSuchPublicAccessBlockConfiguration")
	expect(t, "policy", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(readOpen)), 204, "")
	expect(t, "public", anonymously(t, g, "GET", "/bucket/open", nil), 200, "")
	expect(t, "restrict", g.Do(t, alice, "PUT", "/bucket?publicAccessBlock", block("0001")), 200, "")
	expect(t, "restricted", anonymously(t, g, "GET", "/bucket/open", nil), 403, "AccessDenied")
	expect(t, "restricted to the account", g.Do(t, bob, "GET", "/bucket/open", nil), 403, "AccessDenied")
	expect(t, "the owner", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")
}

func TestACLs(t *testing.T) {
	g, alice, bob := shared(t, gatewaytest.Options{})
	id := bob.Tenant.ID.Canonical()
	expect(t, "disabled", g.Do(t, alice, "PUT", "/bucket/open?acl", nil, "x-amz-acl", "public-read"), 400, "AccessControlListNotSupported")
	expect(t, "disabled for new objects", g.Do(t, alice, "PUT", "/bucket/new", nil, "x-amz-acl", "public-read"), 400, "AccessControlListNotSupported")
	controls := []byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>")
	expect(t, "enable", g.Do(t, alice, "PUT", "/bucket?ownershipControls", controls), 200, "")
	if res := g.Do(t, alice, "GET", "/bucket?ownershipControls", nil); res.Element("ObjectOwnership") != "ObjectWriter" {
		t.Errorf("ownership: %s", res.Body)
	}
	for name, c := range map[string]struct {
		body    string
		headers []string
		code    string
	}{
		"nothing":         {code: "MissingSecurityHeader"},
		"both headers":    {headers: []string{"x-amz-acl", "private", "x-amz-grant-read", `id="` + id + `"`}, code: "InvalidRequest"},
		"unknown canned":  {headers: []string{"x-amz-acl", "public"}, code: "InvalidArgument"},
		"unknown id":      {headers: []string{"x-amz-grant-read", "id=" + strings.Repeat("0", 64)}, code: "InvalidArgument"},
		"unknown group":   {headers: []string{"x-amz-grant-read", "uri=http://example.com"}, code: "InvalidArgument"},
		"e-mail":          {headers: []string{"x-amz-grant-read", "emailAddress=a@example.com"}, code: "UnresolvableGrantByEmailAddress"},
		"no XML":          {body: "x", code: "MalformedACLError"},
		"header and body": {body: "x", headers: []string{"x-amz-acl", "private"}, code: "UnexpectedContent"},
	} {
		if res := g.Do(t, alice, "PUT", "/bucket/open?acl", []byte(c.body), c.headers...); res.Code() != c.code {
			t.Errorf("%s: %d %s, want %s", name, res.Status, res.Body, c.code)
		}
	}
	expect(t, "public object", g.Do(t, alice, "PUT", "/bucket/open?acl", nil, "x-amz-acl", "public-read"), 200, "")
	expect(t, "everybody reads", anonymously(t, g, "GET", "/bucket/open", nil), 200, "")
	expect(t, "nobody else's", anonymously(t, g, "GET", "/bucket/closed", nil), 403, "AccessDenied")
	expect(t, "grant", g.Do(t, alice, "PUT", "/bucket/closed?acl", nil, "x-amz-grant-read", `id="`+id+`"`), 200, "")
	expect(t, "bob reads", g.Do(t, bob, "GET", "/bucket/closed", nil), 200, "")
	expect(t, "but no ACL", g.Do(t, bob, "GET", "/bucket/closed?acl", nil), 403, "AccessDenied")
	res := g.Do(t, alice, "GET", "/bucket/closed?acl", nil)
	if !strings.Contains(string(res.Body), id) || res.Element("Permission") != "READ" {
		t.Errorf("the ACL: %s", res.Body)
	}
	document := strings.TrimPrefix(string(res.Body), `<?xml version="1.0" encoding="UTF-8"?>`+"\n")
	expect(t, "as it was shown", g.Do(t, alice, "PUT", "/bucket/open?acl", []byte(document)), 200, "")
	expect(t, "no longer public", anonymously(t, g, "GET", "/bucket/open", nil), 403, "AccessDenied")

	expect(t, "bucket ACL", g.Do(t, alice, "PUT", "/bucket?acl", nil, "x-amz-grant-write", "id="+id), 200, "")
	expect(t, "bob writes", g.Do(t, bob, "PUT", "/bucket/bobs", []byte("x")), 200, "")
	expect(t, "it is his", g.Do(t, alice, "GET", "/bucket/bobs", nil), 403, "AccessDenied")
	expect(t, "he reads it", g.Do(t, bob, "GET", "/bucket/bobs", nil), 200, "")
	expect(t, "he does not list", g.Do(t, bob, "GET", "/bucket", nil), 403, "AccessDenied")
	enforced := strings.Replace(string(controls), "ObjectWriter", "BucketOwnerEnforced", 1)
	expect(t, "not while others have rights", g.Do(t, alice, "PUT", "/bucket?ownershipControls", []byte(enforced)), 400, "InvalidBucketAclWithObjectOwnership")
	expect(t, "private", g.Do(t, alice, "PUT", "/bucket?acl", nil, "x-amz-acl", "private"), 200, "")
	expect(t, "disable", g.Do(t, alice, "PUT", "/bucket?ownershipControls", []byte(enforced)), 200, "")
	expect(t, "all hers", g.Do(t, alice, "GET", "/bucket/bobs", nil), 200, "")
	expect(t, "no more his", g.Do(t, bob, "GET", "/bucket/bobs", nil), 403, "AccessDenied")
	expect(t, "delete", g.Do(t, alice, "DELETE", "/bucket?ownershipControls", nil), 204, "")
	expect(t, "deleted", g.Do(t, alice, "GET", "/bucket?ownershipControls", nil), 404, "OwnershipControlsNotFoundError")
	expect(t, "so ACLs count", g.Do(t, alice, "PUT", "/bucket/open?acl", nil, "x-amz-acl", "public-read"), 200, "")
}
