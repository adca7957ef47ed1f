package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// doV2 sends a request that is signed with Version 2, in its header or its URL.
func doV2(t testing.TB, g *gatewaytest.Gateway, c accounts.Credential, place int, method, target string, body []byte, headers ...string) gatewaytest.Response {
	t.Helper()
	r := g.Request(t, method, target, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if place == headerV2 {
		gatewaytest.SignV2(r, c, g.Now())
	} else {
		gatewaytest.PresignV2(t, r, c, g.Now().Add(time.Hour))
	}
	return g.Send(t, r)
}

// Each operation refuses Version 2 until the setting accepts it. The error
// names the setting and the client's remedy.
func TestVersion2IsOff(t *testing.T) {
	for use, taken := range map[sigv4.Version2Use][]bool{
		sigv4.Version2Off: {headerV2: false, urlV2: false}, sigv4.Version2Presigned: {headerV2: false, urlV2: true},
	} {
		g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, SignatureV2: use})
		g.Must(t, 200, "PUT", "/bucket", nil)
		g.Must(t, 200, "PUT", "/bucket/key", []byte("x"))
		h := &household{g: g, alice: g.Root, upload: "u"}
		for i := range api.Operations {
			op := &api.Operations[i]
			if op.Preflight || op.Scope == api.ControlScope {
				continue
			}
			for place, ok := range taken {
				if ok {
					continue
				}
				target, header := h.example(op, false)
				var pairs []string
				for name := range header {
					pairs = append(pairs, name, header.Get(name))
				}
				res := doV2(t, g, g.Root, place, op.Method, target, nil, pairs...)
				if op.Method == http.MethodHead {
					if res.Status != 400 {
						t.Errorf("%s: %d", op.Name, res.Status)
					}
					continue
				}
				message := res.Element("Message")
				if res.Status != 400 || res.Code() != "InvalidRequest" || strings.Contains(message, "\n") ||
					!strings.HasPrefix(message, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.") ||
					!strings.Contains(message, "s3.signature_v2") || !strings.Contains(message, `Config(signature_version="s3v4")`) {
					t.Errorf("%s, setting %d, place %d: %d %s", op.Name, use, place, res.Status, res.Body)
				}
			}
		}
		if res := doV2(t, g, g.Root, urlV2, "GET", "/bucket/key", nil); (res.Status == 200) != taken[urlV2] {
			t.Errorf("setting %d: a URL: %d %s", use, res.Status, res.Body)
		}
		form := browserForm{version2: true, fields: []string{"key", "form"}, file: []byte("x"), filename: "f", expires: time.Hour, cred: g.Root, bucket: "bucket"}
		res := form.post(t, g, "/bucket")
		if ok := res.Status == 204; ok != taken[urlV2] || !ok && !strings.Contains(res.Element("Message"), "s3.signature_v2") {
			t.Errorf("setting %d: a form: %d %s", use, res.Status, res.Body)
		}
	}
}

func startV2(t testing.TB, o gatewaytest.Options) *gatewaytest.Gateway {
	t.Helper()
	o.Grace, o.SignatureV2 = -1, sigv4.Version2All
	g := gatewaytest.Start(t, o)
	g.Must(t, 200, "PUT", "/bkt", nil)
	return g
}

// Signed requests take effect in full: bodies, headers that SDKs put into URLs,
// overrides, parts.
func TestVersion2Requests(t *testing.T) {
	g := startV2(t, gatewaytest.Options{Domains: []string{"s3.example.com"}})
	for _, place := range []int{headerV2, urlV2} {
		do := func(status int, method, target, body string, headers ...string) gatewaytest.Response {
			t.Helper()
			res := doV2(t, g, g.Root, place, method, target, []byte(body), headers...)
			if res.Status != status {
				t.Errorf("place %d: %s %s: %d %s, want %d", place, method, target, res.Status, res.Body, status)
			}
			return res
		}
		do(200, "PUT", "/bkt/a%20key/%C3%BC%2B", "body", "Content-Type", "text/x", "x-amz-meta-colour", "light blue",
			"Cache-Control", "no-store", "x-amz-storage-class", "STANDARD_IA")
		res := do(200, "GET",
			"/bkt/a%20key/%C3%BC%2B?response-content-disposition="+url.QueryEscape("attachment; filename=\"a&b.txt\"")+"&response-content-type=text%2Fy", "")
		if string(res.Body) != "body" || res.Header.Get("X-Amz-Meta-Colour") != "light blue" || res.Header.Get("X-Amz-Storage-Class") != "STANDARD_IA" ||
			res.Header.Get("Content-Disposition") != `attachment; filename="a&b.txt"` || res.Header.Get("Content-Type") != "text/y" {
			t.Errorf("place %d: %q %v", place, res.Body, res.Header)
		}
		do(200, "HEAD", "/bkt/a%20key/%C3%BC%2B", "")
		do(206, "GET", "/bkt/a%20key/%C3%BC%2B", "", "Range", "bytes=0-1")
		do(400, "PUT", "/bkt/md5", "body", "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")
		do(404, "GET", "/bkt/md5", "")
		g.Must(t, 204, "DELETE", "/bkt/sha", nil)
		do(400, "PUT", "/bkt/sha", "body", "X-Amz-Content-Sha256", sigv4.PayloadHash([]byte("other")))
		do(404, "GET", "/bkt/sha", "")
		do(200, "PUT", "/bkt/sha", "body", "X-Amz-Content-Sha256", sigv4.PayloadHash([]byte("body")))
		upload := do(200, "POST", "/bkt/parts?uploads", "").Element("UploadId")
		etag := do(200, "PUT", "/bkt/parts?partNumber=1&uploadId="+url.QueryEscape(upload), "part").Header.Get("Etag")
		do(200, "POST", "/bkt/parts?uploadId="+url.QueryEscape(upload),
			"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>")
		do(200, "GET", "/bkt?prefix=a&max-keys=1&list-type=2", "")
		do(200, "GET", "/bkt/?acl", "")
		do(200, "GET", "/", "")
		do(204, "PUT", "/bkt?tagging=", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>")
		if place == headerV2 {
			do(200, "PUT", "/bkt/copy", "", "x-amz-copy-source", "bkt/parts")
		}
	}
	// A bucket in the host is signed as one in the path.
	r := g.Request(t, "GET", "/bkt/parts", nil)
	gatewaytest.SignV2(r, g.Root, time.Now())
	r.Host, r.URL.Path = "bkt.s3.example.com", "/parts"
	if res := g.Send(t, r); res.Status != 200 || string(res.Body) != "part" {
		t.Errorf("at the bucket's host: %d %s", res.Status, res.Body)
	}
	r.Host = "other.s3.example.com"
	if res := g.Send(t, r); res.Code() != "SignatureDoesNotMatch" {
		t.Errorf("at another bucket's host: %d %s", res.Status, res.Body)
	}
}

// A URL works for the signed request and for no other.
func TestVersion2URLsAreNarrow(t *testing.T) {
	g := startV2(t, gatewaytest.Options{Domains: []string{"s3.example.com"}})
	g.Must(t, 200, "PUT", "/bkt/key", []byte("body"), "X-Amz-Tagging", "a=b")
	g.Must(t, 200, "PUT", "/bkt/secret", []byte("secret"))
	signed := func(method, target string, headers ...string) *http.Request {
		r := g.Request(t, method, target, []byte("new"))
		if method != "PUT" {
			r = g.Request(t, method, target, nil)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		gatewaytest.PresignV2(t, r, g.Root, time.Now().Add(time.Hour))
		return r
	}
	before := snapshot(t, g)
	for name, r := range map[string]*http.Request{
		"GET as HEAD":            edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.Method = "HEAD" }),
		"GET as PUT":             edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.Method = "PUT" }),
		"GET as DELETE":          edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.Method = "DELETE" }),
		"another key":            edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.URL.Path = "/bkt/secret" }),
		"a key in other letters": edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.URL.RawPath, r.URL.Path = "/bkt/k%65y", "/bkt/key" }),
		"the bucket":             edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.URL.Path = "/bkt" }),
		"a host's bucket":        edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.Host = "bkt.s3.example.com" }),
		"a copy source":          edited(signed("PUT", "/bkt/key"), func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "bkt/secret") }),
		"an ACL":                 edited(signed("PUT", "/bkt/key"), func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }),
		"an ACL in the URL":      edited(signed("PUT", "/bkt/key"), func(r *http.Request) { r.URL.RawQuery += "&x-amz-acl=public-read" }),
		"a hoisted header":       edited(signed("PUT", "/bkt/key"), func(r *http.Request) { r.URL.RawQuery += "&X-AMZ-Meta-A=b" }),
		"another hoisted value": edited(signed("PUT", "/bkt/key", "X-Amz-Acl", "private"),
			func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "private", "public-read", 1) }),
		"a content type":          edited(signed("PUT", "/bkt/key"), func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }),
		"a token":                 edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }),
		"an encoded sub-resource": edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.URL.RawQuery += "&%61cl" }),
		"a later end": edited(signed("GET", "/bkt/key"), func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=", "Expires=1", 1)
		}),
		"an end to come": edited(signed("GET", "/bkt/key"), func(r *http.Request) { r.URL.RawQuery += "&Expires=9999999999" }),
	} {
		if res := g.Send(t, r); res.Status != 403 && res.Status != 400 {
			t.Errorf("%s: %d %s", name, res.Status, res.Body)
		}
	}
	// Every parameter that chooses an operation, on every method.
	for _, method := range []string{"GET", "PUT", "DELETE", "POST", "HEAD"} {
		for _, target := range []string{"/bkt", "/bkt/key"} {
			for i := range api.Operations {
				for _, q := range api.Operations[i].Query {
					if q == "list-type=2" || strings.HasPrefix(q, "x-id") || q == "annotationName" {
						continue // they only distinguish listings, or mean nothing alone
					}
					r := edited(signed(method, target), func(r *http.Request) { r.URL.RawQuery += "&" + q })
					if res := g.Send(t, r); res.Status < 400 || res.Status >= 500 {
						t.Errorf("%s %s with %s more: %d %s", method, target, q, res.Status, res.Body)
					}
				}
			}
		}
	}
	wantUnchanged(t, g, before)
}

func edited(r *http.Request, edit func(r *http.Request)) *http.Request {
	edit(r)
	return r
}

// A policy can distinguish versions and places of signatures.
func TestVersion2Conditions(t *testing.T) {
	g, places := startV2(t, gatewaytest.Options{}), map[string]int{"REST-HEADER": headerV2, "REST-QUERY-STRING": urlV2}
	g.Must(t, 200, "PUT", "/bkt/key", []byte("x"))
	user := g.User(t, "user")
	deny := func(condition string) {
		t.Helper()
		statement := `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]}`
		if condition != "" {
			statement += `,{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bkt/*","Condition":` + condition + `}`
		}
		g.Must(t, 204, "PUT", "/bkt?policy", []byte(`{"Version":"2012-10-17","Statement":[`+statement+`]}`))
	}
	for kind, place := range places {
		for condition, denied := range map[string]bool{
			"": false,
			`{"StringEquals":{"s3:signatureversion":"AWS"}}`:                                                                       true,
			`{"StringNotEquals":{"s3:signatureversion":"AWS4-HMAC-SHA256"}}`:                                                       true,
			`{"StringEquals":{"s3:signatureversion":"AWS4-HMAC-SHA256"}}`:                                                          false,
			`{"StringEquals":{"s3:authType":"` + kind + `"}}`:                                                                      true,
			`{"StringNotEquals":{"s3:authType":"` + kind + `"}}`:                                                                   false,
			`{"NumericGreaterThan":{"s3:signatureAge":"0"}}`:                                                                       false,
			`{"NumericEquals":{"s3:signatureAge":"0"}}`:                                                                            true,
			`{"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}}`:                                                      true,
			`{"StringEquals":{"s3:signatureversion":"AWS"},"StringNotEquals":{"s3:authType":["REST-HEADER","REST-QUERY-STRING"]}}`: false,
		} {
			deny(condition)
			if res := doV2(t, g, user, place, "GET", "/bkt/key", nil); (res.Status == 403) != denied {
				t.Errorf("%s, %s: %d %s", kind, condition, res.Status, res.Body)
			}
		}
	}
	for condition, denied := range map[string]bool{
		"": false,
		`{"StringEquals":{"s3:signatureversion":"AWS","s3:authType":"POST","s3:signatureAge":"0"}}`: true,
		`{"StringEquals":{"s3:signatureversion":"AWS4-HMAC-SHA256"}}`:                               false,
	} {
		deny(condition)
		form := browserForm{version2: true, fields: []string{"key", "form"}, file: []byte("x"), filename: "f", expires: time.Hour, cred: user, bucket: "bkt"}
		if res := form.post(t, g, "/bkt"); (res.Status == 403) != denied {
			t.Errorf("a form, %s: %d %s", condition, res.Status, res.Body)
		}
	}
}

// Forms of Version 2 are checked against their policy like others.
func TestVersion2Forms(t *testing.T) {
	g := startV2(t, gatewaytest.Options{})
	form := func() browserForm {
		u := good(g, []byte("file"), "key", "user/${filename}", "x-amz-meta-a", "b")
		u.version2 = true
		return u
	}
	if res := form().post(t, g, "/bkt"); res.Status != 204 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	if res := g.Must(t, 200, "GET", "/bkt/user/photo.jpg", nil); string(res.Body) != "file" || res.Header.Get("X-Amz-Meta-A") != "b" {
		t.Errorf("%q %v", res.Body, res.Header)
	}
	add := func(name, value string) func(*[]string) {
		return func(f *[]string) { *f = append([]string{name, value}, *f...) }
	}
	for name, edit := range map[string]func(u *browserForm){
		"an extra field":     func(u *browserForm) { u.edit = add("acl", "public-read") },
		"expired":            func(u *browserForm) { u.expires = -time.Second },
		"another bucket":     func(u *browserForm) { u.bucket = "other" },
		"no bucket":          func(u *browserForm) { u.bucket = "" },
		"condition not met":  func(u *browserForm) { u.conditions = []any{[]any{"eq", "$key", "else"}} },
		"too large":          func(u *browserForm) { u.conditions = []any{[]any{"content-length-range", 0, 1}} },
		"uncovered":          func(u *browserForm) { u.uncovered = true },
		"both versions":      func(u *browserForm) { u.edit = add("x-amz-signature", "0") },
		"an empty signature": func(u *browserForm) { u.version2 = false; u.edit = add("signature", "") },
		"another signature":  func(u *browserForm) { u.version2 = false; u.edit = add("signature", "x") },
		"a key beside":       func(u *browserForm) { u.version2 = false; u.edit = add("AWSAccessKeyId", g.Root.AccessKey) },
		"another key":        func(u *browserForm) { u.cred.AccessKey = "SGNOBODY" },
		"a token":            func(u *browserForm) { u.fields = append(u.fields, "x-amz-security-token", "t") },
	} {
		u := form()
		edit(&u)
		if res := u.post(t, g, "/bkt"); res.Status != 400 && res.Status != 403 {
			t.Errorf("%s: %d %s", name, res.Status, res.Body)
		}
	}
	if res := g.Must(t, 200, "GET", "/bkt", nil); strings.Count(string(res.Body), "<Key>") != 1 {
		t.Errorf("a refused form stored something: %s", res.Body)
	}
}

// IAM, STS and S3 Control accept Version 2 nowhere, and do not mention a
// setting.
func TestVersion2IsForS3Alone(t *testing.T) {
	g := startV2(t, gatewaytest.Options{})
	h := &household{g: g, alice: g.Root}
	for i := range api.Operations {
		op := &api.Operations[i]
		if op.Scope != api.ControlScope {
			continue
		}
		target, header := h.example(op, false)
		r := g.Request(t, op.Method, target, nil)
		r.Header = header
		gatewaytest.SignV2(r, g.Root, time.Now())
		if res := g.Send(t, r); res.Code() != "InvalidRequest" || strings.Contains(string(res.Body), "signature_v2") {
			t.Errorf("%s: %d %s", op.Name, res.Status, res.Body)
		}
	}
	for _, action := range []string{"ListUsers", "GetCallerIdentity"} {
		body := []byte(url.Values{"Action": {action}}.Encode())
		for _, place := range []int{headerV2, urlV2} {
			res := doV2(t, g, g.Root, place, "POST", "/", body, "Content-Type", "application/x-www-form-urlencoded")
			if res.Status == 200 || res.Status >= 500 || strings.Contains(string(res.Body), "signature_v2") {
				t.Errorf("%s, place %d: %d %s", action, place, res.Status, res.Body)
			}
		}
	}
}

// The log, the metrics and the bucket's access log tell the version of each
// signature.
func TestVersion2IsSeen(t *testing.T) {
	var log bytes.Buffer
	var seen []string
	g := startV2(t, gatewaytest.Options{Log: slog.New(slog.NewJSONHandler(&log, nil)), Observe: func(o api.Observation) { seen = append(seen, o.Signature) }})
	log.Reset()
	seen = nil
	doV2(t, g, g.Root, headerV2, "GET", "/bkt", nil)
	doV2(t, g, g.Root, urlV2, "GET", "/bkt", nil)
	g.Do(t, g.Root, "GET", "/bkt", nil)
	g.Send(t, g.Request(t, "GET", "/bkt", nil))
	form := good(g, []byte("file"), "key", "k")
	form.version2 = true
	form.post(t, g, "/bkt")
	g.Server.Close() // afterwards everything was observed
	want := "[SigV2 SigV2 SigV4  SigV2]"
	if got := fmt.Sprint(seen); got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
	seen = nil
	for line := range bytes.Lines(log.Bytes()) {
		var entry struct{ Msg, Signature string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "request" {
			seen = append(seen, entry.Signature)
		}
	}
	if got := fmt.Sprint(seen); got != want {
		t.Errorf("logged %s, want %s", got, want)
	}
}
