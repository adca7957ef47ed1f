package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// browserForm is a form as a page has it.
type browserForm struct {
	conditions []any // besides those for fields, bucket and signature
	fields     []string
	file       []byte
	filename   string
	expires    time.Duration
	cred       accounts.Credential
	bucket     string // of the policy
	uncovered  bool   // no conditions for the fields
	edit       func(fields *[]string)
	after      string // data after the form
	unsigned   bool
	version2   bool   // the signature is of Version 2
	document   string // the policy verbatim; empty: made of the above
}

// build makes the form's body and content type.
func (u browserForm) build(t testing.TB, g *gatewaytest.Gateway) ([]byte, string) {
	t.Helper()
	now := g.Now().UTC()
	fields := append([]string(nil), u.fields...)
	if !u.unsigned {
		if scope := u.cred.AccessKey + "/" + now.Format("20060102") + "/" + g.Region + "/s3/aws4_request"; !u.version2 {
			fields = append(fields, "x-amz-algorithm", "AWS4-HMAC-SHA256", "x-amz-credential", scope, "x-amz-date", now.Format("20060102T150405Z"))
		}
		conditions := append([]any{}, u.conditions...)
		for i := 0; i < len(fields); i += 2 {
			if !u.uncovered || i >= len(u.fields) {
				conditions = append(conditions, []any{"starts-with", "$" + fields[i], ""})
			}
		}
		if u.bucket != "" {
			conditions = append(conditions, map[string]string{"bucket": u.bucket})
		}
		document, _ := json.Marshal(map[string]any{"expiration": now.Add(u.expires).Format(time.RFC3339), "conditions": conditions})
		if u.document != "" {
			document = []byte(u.document)
		}
		policy := base64.StdEncoding.EncodeToString(document)
		if u.version2 {
			fields = append(fields, "AWSAccessKeyId", u.cred.AccessKey, "policy", policy, "signature", gatewaytest.SignV2Text(u.cred.SecretKey, policy))
		} else {
			fields = append(fields, "policy", policy, "x-amz-signature", signer.PostPresignSignatureV4(policy, now, u.cred.SecretKey, g.Region))
		}
	}
	if u.edit != nil {
		u.edit(&fields)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		w.WriteField(fields[i], fields[i+1])
	}
	if u.file != nil {
		part, _ := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="` + u.filename + `"`}})
		part.Write(u.file)
		w.WriteField("submit", "Upload")
	}
	w.Close()
	b.WriteString(u.after)
	return b.Bytes(), w.FormDataContentType()
}

// post sends the form to a bucket.
func (u browserForm) post(t testing.TB, g *gatewaytest.Gateway, target string, headers ...string) gatewaytest.Response {
	t.Helper()
	body, kind := u.build(t, g)
	r := g.Request(t, "POST", target, body)
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return g.Send(t, r)
}

// good returns a form that is accepted.
func good(g *gatewaytest.Gateway, file []byte, fields ...string) browserForm {
	return browserForm{fields: fields, file: file, filename: "photo.jpg", expires: time.Hour, cred: g.Root, bucket: "bkt"}
}

func TestPostObject(t *testing.T) {
	g := start(t)
	for _, n := range []int{0, 1, 5, 511, 4095, 60000, 65536, 70000, 1<<20 + 7} {
		key, file := fmt.Sprintf("f/%d", n), bytesOf(n)
		res := good(g, file, "key", key, "Content-Type", "image/jpeg", "x-amz-meta-Colour", "red", "Cache-Control", "no-store").post(t, g, "/bkt")
		if res.Status != 204 || res.Header.Get("Location") != g.URL+"/bkt/"+key || res.Header.Get("ETag") == "" {
			t.Fatalf("%d bytes: %d %v %s", n, res.Status, res.Header, res.Body)
		}
		got := g.Must(t, 200, "GET", "/bkt/"+key, nil)
		if !bytes.Equal(got.Body, file) {
			t.Errorf("%d bytes came back as %d", n, len(got.Body))
		}
		expectHeaders(t, key, got, "Content-Type", "image/jpeg", "X-Amz-Meta-Colour", "red", "Cache-Control", "no-store", "ETag", res.Header.Get("ETag"))
	}
}

func TestPostObjectAnswers(t *testing.T) {
	g := start(t)
	res := good(g, []byte("x"), "key", "a b", "success_action_status", "201").post(t, g, "/bkt")
	if res.Status != 201 || res.Element("Key") != "a b" || res.Element("Bucket") != "bkt" ||
		res.Element("Location") != g.URL+"/bkt/a%20b" || res.Element("ETag") == "" {
		t.Errorf("201: %d %s", res.Status, res.Body)
	}
	if res := good(g, []byte("x"), "key", "k", "success_action_status", "200").post(t, g, "/bkt"); res.Status != 200 || len(res.Body) > 0 {
		t.Errorf("200: %d %s", res.Status, res.Body)
	}
	if res := good(g, []byte("x"), "key", "k", "success_action_status", "500").post(t, g, "/bkt"); res.Status != 204 {
		t.Errorf("another status: %d", res.Status)
	}
	res = good(g, []byte("x"), "key", "k", "success_action_redirect", "https://example.com/done?a=b").post(t, g, "/bkt")
	if want := "https://example.com/done?a=b&bucket=bkt&key=k&etag=%229dd4e461268c8034f5c8564e155c67a6%22"; res.Status != 303 ||
		res.Header.Get("Location") != want {
		t.Errorf("redirect: %d %s", res.Status, res.Header.Get("Location"))
	}
	if res := good(g, []byte("x"), "key", "k", "success_action_redirect", "javascript:alert(1)").post(t, g, "/bkt"); res.Status != 204 {
		t.Errorf("redirect to a script: %d %s", res.Status, res.Header.Get("Location"))
	}
	for filename, key := range map[string]string{"photo.jpg": "up/photo.jpg", `C:\\pictures\\é.png`: "up/é.png", "/home/u/x": "up/x"} {
		u := good(g, []byte("x"), "key", "up/${filename}", "success_action_status", "201")
		u.filename = filename
		if res := u.post(t, g, "/bkt"); res.Element("Key") != key {
			t.Errorf("%s: %s", filename, res.Body)
		}
	}
	// Data after the form, and fields without meaning, have no effect.
	u := good(g, []byte("x"), "key", "k", "note", "n")
	u.after = "and more"
	body, kind := u.build(t, g)
	short := g.Request(t, "POST", "/bkt", bytes.TrimSuffix(body, []byte("\r\nand more")))
	short.Header.Set("Content-Type", kind)
	if res := g.Send(t, short); res.Status != 204 {
		t.Errorf("without a line end: %d %s", res.Status, res.Body)
	}
	if res := u.post(t, g, "/bkt?x-amz-acl=public-read", "X-Amz-Storage-Class", "STANDARD_IA"); res.Status != 204 {
		t.Errorf("trailing text: %d %s", res.Status, res.Body)
	}
	if class := g.Must(t, 200, "HEAD", "/bkt/k", nil).Header.Get("X-Amz-Storage-Class"); class != "" {
		t.Errorf("an unsigned header counted: %s", class)
	}
}

func TestPostObjectRefused(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/other", nil)
	mallory := g.User(t, "mallory")
	file := []byte("0123456789")
	set := func(name, value string) func(*[]string) {
		return func(fields *[]string) {
			for i := 0; i < len(*fields); i += 2 {
				if strings.EqualFold((*fields)[i], name) {
					(*fields)[i+1] = value
					return
				}
			}
			*fields = append([]string{name, value}, *fields...)
		}
	}
	drop := func(name string) func(*[]string) {
		return func(fields *[]string) {
			for i := 0; i < len(*fields); i += 2 {
				if (*fields)[i] == name {
					*fields = append((*fields)[:i:i], (*fields)[i+2:]...)
					return
				}
			}
		}
	}
	for name, test := range map[string]struct {
		change func(u *browserForm)
		target string
		status int
		code   string
		text   string
	}{
		"no key":        {func(u *browserForm) { u.fields = nil }, "", 400, "InvalidArgument", "field named 'key'"},
		"empty key":     {func(u *browserForm) { u.fields[1] = "" }, "", 400, "UserKeyMustBeSpecified", ""},
		"long key":      {func(u *browserForm) { u.fields[1] = strings.Repeat("k", 1025) }, "", 400, "KeyTooLongError", ""},
		"no file":       {func(u *browserForm) { u.file = nil }, "", 400, "InvalidArgument", "exactly one file"},
		"anonymous":     {func(u *browserForm) { u.unsigned = true }, "", 403, "AccessDenied", ""},
		"no signature":  {func(u *browserForm) { u.edit = drop("x-amz-signature") }, "", 400, "InvalidArgument", "x-amz-signature"},
		"no policy":     {func(u *browserForm) { u.edit = drop("policy") }, "", 400, "InvalidArgument", "policy"},
		"empty policy":  {func(u *browserForm) { u.edit = set("policy", "") }, "", 400, "InvalidPolicyDocument", "End-of-Input"},
		"bad signature": {func(u *browserForm) { u.edit = set("x-amz-signature", strings.Repeat("0", 64)) }, "", 403, "SignatureDoesNotMatch", ""},
		"another policy": {func(u *browserForm) { u.edit = set("policy", base64.StdEncoding.EncodeToString([]byte("{}"))) }, "", 403,
			"SignatureDoesNotMatch", ""},
		"unknown key":            {func(u *browserForm) { u.cred.AccessKey = "SGNOBODY" }, "", 403, "InvalidAccessKeyId", ""},
		"version 2":              {func(u *browserForm) { u.edit = set("AWSAccessKeyId", "AKIA") }, "", 400, "InvalidRequest", "AWS4-HMAC-SHA256"},
		"whose bucket it is not": {func(u *browserForm) { u.cred = mallory }, "", 403, "AccessDenied", ""},
		"expired":                {func(u *browserForm) { u.expires = -time.Second }, "", 403, "AccessDenied", "Policy expired"},
		"another bucket":         {func(u *browserForm) {}, "/other", 403, "AccessDenied", "Policy Condition failed"},
		"another, in a field":    {func(u *browserForm) { u.edit = set("bucket", "bkt") }, "/other", 403, "AccessDenied", "Policy Condition failed"},
		"no bucket condition":    {func(u *browserForm) { u.bucket = "" }, "", 403, "AccessDenied", "Extra input fields: bucket"},
		"extra field":            {func(u *browserForm) { u.edit = set("acl", "private") }, "", 403, "AccessDenied", "Extra input fields: acl"},
		"extra metadata":         {func(u *browserForm) { u.edit = set("x-amz-meta-a", "b") }, "", 403, "AccessDenied", "Extra input fields: x-amz-meta-a"},
		"condition not met":      {func(u *browserForm) { u.conditions = []any{[]any{"eq", "$key", "else"}} }, "", 403, "AccessDenied", `["eq", "$key", "else"]`},
		"prefix not met":         {func(u *browserForm) { u.conditions = []any{[]any{"starts-with", "$key", "user/"}} }, "", 403, "AccessDenied", "starts-with"},
		"field not there":        {func(u *browserForm) { u.conditions = []any{[]any{"starts-with", "$Content-Type", ""}} }, "", 403, "AccessDenied", "Content-Type"},
		"too large":              {func(u *browserForm) { u.conditions = []any{[]any{"content-length-range", 0, 9}} }, "", 400, "EntityTooLarge", "9"},
		"too small":              {func(u *browserForm) { u.conditions = []any{[]any{"content-length-range", 11, 90}} }, "", 400, "EntityTooSmall", "11"},
		"repeated field":         {func(u *browserForm) { u.edit = func(f *[]string) { *f = append(*f, "KEY", "x") } }, "", 400, "InvalidArgument", "more than once"},
		"large fields": {func(u *browserForm) { u.edit = set("x-ignore-a", strings.Repeat("a", 21<<10)) }, "", 400,
			"MaxPostPreDataLengthExceededError", ""},
		"larger fields": {func(u *browserForm) { u.edit = set("x-ignore-a", strings.Repeat("a", 1<<20)) }, "", 400, "MaxPostPreDataLengthExceededError", ""},
		"many fields": {func(u *browserForm) {
			u.edit = func(f *[]string) {
				for i := range 200 {
					*f = append([]string{fmt.Sprint("x-ignore-", i), ""}, *f...)
				}
			}
		}, "", 400, "MaxPostPreDataLengthExceededError", ""},
		"a copy source":    {func(u *browserForm) { u.fields = append(u.fields, "x-amz-copy-source", "other/x") }, "", 400, "InvalidArgument", "x-amz-copy-source"},
		"line in a header": {func(u *browserForm) { u.fields = append(u.fields, "Content-Type", "a\r\nb: c") }, "", 400, "InvalidArgument", ""},
		"bad tags":         {func(u *browserForm) { u.fields = append(u.fields, "tagging", "a=b") }, "", 400, "MalformedXML", ""},
		"bad checksum":     {func(u *browserForm) { u.fields = append(u.fields, "x-amz-checksum-crc32", "AAAAAA==") }, "", 400, "BadDigest", ""},
		"bad redirect": {func(u *browserForm) { u.fields = append(u.fields, "x-amz-website-redirect-location", "ftp://x") }, "", 400,
			"InvalidRedirectLocation", ""},
		"no such bucket": {func(u *browserForm) { u.bucket = "none" }, "/none", 404, "NoSuchBucket", ""},
		"nearly a border": {func(u *browserForm) {
			u.file, u.conditions = []byte("x\r\n--no border"), []any{[]any{"content-length-range", 0, 3}}
		}, "", 400, "EntityTooLarge", ""},
	} {
		u := good(g, file, "key", "k")
		test.change(&u)
		target := test.target
		if target == "" {
			target = "/bkt"
		}
		res := u.post(t, g, target)
		if res.Status != test.status || res.Code() != test.code || !strings.Contains(string(res.Body), test.text) {
			t.Errorf("%s: %d %s", name, res.Status, res.Body)
		}
	}
	for name, send := range map[string]struct {
		kind, body, code string
		status           int
	}{
		"no form":     {"application/json", "{}", "PreconditionFailed", 412},
		"no boundary": {"multipart/form-data", "x", "MalformedPOSTRequest", 400},
		"nothing":     {"multipart/form-data; boundary=b", "", "MalformedPOSTRequest", 400},
		"cut off":     {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk", "MalformedPOSTRequest", 400},
		"no name":     {"multipart/form-data; boundary=b", "--b\r\n\r\nk\r\n--b--", "MalformedPOSTRequest", 400},
		"file unnamed": {"multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=\"\"; filename=\"f\"\r\n\r\n" + strings.Repeat("k", 33<<10) + "\r\n--b--", "MalformedPOSTRequest", 400},
		"other borders": {"multipart/form-data; boundary=b", "--c\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--c--", "MalformedPOSTRequest", 400},
	} {
		r := g.Request(t, "POST", "/bkt", []byte(send.body))
		r.Header.Set("Content-Type", send.kind)
		expect(t, name, g.Send(t, r), send.status, send.code)
	}
	// A signature in the header does not authorize a form.
	body, kind := good(g, file, "key", "k").build(t, g)
	expect(t, "signed header", g.Do(t, g.Root, "POST", "/bkt", body, "Content-Type", kind), 400, "InvalidRequest")
	for _, bucket := range []string{"/bkt", "/other"} {
		if res := g.Must(t, 200, "GET", bucket, nil); res.Element("Key") != "" {
			t.Errorf("%s has objects: %s", bucket, res.Body)
		}
	}
}

// A form that ends early, or has a second file, leaves no object.
func TestPostObjectCutShort(t *testing.T) {
	g := start(t)
	body, kind := good(g, bytesOf(200000), "key", "k").build(t, g)
	for _, cut := range []int{250, 1000, 100000, 199999} {
		r := g.Request(t, "POST", "/bkt", body[:len(body)-cut])
		r.Header.Set("Content-Type", kind)
		expect(t, fmt.Sprint(cut, " bytes short"), g.Send(t, r), 400, "MalformedPOSTRequest")
	}
	second := bytes.Replace(body, []byte(`name="submit"`), []byte(`name="file"; filename="b"`), 1)
	r := g.Request(t, "POST", "/bkt", second)
	r.Header.Set("Content-Type", kind)
	expect(t, "two files", g.Send(t, r), 400, "InvalidArgument")
	expect(t, "the object", g.Do(t, g.Root, "HEAD", "/bkt/k", nil), 404, "")
}
