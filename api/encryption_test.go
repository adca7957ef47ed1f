package api_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

const (
	sseC       = "X-Amz-Server-Side-Encryption-Customer-"
	sourceSSEC = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"
	sse        = "X-Amz-Server-Side-Encryption"
)

// customer returns the headers of SSE-C with a key of one repeated byte.
func customer(b byte, prefix ...string) []string {
	p := sseC
	if len(prefix) > 0 {
		p = prefix[0]
	}
	key := bytes.Repeat([]byte{b}, 32)
	digest := weakhash.MD5(key)
	encode := base64.StdEncoding.EncodeToString
	return []string{p + "Algorithm", "AES256", p + "Key", encode(key), p + "Key-Md5", encode(digest[:])}
}

// secured runs a gateway over TLS with a bucket, bkt.
func secured(t testing.TB) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, TLS: true})
	g.Must(t, 200, "PUT", "/bkt", nil)
	return g
}

func TestCustomerKeyReads(t *testing.T) {
	g := secured(t)
	body := bytesOf(200_000)
	res := g.Must(t, 200, "PUT", "/bkt/k", body, customer('a')...)
	shown := []string{sseC + "Algorithm", "AES256", sseC + "Key-Md5", customer('a')[5], sse, "", sseC + "Key", ""}
	expectHeaders(t, "PUT", res, shown...)
	if tag := res.Header.Get("ETag"); tag == fmt.Sprintf(`"%x"`, weakhash.MD5(body)) || !strings.HasSuffix(tag, `-1"`) {
		t.Errorf("the ETag %s is the bytes' MD5", tag)
	}
	g.Must(t, 200, "PUT", "/bkt/plain", body)
	for _, method := range []string{"GET", "HEAD"} {
		res := g.Must(t, 200, method, "/bkt/k", nil, customer('a')...)
		expectHeaders(t, method, res, shown...)
		if method == "GET" && !bytes.Equal(res.Body, body) {
			t.Error("other bytes")
		}
		for what, c := range map[string]struct {
			target  string
			status  int
			headers []string
		}{
			"no key":                  {"/bkt/k", 400, nil},
			"another key":             {"/bkt/k", 403, customer('b')},
			"a key that is not asked": {"/bkt/plain", 400, customer('a')},
			"no such object":          {"/bkt/none", 404, customer('a')},
		} {
			if res := g.Do(t, g.Root, method, c.target, nil, c.headers...); res.Status != c.status {
				t.Errorf("%s %s: %d, want %d", method, what, res.Status, c.status)
			}
		}
	}
	expect(t, "no key", g.Do(t, g.Root, "GET", "/bkt/k", nil), 400, "InvalidRequest")
	expect(t, "another key", g.Do(t, g.Root, "GET", "/bkt/k", nil, customer('b')...), 403, "AccessDenied")
	part := g.Must(t, 206, "GET", "/bkt/k", nil, append(customer('a'), "Range", "bytes=70000-70009")...)
	if !bytes.Equal(part.Body, body[70000:70010]) {
		t.Error("a range has other bytes")
	}
	g.Must(t, 200, "GET", "/bkt/k?attributes", nil, append(customer('a'), "X-Amz-Object-Attributes", "ETag,ObjectSize")...)
	expect(t, "attributes", g.Do(t, g.Root, "GET", "/bkt/k?attributes", nil, "X-Amz-Object-Attributes", "ETag"), 400, "InvalidRequest")

	// Requests that need no key work without one.
	g.Must(t, 200, "PUT", "/bkt/k?tagging", tagDocument("a", "1"))
	if got := tagsOf(t, g, "/bkt/k"); got != "a=1" {
		t.Errorf("tags %q", got)
	}
	expect(t, "If-None-Match", g.Do(t, g.Root, "PUT", "/bkt/k", body, "If-None-Match", "*"), 412, "PreconditionFailed")
	if list := g.Must(t, 200, "GET", "/bkt?list-type=2&prefix=k", nil); list.Element("Key") != "k" {
		t.Errorf("list: %s", list.Body)
	}
	g.Must(t, 204, "DELETE", "/bkt/k", nil)
	if n := liveBlobs(t, g); n != 1 { // plain
		t.Errorf("%d blobs are left", n)
	}
}

func TestCustomerKeyRefusals(t *testing.T) {
	g := secured(t)
	with := func(i int, value string) []string {
		h := customer('a')
		h[i] = value
		return h
	}
	all := customer('a')
	encode := base64.StdEncoding.EncodeToString
	for what, c := range map[string]struct {
		code    string
		headers []string
	}{
		"algorithm alone":  {"InvalidArgument", all[:2]},
		"key alone":        {"InvalidArgument", all[2:4]},
		"no digest":        {"InvalidArgument", all[:4]},
		"no key":           {"InvalidArgument", append(all[:2:2], all[4:]...)},
		"other algorithm":  {"InvalidEncryptionAlgorithmError", with(1, "AES128")},
		"short key":        {"InvalidArgument", with(3, encode(make([]byte, 31)))},
		"no base64":        {"InvalidArgument", with(3, "*")},
		"another's digest": {"InvalidArgument", with(5, customer('b')[5])},
		"with SSE-S3":      {"InvalidArgument", append(customer('a'), sse, "AES256")},
		"with SSE-KMS":     {"InvalidArgument", append(customer('a'), sse, "aws:kms")},
	} {
		res := g.Do(t, g.Root, "PUT", "/bkt/k", []byte("x"), c.headers...)
		expect(t, what, res, 400, c.code)
		if bytes.Contains(res.Body, []byte(all[3])) {
			t.Errorf("%s: the key is in the answer", what)
		}
	}
	plain := start(t)
	for _, headers := range [][]string{customer('a'), append(customer('a'), "X-Forwarded-Proto", "https")} {
		res := plain.Do(t, plain.Root, "PUT", "/bkt/k", []byte("x"), headers...)
		expect(t, "plain HTTP", res, 400, "InvalidRequest")
		expect(t, "plain HTTP", plain.Do(t, plain.Root, "GET", "/bkt/k", nil, headers...), 400, "InvalidRequest")
	}
}

// A configured proxy may say that its client came over TLS.
func TestForwardedProtocol(t *testing.T) {
	for from, allowed := range map[string]bool{"127.0.0.0/8": true, "::1/128": false} {
		g := gatewaytest.Start(t, gatewaytest.Options{Proxies: []netip.Prefix{netip.MustParsePrefix(from)}})
		g.Must(t, 200, "PUT", "/bkt", nil)
		for said, secure := range map[string]bool{"https": true, "http, https": true, "HTTPS": true, "https, http": false, "http": false, "": false} {
			want := http.StatusBadRequest
			if allowed && secure {
				want = http.StatusOK
			}
			if res := g.Do(t, g.Root, "PUT", "/bkt/k", []byte("x"), append(customer('a'), "X-Forwarded-Proto", said)...); res.Status != want {
				t.Errorf("%q from %s: %d, want %d", said, from, res.Status, want)
			}
		}
	}
}

func TestCustomerKeyCopies(t *testing.T) {
	g := secured(t)
	body := bytesOf(100_000)
	g.Must(t, 200, "PUT", "/bkt/a", body, customer('a')...)
	g.Must(t, 200, "PUT", "/bkt/plain", body)
	before := liveBlobs(t, g)
	for target, c := range map[string]struct {
		source  string
		headers []string
		read    []string
	}{
		"/bkt/ab": {"/bkt/a", append(customer('a', sourceSSEC), customer('b')...), customer('b')},
		"/bkt/ap": {"/bkt/a", customer('a', sourceSSEC), nil},
		"/bkt/pb": {"/bkt/plain", customer('b'), customer('b')},
	} {
		res := g.Must(t, 200, "PUT", target, nil, append(c.headers, "X-Amz-Copy-Source", c.source)...)
		if (c.read != nil) != (res.Header.Get(sseC+"Algorithm") != "") || (c.read == nil) != (res.Header.Get(sse) == "AES256") {
			t.Errorf("%s is shown as %v", target, res.Header)
		}
		if got := g.Must(t, 200, "GET", target, nil, c.read...); !bytes.Equal(got.Body, body) {
			t.Errorf("%s: other bytes", target)
		}
		if c.read != nil {
			expect(t, target, g.Do(t, g.Root, "GET", target, nil), 400, "InvalidRequest")
			expect(t, target, g.Do(t, g.Root, "GET", target, nil, customer('a')...), 403, "AccessDenied")
		}
	}
	if after := liveBlobs(t, g); after != before {
		t.Errorf("copies moved bytes: %d blobs, then %d", before, after)
	}
	copyOf := func(source string, headers ...string) gatewaytest.Response {
		return g.Do(t, g.Root, "PUT", "/bkt/x", nil, append(headers, "X-Amz-Copy-Source", source)...)
	}
	expect(t, "without", copyOf("/bkt/a"), 400, "InvalidRequest")
	expect(t, "wrong", copyOf("/bkt/a", customer('b', sourceSSEC)...), 403, "AccessDenied")
	expect(t, "not asked", copyOf("/bkt/plain", customer('b', sourceSSEC)...), 400, "InvalidRequest")
	// The key of an object changes when it is copied to itself.
	g.Must(t, 200, "PUT", "/bkt/a", nil, append(append(customer('a', sourceSSEC), customer('c')...), "X-Amz-Copy-Source", "/bkt/a")...)
	expect(t, "old key", g.Do(t, g.Root, "GET", "/bkt/a", nil, customer('a')...), 403, "AccessDenied")
	g.Must(t, 200, "GET", "/bkt/a", nil, customer('c')...)
}

func TestCustomerKeyUploads(t *testing.T) {
	g := secured(t)
	key := customer('a')
	first, second := bytesOf(5<<20), bytesOf(1000)
	res := g.Must(t, 200, "POST", "/bkt/k?uploads", nil, key...)
	expectHeaders(t, "create", res, sseC+"Algorithm", "AES256", sseC+"Key-Md5", key[5], sse, "")
	id := res.Element("UploadId")
	target := fmt.Sprintf("/bkt/k?partNumber=%d&uploadId=%s", 1, id)
	expect(t, "without", g.Do(t, g.Root, "PUT", target, second), 400, "InvalidRequest")
	expect(t, "another", g.Do(t, g.Root, "PUT", target, second, customer('b')...), 400, "InvalidRequest")
	expect(t, "with SSE-S3", g.Do(t, g.Root, "PUT", target, second, sse, "AES256"), 400, "InvalidArgument")
	one := sendPart(t, g, "/bkt/k", id, 1, first, key...)
	g.Must(t, 200, "PUT", "/bkt/source", second, customer('s')...)
	copied := g.Must(t, 200, "PUT", fmt.Sprintf("/bkt/k?partNumber=2&uploadId=%s", id), nil,
		append(append(customer('s', sourceSSEC), key...), "X-Amz-Copy-Source", "/bkt/source")...)
	two := strings.ReplaceAll(copied.Element("ETag"), "&quot;", "")
	if digest := weakhash.MD5(first); strings.Contains(one, fmt.Sprintf("%x", digest)) {
		t.Error("a part's ETag is the MD5 of its bytes")
	}
	// Parts and uploads are listed without the key, with the ETags to complete by.
	list := g.Must(t, 200, "GET", "/bkt/k?uploadId="+id, nil)
	if !bytes.Contains(list.Body, []byte(two)) || !bytes.Contains(list.Body, []byte(strings.Trim(one, `"`))) {
		t.Errorf("parts: %s", list.Body)
	}
	const listed = "<ChecksumCRC64NVME>"
	if with := g.Must(t, 200, "GET", "/bkt/k?uploadId="+id, nil, key...); bytes.Contains(list.Body, []byte(listed)) ||
		!bytes.Contains(with.Body, []byte(listed+sum(engine.CRC64NVME, first)+"<")) || bytes.Count(with.Body, []byte(listed)) != 2 {
		t.Errorf("parts with the key: %s", with.Body)
	}
	expect(t, "parts with another", g.Do(t, g.Root, "GET", "/bkt/k?uploadId="+id, nil, customer('b')...), 400, "InvalidRequest")
	if uploads := g.Must(t, 200, "GET", "/bkt?uploads", nil); uploads.Element("UploadId") != id {
		t.Errorf("uploads: %s", uploads.Body)
	}
	doc := completeDocument(part(1, one), part(2, two))
	expect(t, "without", g.Do(t, g.Root, "POST", "/bkt/k?uploadId="+id, doc, "X-Amz-Checksum-Type", "FULL_OBJECT"), 400, "InvalidRequest")
	expect(t, "another", g.Do(t, g.Root, "POST", "/bkt/k?uploadId="+id, doc, customer('b')...), 400, "InvalidRequest")
	for range 2 { // again, like a client that lost the answer
		res := g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, doc, key...)
		expectHeaders(t, "complete", res, sseC+"Algorithm", "AES256", sse, "")
	}
	want := append(bytes.Clone(first), second...)
	if got := g.Must(t, 200, "GET", "/bkt/k", nil, key...); !bytes.Equal(got.Body, want) {
		t.Error("other bytes")
	}
	g.Must(t, 206, "GET", "/bkt/k?partNumber=2", nil, key...)
	expect(t, "no key", g.Do(t, g.Root, "GET", "/bkt/k", nil), 400, "InvalidRequest")

	// Without a checksum, an upload is completed without the key; the object is
	// still sealed with it.
	id = g.Must(t, 200, "POST", "/bkt/completed?uploads", nil, key...).Element("UploadId")
	doc = completeDocument(part(1, sendPart(t, g, "/bkt/completed", id, 1, first, key...)))
	for range 2 {
		res := g.Must(t, 200, "POST", "/bkt/completed?uploadId="+id, doc)
		expectHeaders(t, "complete without", res, sseC+"Algorithm", "AES256", sse, "")
	}
	if got := g.Must(t, 200, "GET", "/bkt/completed", nil, key...); !bytes.Equal(got.Body, first) {
		t.Error("other bytes")
	}
	expect(t, "no key", g.Do(t, g.Root, "GET", "/bkt/completed", nil), 400, "InvalidRequest")
	expect(t, "no key", g.Do(t, g.Root, "HEAD", "/bkt/completed", nil), 400, "")
	expect(t, "another", g.Do(t, g.Root, "GET", "/bkt/completed", nil, customer('b')...), 403, "AccessDenied")

	// A part of an upload without a key is not sealed with one.
	id = newUpload(t, g, "/bkt/plain")
	expect(t, "not asked to list", g.Do(t, g.Root, "GET", "/bkt/plain?uploadId="+id, nil, key...), 400, "InvalidRequest")
	expect(t, "not asked", g.Do(t, g.Root, "PUT", "/bkt/plain?partNumber=1&uploadId="+id, second, key...), 400, "InvalidRequest")
}

// Without the customers' keys, fsck reports only that it could not check these
// objects.
func TestFsckCountsCustomers(t *testing.T) {
	g := secured(t)
	g.Must(t, 200, "PUT", "/bkt/a", bytesOf(100_000), customer('a')...)
	g.Must(t, 200, "PUT", "/bkt/empty", nil, customer('a')...)
	g.Must(t, 200, "PUT", "/bkt/plain", bytesOf(10))
	for _, deep := range []bool{false, true} {
		report, err := fsck.Run(t.Context(), g.Engine, fsck.Options{Deep: deep})
		if err != nil || !report.Clean() || report.Objects != 3 || report.Customer != 2 {
			t.Errorf("deep %v: %+v, %v", deep, report, err)
		}
	}
}

func kmsARN(g *gatewaytest.Gateway) string {
	return "arn:aws:kms:us-east-1:" + accounts.Account(g.Engine.Accounts().Root().ID) + ":key/keyring"
}

func TestKMS(t *testing.T) {
	g := start(t)
	arn := kmsARN(g)
	for _, id := range []string{"", "keyring", "alias/keyring", "alias/aws/s3", arn, strings.Replace(arn, "key/", "alias/", 1)} {
		headers := []string{sse, "aws:kms"}
		if id != "" {
			headers = append(headers, sse+"-Aws-Kms-Key-Id", id)
		}
		for _, res := range []gatewaytest.Response{
			g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), headers...), g.Must(t, 200, "GET", "/bkt/k", nil), g.Must(t, 200, "HEAD", "/bkt/k", nil),
		} {
			expectHeaders(t, id, res, sse, "aws:kms", sse+"-Aws-Kms-Key-Id", arn, sse+"-Bucket-Key-Enabled", "")
		}
	}
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), sse, "aws:kms", sse+"-Bucket-Key-Enabled", "true", sse+"-Context", "eyJhIjoiYiJ9")
	expectHeaders(t, "bucket key", g.Must(t, 200, "HEAD", "/bkt/k", nil), sse+"-Bucket-Key-Enabled", "true")
	for what, c := range map[string]struct {
		code    string
		headers []string
	}{
		"unknown key":          {"KMS.NotFoundException", []string{sse, "aws:kms", sse + "-Aws-Kms-Key-Id", "other"}},
		"another account's":    {"KMS.NotFoundException", []string{sse, "aws:kms", sse + "-Aws-Kms-Key-Id", "arn:aws:kms:us-east-1:123456789012:key/keyring"}},
		"another region's":     {"KMS.NotFoundException", []string{sse, "aws:kms", sse + "-Aws-Kms-Key-Id", strings.Replace(arn, "us-east-1", "eu-west-1", 1)}},
		"key without KMS":      {"InvalidArgument", []string{sse + "-Aws-Kms-Key-Id", arn}},
		"key with AES":         {"InvalidArgument", []string{sse, "AES256", sse + "-Aws-Kms-Key-Id", arn}},
		"context without KMS":  {"InvalidArgument", []string{sse + "-Context", "e30="}},
		"context is no base64": {"InvalidArgument", []string{sse, "aws:kms", sse + "-Context", "{}"}},
		"context is no object": {"InvalidArgument", []string{sse, "aws:kms", sse + "-Context", "W10="}},
		"bucket key":           {"InvalidArgument", []string{sse, "aws:kms", sse + "-Bucket-Key-Enabled", "yes"}},
		"method":               {"InvalidArgument", []string{sse, "AES257"}},
	} {
		expect(t, what, g.Do(t, g.Root, "PUT", "/bkt/k", []byte("y"), c.headers...), 400, c.code)
	}
	expect(t, "two layers", g.Do(t, g.Root, "PUT", "/bkt/k", []byte("y"), sse, "aws:kms:dsse"), 501, "NotImplemented")

	// A copy has the encryption that the request asks for, not its source's.
	g.Must(t, 200, "PUT", "/bkt/copy", nil, "X-Amz-Copy-Source", "/bkt/k")
	expectHeaders(t, "copy", g.Must(t, 200, "HEAD", "/bkt/copy", nil), sse, "AES256", sse+"-Aws-Kms-Key-Id", "")
	id := newUpload(t, g, "/bkt/up", sse, "aws:kms")
	res := g.Must(t, 200, "PUT", "/bkt/up?partNumber=1&uploadId="+id, []byte("x"))
	expectHeaders(t, "part", res, sse, "aws:kms", sse+"-Aws-Kms-Key-Id", arn)
	res = g.Must(t, 200, "POST", "/bkt/up?uploadId="+id, completeDocument(part(1, res.Header.Get("ETag"))))
	expectHeaders(t, "complete", res, sse, "aws:kms", sse+"-Aws-Kms-Key-Id", arn)
}

func encryptionDocument(rule string) []byte {
	return []byte("<ServerSideEncryptionConfiguration><Rule>" + rule + "</Rule></ServerSideEncryptionConfiguration>")
}

func byDefault(algorithm, key string) string {
	if key != "" {
		key = "<KMSMasterKeyID>" + key + "</KMSMasterKeyID>"
	}
	return "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm + "</SSEAlgorithm>" + key + "</ApplyServerSideEncryptionByDefault>"
}

func TestBucketEncryption(t *testing.T) {
	g := secured(t)
	arn := kmsARN(g)
	show := func() (string, string, string) {
		res := g.Must(t, 200, "GET", "/bkt?encryption", nil)
		return res.Element("SSEAlgorithm"), res.Element("KMSMasterKeyID"), res.Element("BucketKeyEnabled")
	}
	if a, k, b := show(); a != "AES256" || k != "" || b != "false" {
		t.Error("unconfigured: ", a, k, b)
	}
	g.Must(t, 200, "PUT", "/bkt?encryption", encryptionDocument(byDefault("aws:kms", "keyring")+"<BucketKeyEnabled>true</BucketKeyEnabled>"))
	if a, k, b := show(); a != "aws:kms" || k != arn || b != "true" {
		t.Error("configured: ", a, k, b)
	}
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"))
	expectHeaders(t, "default", g.Must(t, 200, "HEAD", "/bkt/k", nil), sse, "aws:kms", sse+"-Aws-Kms-Key-Id", arn, sse+"-Bucket-Key-Enabled", "true")
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), sse, "AES256")
	expectHeaders(t, "said", g.Must(t, 200, "HEAD", "/bkt/k", nil), sse, "AES256")
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), customer('a')...)
	g.Must(t, 204, "DELETE", "/bkt?encryption", nil)
	if a, k, b := show(); a != "AES256" || k != "" || b != "false" {
		t.Error("deleted: ", a, k, b)
	}
	g.Must(t, 200, "PUT", "/bkt?encryption",
		encryptionDocument(byDefault("AES256", "")+"<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"))
	expect(t, "blocked", g.Do(t, g.Root, "PUT", "/bkt/k", []byte("x"), customer('a')...), 403, "AccessDenied")
	g.Must(t, 200, "GET", "/bkt/k", nil, customer('a')...)
	for doc, status := range map[string]int{
		string(encryptionDocument("")):                                            400,
		string(encryptionDocument(byDefault("AES512", ""))):                       400,
		string(encryptionDocument(byDefault("AES256", "keyring"))):                400,
		string(encryptionDocument(byDefault("aws:kms", "other"))):                 400,
		string(encryptionDocument(byDefault("aws:kms:dsse", ""))):                 501,
		"<ServerSideEncryptionConfiguration></ServerSideEncryptionConfiguration>": 400,
	} {
		if res := g.Do(t, g.Root, "PUT", "/bkt?encryption", []byte(doc)); res.Status != status {
			t.Errorf("%s: %d %s", doc, res.Status, res.Body)
		}
	}
}
