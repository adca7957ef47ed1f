package api_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/weakhash"
)

// raw sends bytes over a connection of its own and reads one answer.
func raw(t *testing.T, g *gatewaytest.Gateway, request string) (*http.Response, net.Conn) {
	t.Helper()
	conn, err := net.Dial("tcp", g.Server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	return res, conn
}

func TestRawTargets(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Domains: []string{"s3.example.com"}})
	for _, c := range []struct {
		line, host, code string
		status           int
	}{
		{"GET http://elsewhere/b/k HTTP/1.1", "h", "NoSuchBucket", 404},
		{"GET /b/%FF HTTP/1.1", "h", "InvalidURI", 400},
		{"GET //k HTTP/1.1", "h", "InvalidBucketName", 400},
		{"GET /b/" + strings.Repeat("k", 1025) + " HTTP/1.1", "h", "KeyTooLongError", 400},
		{"GET /b/" + strings.Repeat("k", 9000) + " HTTP/1.1", "h", "URITooLong", 414},
		{"GET /b/k?%zz HTTP/1.1", "h", "InvalidURI", 400},
		{"GET /b/k?" + strings.Repeat("a&", 200) + " HTTP/1.1", "h", "InvalidArgument", 400},
		{"PATCH /b/k HTTP/1.1", "h", "MethodNotAllowed", 405},
		{"PUT /b/k?acl&tagging HTTP/1.1", "h", "InvalidArgument", 400},
		{"GET /b/../c HTTP/1.1", "h", "InvalidURI", 400},
		{"GET /b/a/../c HTTP/1.1", "h", "NoSuchBucket", 404}, // an ordinary key
		{"GET / HTTP/1.1", "b.s3.example.com", "NoSuchBucket", 404},
		{"GET / HTTP/1.1", "h\r\nX-Amz-Date: a", "AccessDenied", 403},
	} {
		res, _ := raw(t, g, c.line+"\r\nHost: "+c.host+"\r\n\r\n")
		body, _ := io.ReadAll(res.Body)
		code := gatewaytest.Response{Body: body}.Code()
		if res.StatusCode != c.status || code != c.code {
			t.Errorf("%.60s: %d %s, want %d %s", c.line, res.StatusCode, code, c.status, c.code)
		}
		if id := res.Header.Get("X-Amz-Request-Id"); !regexp.MustCompile(`^[0-9A-F]{16}$`).MatchString(id) || !bytes.Contains(body, []byte(id)) {
			t.Errorf("%.60s: request id %q, document %s", c.line, id, body)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Amz-Id-2") == "" || res.Header.Get("Server") != "" {
			t.Errorf("%.60s: header %v", c.line, res.Header)
		}
	}
}

// signedHead returns the head of a signed PUT that expects 100 Continue.
func signedHead(t *testing.T, g *gatewaytest.Gateway, target string, body []byte) string {
	t.Helper()
	r := g.Request(t, "PUT", target, body)
	g.Sign(t, r, g.Root, body)
	r.Header.Set("Expect", "100-continue")
	var head bytes.Buffer
	fmt.Fprintf(&head, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", target, r.URL.Host, len(body))
	r.Header.Write(&head)
	head.WriteString("\r\n")
	return head.String()
}

// A client that expects 100 and gets a final status does not know where the
// next answer on the connection begins.
func TestFinalAnswersInsteadOfContinueCloseTheConnection(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	for what, head := range map[string]string{
		"no body":          signedHead(t, g, "/bucket/empty", nil),
		"no body, refused": signedHead(t, g, "/absent/empty", nil),
		"body, refused":    signedHead(t, g, "/absent/key", []byte("hello")),
	} {
		if res, _ := raw(t, g, head); res.StatusCode == http.StatusContinue || !res.Close {
			t.Errorf("%s: %s, Connection: close is %t", what, res.Status, res.Close)
		}
	}
}

func TestContinueComesOnlyWhenAllowed(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	body := []byte("hello")
	head := signedHead(t, g, "/bucket/key", body)
	res, conn := raw(t, g, head)
	if res.StatusCode != http.StatusContinue {
		t.Fatalf("an allowed request: %s, want 100", res.Status)
	}
	conn.Write(body)
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != 200 {
		t.Fatalf("after the body: %v %v", res, err)
	}
	if res, _ := raw(t, g, strings.Replace(head, "Signature=", "Signature=0", 1)); res.StatusCode != 403 {
		t.Errorf("a refused request: %s, want 403", res.Status)
	}
}

func TestLengthsAndDigestsOfDocuments(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	g.Must(t, 200, "PUT", "/bucket/key", nil)
	doc := []byte(`<Delete><Object><Key>key</Key></Object></Delete>`)
	sum := weakhash.MD5(doc)
	good, bad := base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(make([]byte, 16))
	crc := engine.NewChecksumHash(engine.CRC32)
	crc.Write(doc)
	goodCRC := base64.StdEncoding.EncodeToString(crc.Sum(nil))
	for _, c := range []struct {
		name    string
		headers []string
		code    string
	}{
		{"wrong MD5", []string{"Content-MD5", bad}, "BadDigest"},
		{"short MD5", []string{"Content-MD5", "AAAA"}, "InvalidDigest"},
		{"no MD5", []string{"Content-MD5", "*"}, "InvalidDigest"},
		{"wrong checksum", []string{"x-amz-checksum-crc32", "AAAAAA=="}, "BadDigest"},
		{"right MD5, wrong checksum", []string{"Content-MD5", good, "x-amz-checksum-md5", bad}, "BadDigest"},
		{"right MD5, no checksum", []string{"Content-MD5", good, "x-amz-checksum-sha256", bad}, "InvalidRequest"},
		{"two checksums", []string{"x-amz-checksum-crc32", goodCRC, "x-amz-checksum-md5", good}, "InvalidRequest"},
		{"unknown checksum", []string{"Content-MD5", good, "x-amz-checksum-crc1", "AA=="}, "InvalidRequest"},
		{"another checksum than named", []string{"x-amz-checksum-crc32", goodCRC, "x-amz-sdk-checksum-algorithm", "SHA256"}, "InvalidRequest"},
		{"a checksum that is named only", []string{"Content-MD5", good, "x-amz-sdk-checksum-algorithm", "CRC32"}, "InvalidRequest"},
		{"another's bucket expected", []string{"x-amz-expected-bucket-owner", "123456789012"}, "AccessDenied"},
		{"repeated header", []string{"Content-MD5", good, "Content-MD5", good}, "InvalidArgument"},
	} {
		res := g.Do(t, g.Root, "POST", "/bucket?delete", doc, c.headers...)
		if res.Code() != c.code {
			t.Errorf("%s: %d %s, want %s", c.name, res.Status, res.Body, c.code)
		}
		g.Must(t, 200, "HEAD", "/bucket/key", nil)
	}
	g.Must(t, 200, "POST", "/bucket?delete", doc, "Content-MD5", good, "x-amz-checksum-crc32", goodCRC,
		"x-amz-expected-bucket-owner", g.Engine.Accounts().Root().ID.Canonical())
	g.Must(t, 404, "HEAD", "/bucket/key", nil)
	long := append([]byte("<Delete>"), make([]byte, 2<<20)...)
	if res := g.Do(t, g.Root, "POST", "/bucket?delete", long); res.Code() != "MaxMessageLengthExceeded" {
		t.Errorf("a long document: %d %s", res.Status, res.Body)
	}
}

func TestLengthsOfUploads(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	send := func(length int64, chunked bool) string {
		r := g.Request(t, "PUT", "/bucket/key", nil)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		if err := sigv4.Sign(r, g.Root.AccessKey, g.Root.SecretKey, g.Region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
			t.Fatal(err)
		}
		var head bytes.Buffer
		fmt.Fprintf(&head, "PUT /bucket/key HTTP/1.1\r\nHost: %s\r\n", r.URL.Host)
		if chunked {
			head.WriteString("Transfer-Encoding: chunked\r\n")
		} else {
			fmt.Fprintf(&head, "Content-Length: %d\r\n", length)
		}
		r.Header.Write(&head)
		head.WriteString("\r\n")
		if chunked {
			head.WriteString("1\r\nx\r\n0\r\n\r\n")
		}
		res, _ := raw(t, g, head.String())
		body, _ := io.ReadAll(res.Body)
		return gatewaytest.Response{Body: body}.Code()
	}
	if code := send(api.MaxObjectBytes+1, false); code != "EntityTooLarge" {
		t.Errorf("more than the limit: %s", code)
	}
	if code := send(0, true); code != "MissingContentLength" {
		t.Errorf("without a length: %s", code)
	}
	g.Must(t, 404, "HEAD", "/bucket/key", nil)
}

func TestSlowClientsAreCut(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Limits: api.Limits{Idle: 50 * time.Millisecond}})
	g.Must(t, 200, "PUT", "/bucket", nil)
	body := []byte("all of it")
	r := g.Request(t, "PUT", "/bucket/key", body)
	g.Sign(t, r, g.Root, body)
	var head bytes.Buffer
	fmt.Fprintf(&head, "PUT /bucket/key HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", r.URL.Host, len(body))
	r.Header.Write(&head)
	head.WriteString("\r\nall of")
	res, _ := raw(t, g, head.String())
	got, _ := io.ReadAll(res.Body)
	if code := (gatewaytest.Response{Body: got}).Code(); code != "RequestTimeout" {
		t.Errorf("a client that stops: %s %s", res.Status, got)
	}
	g.Must(t, 404, "HEAD", "/bucket/key", nil)
}

// gate is a body that is read no further until it is opened.
type gate struct {
	begun chan struct{}
	open  chan struct{}
	once  sync.Once
}

func (b *gate) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun) })
	<-b.open
	return 0, io.EOF
}

func TestTooManyRequestsAtOnce(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Limits: api.Limits{Concurrent: 1}})
	g.Must(t, 200, "PUT", "/bucket", nil)
	g.Client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	hold := &gate{begun: make(chan struct{}), open: make(chan struct{})}
	r, err := http.NewRequest("PUT", g.URL+"/bucket/key", hold)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 5
	r.Header.Set("Expect", "100-continue")
	if err := sigv4.Sign(r, g.Root.AccessKey, g.Root.SecretKey, g.Region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := g.Client.Do(r); err == nil {
			res.Body.Close()
		}
	}()
	<-hold.begun // the gateway has requested the body: it is busy
	res := g.Do(t, g.Root, "GET", "/bucket", nil)
	if res.Status != 503 || res.Code() != "SlowDown" || res.Header.Get("Retry-After") == "" {
		t.Errorf("a second request: %d %v %s", res.Status, res.Header, res.Body)
	}
	close(hold.open)
	<-done
	for g.Do(t, g.Root, "GET", "/bucket", nil).Status == 503 { // until the place is free again
		time.Sleep(time.Millisecond)
	}
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLogAndMetricsOfRequests(t *testing.T) {
	var log lines
	var mu sync.Mutex
	var seen []api.Observation
	g := gatewaytest.Start(t, gatewaytest.Options{
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
		Observe: func(o api.Observation) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, o)
		},
	})
	g.Must(t, 200, "PUT", "/bucket", nil)
	g.Must(t, 200, "PUT", "/bucket/very-secret-name?x-id=also-secret", []byte("hello"), "x-amz-meta-a", "secret-metadata")
	g.Must(t, 200, "GET", "/bucket/very-secret-name", nil)
	g.Must(t, 404, "GET", "/bucket/other-secret-name", nil)
	url, err := sigv4.Presign(g.Request(t, "GET", "/bucket/very-secret-name", nil), g.Root.AccessKey, g.Root.SecretKey, g.Region, "s3", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res := g.Send(t, r); res.Status != 200 {
		t.Fatalf("presigned: %d %s", res.Status, res.Body)
	}
	r.URL.RawQuery = spoil(r.URL.RawQuery)
	if res := g.Send(t, r); res.Status != 403 {
		t.Fatalf("presigned and spoilt: %d %s", res.Status, res.Body)
	}
	g.Server.Close() // waits for the last request's line
	out := log.String()
	for _, secret := range []string{"secret", "X-Amz-", "AWS4-HMAC", r.URL.Query().Get("X-Amz-Signature"), g.Root.SecretKey, "hello"} {
		if strings.Contains(out, secret) {
			t.Errorf("the log contains %q: %s", secret, out)
		}
	}
	for _, want := range []string{`"action":"s3:PutObject"`, `"bucket":"bucket"`, `"status":404`, `"code":"NoSuchKey"`,
		`"principal":"arn:aws:iam::` + accounts.Account(g.Engine.Accounts().Root().ID) + `:root"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the log lacks %s: %s", want, out)
		}
	}
	if strings.Count(out, "\n") != len(seen) {
		t.Errorf("%d lines for %d requests", strings.Count(out, "\n"), len(seen))
	}
	if o := seen[1]; o.Operation != "PutObject" || o.Status != 200 || o.Code != "" || o.BytesIn != 5 || o.Duration <= 0 {
		t.Errorf("PutObject was observed as %+v", o)
	}
	if o := seen[2]; o.Operation != "GetObject" || o.BytesOut != 5 {
		t.Errorf("GetObject was observed as %+v", o)
	}
	if o := seen[3]; o.Status != 404 || o.Code != "NoSuchKey" {
		t.Errorf("an absent key was observed as %+v", o)
	}
}

func TestPresignedURLsCarryHeaders(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	put := func(query string) gatewaytest.Response {
		r := g.Request(t, "PUT", "/bucket/key?"+query, []byte("hello"))
		signed, err := sigv4.Presign(r, g.Root.AccessKey, g.Root.SecretKey, g.Region, "s3", time.Hour, time.Now())
		if err == nil {
			r.URL, err = r.URL.Parse(signed)
		}
		if err != nil {
			t.Fatal(err)
		}
		return g.Send(t, r)
	}
	for query, code := range map[string]string{
		"x-amz-acl=public-read":                       "AccessControlListNotSupported",
		"x-amz-object-lock-mode=COMPLIANCE":           "InvalidArgument",
		"x-amz-server-side-encryption-customer-key=k": "InvalidArgument",
		"x-amz-copy-source=bucket/key":                "InvalidArgument",
		"x-amz-expected-bucket-owner=123456789012":    "AccessDenied",
		"x-amz-meta-a=1&x-amz-meta-a=2":               "InvalidArgument",
	} {
		if res := put(query); res.Code() != code {
			t.Errorf("%s: %d %s, want %s", query, res.Status, res.Body, code)
		}
		g.Must(t, 404, "HEAD", "/bucket/key", nil)
	}
	// The SDK for JavaScript signs this by default: the checksum is that of
	// nothing.
	if res := put("x-amz-meta-color=blue&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject"); res.Status != 200 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	if res := g.Must(t, 200, "GET", "/bucket/key", nil); res.Header.Get("X-Amz-Meta-Color") != "blue" || string(res.Body) != "hello" {
		t.Errorf("%v %s", res.Header, res.Body)
	}
}
