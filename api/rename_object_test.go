package api_test

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// from is the header that names a rename's source.
func from(source string, more ...string) []string {
	return append([]string{"X-Amz-Rename-Source", source}, more...)
}

// A renamed object answers under its new name as it did under the old one.
func TestRenameObject(t *testing.T) {
	g := start(t)
	body := bytesOf(300_000)
	g.Must(t, 200, "PUT", "/bkt/s", body, "Content-Type", "text/plain", "X-Amz-Meta-A", "1", "X-Amz-Tagging", "t=v",
		"X-Amz-Storage-Class", "STANDARD_IA", "X-Amz-Website-Redirect-Location", "/x", "X-Amz-Checksum-Algorithm", "SHA256")
	was := g.Must(t, 200, "HEAD", "/bkt/s", nil, "X-Amz-Checksum-Mode", "ENABLED")
	list := func(key string) string {
		page := string(g.Must(t, 200, "GET", "/bkt?list-type=2", nil).Body)
		if n := strings.Count(page, "<Contents>"); n != 1 {
			t.Errorf("%d objects are listed", n)
		}
		return strings.Replace(page, "<Key>"+key+"</Key>", "<Key/>", 1)
	}
	before, listed := liveBlobs(t, g), list("s")
	res := g.Must(t, 200, "PUT", "/bkt/d%20e?renameObject", nil, from("/bkt/s")...)
	if len(res.Body) != 0 {
		t.Errorf("answer: %s", res.Body)
	}
	is := g.Must(t, 200, "HEAD", "/bkt/d%20e", nil, "X-Amz-Checksum-Mode", "ENABLED")
	for _, name := range []string{"Date", "X-Amz-Request-Id", "X-Amz-Id-2"} {
		was.Header.Del(name)
		is.Header.Del(name)
	}
	if fmt.Sprint(was.Header) != fmt.Sprint(is.Header) {
		t.Errorf("it is\n%v, and was\n%v", is.Header, was.Header)
	}
	if now := list("d e"); now != listed {
		t.Errorf("listed: %s, and was %s", now, listed)
	}
	if !bytes.Equal(content(t, g, "/bkt/d%20e"), body) {
		t.Error("another content")
	}
	if tags := g.Must(t, 200, "GET", "/bkt/d%20e?tagging", nil); !strings.Contains(string(tags.Body), "<Value>v</Value>") {
		t.Errorf("tags: %s", tags.Body)
	}
	if after := liveBlobs(t, g); after != before {
		t.Errorf("a rename made %d blobs", after-before)
	}
	expect(t, "the old name", g.Do(t, g.Root, "GET", "/bkt/s", nil), 404, "NoSuchKey")
	expect(t, "again", g.Do(t, g.Root, "PUT", "/bkt/d?renameObject", nil, from("/bkt/s")...), 404, "NoSuchKey")

	// It replaces another object, whose bytes are released; also by a presigned
	// URL as SDKs make it.
	g.Must(t, 200, "PUT", "/bkt/d", bytesOf(100_000))
	r := g.Request(t, "PUT", "/bkt/d?renameObject&X-Amz-Rename-Source="+url.QueryEscape("d%20e"), nil)
	presign(t, g, r, g.Root, g.Now())
	if res := g.Send(t, r); res.Status != 200 {
		t.Fatalf("presigned: %d %s", res.Status, res.Body)
	}
	if !bytes.Equal(content(t, g, "/bkt/d"), body) || liveBlobs(t, g) != before {
		t.Error("it did not take the place of the other")
	}
}

// The source is named with its bucket or without.
func TestRenameSources(t *testing.T) {
	g := start(t)
	for source, key := range map[string]string{
		"/bkt/a": "a", "bkt/a": "a", "a": "a", "/bkt//a": "/a", "bkt//a": "/a", "other/a": "other/a", "/bkt/bkt/a": "bkt/a", "bkt/bkt/a": "bkt/a",
		"a+b": "a+b", "a%2Bb%20c": "a+b c", "bkt%2Fa%252Fb": "a%2Fb", "%C3%A9": "é", "a?versionId=null": "a?versionId=null", "bkt": "bkt",
		"bkt/only": "bkt/only",
	} {
		g.Must(t, 200, "PUT", "/bkt/"+url.PathEscape(key), []byte(key))
		g.Must(t, 200, "PUT", "/bkt/to?renameObject", nil, from(source)...)
		if got := content(t, g, "/bkt/to"); string(got) != key {
			t.Errorf("%q renamed %q, want %q", source, got, key)
		}
		expect(t, source, g.Do(t, g.Root, "GET", "/bkt/"+url.PathEscape(key), nil), 404, "NoSuchKey")
	}
	g.Must(t, 200, "PUT", "/bkt/a", []byte("a"))
	g.Must(t, 200, "PUT", "/bkt/bkt%2Fa", []byte("bkt/a"))
	expect(t, "two of them", g.Do(t, g.Root, "PUT", "/bkt/to?renameObject", nil, from("bkt/a")...), 400, "InvalidArgument")
	// A sender who may touch only one of the keys means that one.
	h := &household{g: g}
	for i, c := range []struct{ may, renamed string }{{"a", "a"}, {"bkt/a", "bkt/a"}} {
		_, user := h.user(t, g.Root, fmt.Sprint("user", i), policyFor(map[string]string{"s3:PutObject": "*", "s3:GetObject": c.may, "s3:DeleteObject": c.may}))
		if res := g.Do(t, user, "PUT", fmt.Sprint("/bkt/to", i, "?renameObject"), nil, from("bkt/a")...); res.Status != 200 {
			t.Errorf("a user who may rename %s: %d %s", c.may, res.Status, res.Body)
		}
		if got := content(t, g, fmt.Sprint("/bkt/to", i)); string(got) != c.renamed {
			t.Errorf("a user who may rename %s renamed %s", c.may, got)
		}
	}
}

// policyFor allows actions, each on one key of the bucket; *: on all.
func policyFor(may map[string]string) string {
	var statements []string
	for action, key := range may {
		statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":"arn:aws:s3:::bkt/%s"}`, action, key))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestRenameRefusals(t *testing.T) {
	g := start(t)
	etag := g.Must(t, 200, "PUT", "/bkt/s", []byte("x")).Header.Get("ETag")
	target := g.Must(t, 200, "PUT", "/bkt/d", []byte("old")).Header.Get("ETag")
	const past, future = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2093 07:28:00 GMT"
	const source = "X-Amz-Rename-Source-"
	for _, c := range []struct {
		what, target, source string
		status               int
		code, condition      string
		headers              []string
	}{
		{what: "no source", status: 400, code: "MissingSecurityHeader"},
		{what: "bad encoding", source: "%", status: 400, code: "InvalidArgument"},
		{what: "no key", source: "/bkt/", status: 400, code: "InvalidArgument"},
		{what: "no key after the bucket", source: "bkt/", status: 400, code: "InvalidArgument"},
		{what: "another bucket", source: "/other/s", status: 400, code: "InvalidArgument"},
		{what: "long key", source: strings.Repeat("k", 1025), status: 400, code: "KeyTooLongError"},
		{what: "no text", source: "%FF", status: 400, code: "InvalidURI"},
		{what: "absent", source: "none", status: 404, code: "NoSuchKey"},
		{what: "itself", source: "bkt/d", status: 400, code: "InvalidRequest"},
		{what: "a folder", source: "s", target: "d/", status: 400, code: "InvalidRequest"},
		{what: "source If-Match", headers: []string{source + "If-Match", `"x"`}, condition: "If-Match"},
		{what: "source If-None-Match", headers: []string{source + "If-None-Match", etag}, condition: "If-None-Match"},
		{what: "source too old", headers: []string{source + "If-Modified-Since", future}, condition: "If-Modified-Since"},
		{what: "source too new", headers: []string{source + "If-Unmodified-Since", past}, condition: "If-Unmodified-Since"},
		{what: "If-Match", headers: []string{"If-Match", etag}, condition: "If-Match"},
		{what: "If-Match of nothing", target: "new", headers: []string{"If-Match", "*"}, condition: "If-Match"},
		{what: "If-None-Match", headers: []string{"If-None-Match", "*"}, condition: "If-None-Match"},
		{what: "target too old", headers: []string{"If-Modified-Since", future}, condition: "If-Modified-Since"},
		{what: "target too new", headers: []string{"If-Unmodified-Since", past}, condition: "If-Unmodified-Since"},
		{what: "source date", source: "s", status: 400, code: "InvalidArgument", headers: []string{source + "If-Unmodified-Since", "x"}},
		{what: "date", source: "s", status: 400, code: "InvalidArgument", headers: []string{"If-Modified-Since", "x"}},
		{what: "empty condition", source: "s", status: 400, code: "InvalidArgument", headers: []string{"If-Match", " "}},
		{what: "empty source condition", source: "s", status: 400, code: "InvalidArgument", headers: []string{source + "If-None-Match", ""}},
		{what: "long token", source: "s", status: 400, code: "InvalidArgument", headers: []string{"X-Amz-Client-Token", strings.Repeat("t", 65)}},
		{what: "token with a space", source: "s", status: 400, code: "InvalidArgument", headers: []string{"X-Amz-Client-Token", "a b"}},
		{what: "empty token", source: "s", status: 400, code: "InvalidArgument", headers: []string{"X-Amz-Client-Token", ""}},
		{what: "expected owner", source: "s", status: 403, code: "AccessDenied", headers: []string{"X-Amz-Expected-Bucket-Owner", "123456789012"}},
		{what: "a version", source: "s", target: "d?versionId=null", status: 400, code: "InvalidArgument"},
	} {
		if c.condition != "" {
			c.status, c.code, c.source = 412, "PreconditionFailed", "bkt/s"
		}
		if c.target == "" {
			c.target = "d"
		}
		query := "?renameObject"
		if strings.Contains(c.target, "?") {
			query = "&renameObject"
		}
		headers := c.headers
		if c.source != "" {
			headers = append(headers, from(c.source)...)
		}
		res := g.Do(t, g.Root, "PUT", "/bkt/"+c.target+query, []byte(nil), headers...)
		expect(t, c.what, res, c.status, c.code)
		if got := res.Element("Condition"); got != c.condition {
			t.Errorf("%s: condition %q, want %q", c.what, got, c.condition)
		}
	}
	// Without its query parameter it is neither a rename nor an empty PUT.
	expect(t, "no query", g.Do(t, g.Root, "PUT", "/bkt/d", nil, from("s")...), 501, "NotImplemented")
	if got := content(t, g, "/bkt/d"); string(got) != "old" {
		t.Errorf("a refused request left %q", got)
	}
	g.Must(t, 200, "PUT", "/bkt/d?renameObject", nil, from("bkt/s", "X-Amz-Rename-Source-If-Match", etag, "If-Match", target, "If-None-Match", etag,
		"X-Amz-Rename-Source-If-Modified-Since", past, "X-Amz-Rename-Source-If-Unmodified-Since", past)...)
	if got := content(t, g, "/bkt/d"); string(got) != "x" {
		t.Errorf("renamed %q", got)
	}
}

// A bucket that has or had versions does not rename.
func TestRenameWithVersions(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/locked", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
	for _, status := range []string{"Enabled", "Suspended"} {
		g.Must(t, 200, "PUT", "/bkt?versioning", []byte("<VersioningConfiguration><Status>"+status+"</Status></VersioningConfiguration>"))
		for _, bucket := range []string{"bkt", "locked"} {
			g.Must(t, 200, "PUT", "/"+bucket+"/s", []byte("s"))
			expect(t, status+" "+bucket, g.Do(t, g.Root, "PUT", "/"+bucket+"/d?renameObject", nil, from("s")...), 501, "NotImplemented")
			content(t, g, "/"+bucket+"/s")
		}
	}
}

// A repeated token means the same request, which takes effect once.
func TestRenameTokensOfClients(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/s", []byte("first"))
	once := from("s", "X-Amz-Client-Token", "11111111-2222-3333-4444-555555555555")
	for range 2 {
		g.Must(t, 200, "PUT", "/bkt/d?renameObject", nil, once...)
	}
	g.Must(t, 200, "PUT", "/bkt/s", []byte("second"))
	g.Must(t, 200, "PUT", "/bkt/d?renameObject", nil, once...)
	if got := content(t, g, "/bkt/d"); string(got) != "first" {
		t.Errorf("it was carried out twice: %s", got)
	}
	expect(t, "another target", g.Do(t, g.Root, "PUT", "/bkt/e?renameObject", nil, once...), 400, "IdempotencyParameterMismatch")
	expect(t, "another condition", g.Do(t, g.Root, "PUT", "/bkt/d?renameObject", nil, append(once, "If-None-Match", "*")...), 400, "IdempotencyParameterMismatch")
	// A bucket created later with that name is another one, and so is the token
	// there.
	for _, key := range []string{"s", "d"} {
		g.Must(t, 204, "DELETE", "/bkt/"+key, nil)
	}
	g.Must(t, 204, "DELETE", "/bkt", nil)
	g.Must(t, 200, "PUT", "/bkt", nil)
	expect(t, "another bucket", g.Do(t, g.Root, "PUT", "/bkt/d?renameObject", nil, once...), 404, "NoSuchKey")
}

// A token is its sender's: another user of the tenant neither learns that it was
// used nor uses it up.
func TestRenameTokensOfTwo(t *testing.T) {
	g := start(t)
	h := &household{g: g}
	once := func(source string) []string { return from(source, "X-Amz-Client-Token", "nightly") }
	for _, name := range []string{"one", "two"} {
		_, user := h.user(t, g.Root, name, allowAll)
		g.Must(t, 200, "PUT", "/bkt/"+name, []byte(name))
		for range 2 {
			expect(t, name, g.Do(t, user, "PUT", "/bkt/"+name+"-new?renameObject", nil, once(name)...), 200, "")
		}
		if got := content(t, g, "/bkt/"+name+"-new"); string(got) != name {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A rename needs the rights to write the new name, to read and delete the old
// one, and to set the object's tags and ACL.
func TestRenameRights(t *testing.T) {
	g := start(t)
	h := &household{g: g}
	rights := map[string]string{"s3:PutObject": "d", "s3:GetObject": "s", "s3:DeleteObject": "s"}
	without := func(n int, action string) string {
		may := map[string]string{"s3:PutObjectTagging": "s"}
		for a, key := range rights {
			if a != action {
				may[a] = key
			}
		}
		_, user := h.user(t, g.Root, fmt.Sprint("user", n), policyFor(may))
		return g.Do(t, user, "PUT", "/bkt/d?renameObject", nil, from("s")...).Code()
	}
	g.Must(t, 200, "PUT", "/bkt/s", []byte("s"))
	n := 0
	for action := range rights {
		n++
		if code := without(n, action); code != "AccessDenied" {
			t.Errorf("without %s: %q", action, code)
		}
	}
	expect(t, "anonymous", g.Send(t, g.Request(t, "PUT", "/bkt/d?renameObject", nil)), 403, "AccessDenied")
	content(t, g, "/bkt/s")
	if code := without(10, ""); code != "" {
		t.Errorf("with all of them: %q", code)
	}
	g.Must(t, 200, "PUT", "/bkt/s", []byte("s"), "X-Amz-Tagging", "a=b")
	if code := without(11, ""); code != "AccessDenied" {
		t.Errorf("with tags: %q", code)
	}
	rights["s3:PutObjectTagging"] = "d"
	if code := without(12, ""); code != "AccessDenied" {
		t.Errorf("with tags that it may put and not read: %q", code)
	}
	rights["s3:GetObjectTagging"] = "s"
	if code := without(14, ""); code != "" {
		t.Errorf("with tags that it may read and put: %q", code)
	}
	// A sender who may not list must not learn which keys exist.
	if code := without(13, ""); code != "AccessDenied" {
		t.Errorf("an absent source: %q", code)
	}
	// Everybody may, but not without credentials.
	g.Must(t, 204, "DELETE", "/bkt?publicAccessBlock", nil)
	g.Must(t, 204, "PUT", "/bkt?policy",
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bkt/*"}]}`))
	r := g.Request(t, "PUT", "/bkt/e?renameObject", nil)
	r.Header.Set("X-Amz-Rename-Source", "d")
	expect(t, "anonymous, where everybody may do everything", g.Send(t, r), 403, "AccessDenied")
}

// An ACL goes along with the object if the sender may set it there.
func TestRenameWithACL(t *testing.T) {
	g := start(t)
	g.Must(t, 204, "DELETE", "/bkt?publicAccessBlock", nil)
	g.Must(t, 200, "PUT", "/bkt?ownershipControls", []byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"))
	g.Must(t, 200, "PUT", "/bkt/s", []byte("s"), "X-Amz-Acl", "public-read")
	h := &household{g: g}
	_, user := h.user(t, g.Root, "user", policyFor(map[string]string{"s3:PutObject": "*", "s3:GetObject": "*", "s3:DeleteObject": "*"}))
	expect(t, "an ACL", g.Do(t, user, "PUT", "/bkt/d?renameObject", nil, from("s")...), 403, "AccessDenied")
	g.Must(t, 200, "PUT", "/bkt/d?renameObject", nil, from("s")...)
	if res := g.Send(t, g.Request(t, "GET", "/bkt/d", nil)); res.Status != 200 {
		t.Errorf("its ACL was lost: %d %s", res.Status, res.Body)
	}
}

// An object with SSE-C is renamed only with its key.
func TestRenameCustomer(t *testing.T) {
	g := secured(t)
	key := customer('k')
	g.Must(t, 200, "PUT", "/bkt/s", []byte("secret"), key...)
	expect(t, "no key", g.Do(t, g.Root, "PUT", "/bkt/d?renameObject", nil, from("s")...), 400, "InvalidRequest")
	expect(t, "another key", g.Do(t, g.Root, "PUT", "/bkt/d?renameObject", nil, from("s", customer('x')...)...), 403, "AccessDenied")
	// To policies a rename says what the request would that makes the object there.
	h := &household{g: g}
	for name, condition := range map[string]string{
		"sealed":      `{"Null":{"s3:x-amz-server-side-encryption-customer-algorithm":"false"}}`,
		"redirecting": `{"StringEquals":{"s3:x-amz-website-redirect-location":"/to"}}`,
	} {
		_, user := h.user(t, g.Root, name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
			{"Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::bkt/d","Condition":`+condition+`}]}`)
		g.Must(t, 200, "PUT", "/bkt/r", []byte("x"), append(key, "X-Amz-Website-Redirect-Location", "/to")...)
		expect(t, name, g.Do(t, user, "PUT", "/bkt/d?renameObject", nil, from("r", key...)...), 403, "AccessDenied")
		expect(t, name+", elsewhere", g.Do(t, user, "PUT", "/bkt/e?renameObject", nil, from("r", key...)...), 200, "")
	}
	g.Must(t, 200, "PUT", "/bkt/d?renameObject", nil, from("s", key...)...)
	if res := g.Must(t, 200, "GET", "/bkt/d", nil, key...); string(res.Body) != "secret" {
		t.Errorf("%s", res.Body)
	}
	expect(t, "read without", g.Do(t, g.Root, "GET", "/bkt/d", nil), 400, "InvalidRequest")
	g.Must(t, 200, "PUT", "/bkt/plain", []byte("x"))
	expect(t, "a key for nothing", g.Do(t, g.Root, "PUT", "/bkt/e?renameObject", nil, from("plain", key...)...), 400, "InvalidRequest")
}
