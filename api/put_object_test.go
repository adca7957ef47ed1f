package api_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/weakhash"
)

func TestPutObjectAnswer(t *testing.T) {
	g := start(t)
	body := []byte("hello")
	digest := weakhash.MD5(body)
	etag := `"` + hex.EncodeToString(digest[:]) + `"`

	res := g.Must(t, 200, "PUT", "/bkt/k", body, "Content-MD5", base64.StdEncoding.EncodeToString(digest[:]))
	expectHeaders(t, "default", res, "ETag", etag, "X-Amz-Server-Side-Encryption", "AES256",
		"X-Amz-Checksum-Crc64nvme", sum(engine.CRC64NVME, body), "X-Amz-Checksum-Type", "FULL_OBJECT")
	for _, algorithm := range engine.ChecksumAlgorithms {
		name := "X-Amz-Checksum-" + algorithm
		res := g.Must(t, 200, "PUT", "/bkt/k", body, name, sum(algorithm, body))
		expectHeaders(t, algorithm, res, "ETag", etag, name, sum(algorithm, body), "X-Amz-Checksum-Type", "FULL_OBJECT")
		if algorithm != engine.CRC64NVME {
			expectHeaders(t, algorithm, res, "X-Amz-Checksum-Crc64nvme", "")
		}
	}
}

func TestPutObjectKeepsAttributes(t *testing.T) {
	g := start(t)
	sent := []string{
		"Content-Type", "text/plain; charset=utf-8", "Content-Encoding", "gzip", "Content-Language", "de",
		"Content-Disposition", `attachment; filename="x"`, "Cache-Control", "max-age=3", "Expires", "not a date",
		"X-Amz-Website-Redirect-Location", "/else", "X-Amz-Storage-Class", "STANDARD_IA",
		"X-Amz-Meta-One", "1", "X-Amz-Meta-Two-Words", "a  b",
	}
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"), append(sent, "X-Amz-Meta-Umlaut", "Ä")...)
	want := append(sent, "X-Amz-Meta-Umlaut", "=?UTF-8?B?w4Q=?=", "X-Amz-Server-Side-Encryption", "AES256", "Accept-Ranges", "bytes")
	for _, method := range []string{"GET", "HEAD"} {
		r := g.Request(t, method, "/bkt/k", nil)
		r.Header.Set("Accept-Encoding", "identity") // or the client would undo gzip
		g.Sign(t, r, g.Root, nil)
		expectHeaders(t, method, g.Send(t, r), want...)
	}

	g.Must(t, 200, "PUT", "/bkt/plain", nil)
	res := g.Must(t, 200, "HEAD", "/bkt/plain", nil)
	expectHeaders(t, "defaults", res, "Content-Type", "binary/octet-stream", "Content-Length", "0",
		"X-Amz-Storage-Class", "", "Content-Encoding", "", "Expires", "")

	sendChunked(t, g, sigv4.StreamingSigned, "/bkt/chunked", []byte("x"), nil, "Content-Encoding", "gzip")
	r := g.Request(t, "HEAD", "/bkt/chunked", nil)
	r.Header.Set("Accept-Encoding", "identity")
	g.Sign(t, r, g.Root, nil)
	expectHeaders(t, "chunked", g.Send(t, r), "Content-Encoding", "gzip", "Content-Length", "1")
}

func TestPutObjectRefusals(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/old", []byte("old"))
	before := liveBlobs(t, g)
	for _, c := range []struct {
		what    string
		status  int
		code    string
		headers []string
	}{
		{"empty Content-MD5", 400, "InvalidDigest", []string{"Content-Md5", ""}},
		{"short Content-MD5", 400, "InvalidDigest", []string{"Content-Md5", "YWJyYWNhZGFicmE="}},
		{"wrong Content-MD5", 400, "BadDigest", []string{"Content-Md5", "rL0Y20zC+Fzt72VPzMSk2A=="}},
		{"two checksums", 400, "InvalidRequest", []string{"X-Amz-Checksum-Crc32", sum("CRC32", []byte("new")), "X-Amz-Checksum-Sha1", sum("SHA1", []byte("new"))}},
		{"malformed checksum", 400, "InvalidRequest", []string{"X-Amz-Checksum-Crc32", "AAA="}},
		{"checksum named only", 400, "InvalidRequest", []string{"X-Amz-Sdk-Checksum-Algorithm", "CRC32"}},
		{"too much metadata", 400, "MetadataTooLarge", []string{"X-Amz-Meta-A", strings.Repeat("x", 2048)}},
		{"storage class", 400, "InvalidStorageClass", []string{"X-Amz-Storage-Class", "COLD"}},
		{"redirect", 400, "InvalidRedirectLocation", []string{"X-Amz-Website-Redirect-Location", "ftp://x"}},
		{"If-None-Match with a tag", 501, "NotImplemented", []string{"If-None-Match", `"x"`}},
		{"If-Unmodified-Since", 501, "NotImplemented", []string{"If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"}},
		{"exists", 412, "PreconditionFailed", []string{"If-None-Match", "*"}},
		{"another tag", 412, "PreconditionFailed", []string{"If-Match", `"x"`}},
		{"two layers of encryption", 501, "NotImplemented", []string{"X-Amz-Server-Side-Encryption", "aws:kms:dsse"}},
		{"a lock without locks", 400, "InvalidRequest", []string{"X-Amz-Object-Lock-Legal-Hold", "ON"}},
		{"public ACL", 400, "AccessControlListNotSupported", []string{"X-Amz-Acl", "public-read"}},
		{"a tag twice", 400, "InvalidArgument", []string{"X-Amz-Tagging", "a=b&a=c"}},
	} {
		expect(t, c.what, g.Do(t, g.Root, "PUT", "/bkt/old", []byte("new"), c.headers...), c.status, c.code)
	}
	expect(t, "If-Match on nothing", g.Do(t, g.Root, "PUT", "/bkt/new", []byte("new"), "If-Match", `"x"`), 404, "NoSuchKey")
	if got := content(t, g, "/bkt/old"); string(got) != "old" {
		t.Errorf("a refused PUT left %q", got)
	}
	if after := liveBlobs(t, g); after != before {
		t.Errorf("refused PUTs left %d blobs, before there were %d", after, before)
	}
}

func TestPutObjectConditions(t *testing.T) {
	g := start(t)
	first := g.Must(t, 200, "PUT", "/bkt/k", []byte("1"), "If-None-Match", "*")
	g.Must(t, 200, "PUT", "/bkt/k", []byte("2"), "If-Match", first.Header.Get("ETag"))
	expect(t, "the tag of before", g.Do(t, g.Root, "PUT", "/bkt/k", []byte("3"), "If-Match", first.Header.Get("ETag")), 412, "PreconditionFailed")
	g.Must(t, 200, "PUT", "/bkt/k", []byte("4"), "If-Match", "*")
	if got := content(t, g, "/bkt/k"); string(got) != "4" {
		t.Errorf("the object is %q", got)
	}
}

// A wrong digest, in any place and of any algorithm, leaves neither an object
// nor a blob.
func TestPutObjectWrongDigests(t *testing.T) {
	g := start(t)
	body := bytesOf(300_000)
	wrong := append([]byte{^body[0]}, body[1:]...)
	before := liveBlobs(t, g)
	for _, algorithm := range engine.ChecksumAlgorithms {
		name := http.CanonicalHeaderKey("X-Amz-Checksum-" + algorithm)
		claims := map[string]string{"wrong": sum(algorithm, wrong), "right": sum(algorithm, body)}
		for claim, value := range claims {
			status, code := 200, ""
			if claim == "wrong" {
				status, code = 400, "BadDigest"
			}
			what := algorithm + " " + claim
			target := "/bkt/" + algorithm + claim
			expect(t, what+" in a header", g.Do(t, g.Root, "PUT", target+"1", body, name, value), status, code)
			expect(t, what+" in a header of a chunked body", sendChunked(t, g, sigv4.StreamingSigned, target+"2", body, nil, name, value), status, code)
			expect(t, what+" in a signed trailer", sendChunked(t, g, sigv4.StreamingSignedTrailer, target+"3", body, http.Header{name: {value}}), status, code)
			expect(t, what+" in an unsigned trailer", sendChunked(t, g, sigv4.StreamingUnsignedTrailer, target+"4", body, http.Header{name: {value}}), status, code)
			for _, n := range []string{"1", "2", "3", "4"} {
				if claim == "wrong" {
					expect(t, what, g.Do(t, g.Root, "GET", target+n, nil), 404, "NoSuchKey")
				} else if !bytes.Equal(content(t, g, target+n), body) {
					t.Errorf("%s: %s%s has another content", what, target, n)
				} else {
					g.Must(t, 204, "DELETE", target+n, nil)
				}
			}
		}
	}
	expect(t, "malformed trailer", sendChunked(t, g, sigv4.StreamingUnsignedTrailer, "/bkt/k", body,
		http.Header{"X-Amz-Checksum-Crc32": {"AAA="}}), 400, "InvalidRequest")
	expect(t, "malformed trailer", g.Do(t, g.Root, "GET", "/bkt/k", nil), 404, "NoSuchKey")
	if after := liveBlobs(t, g); after != before {
		t.Errorf("%d blobs, before there were %d", after, before)
	}
}

// A client that disconnects at any byte leaves the earlier object in place.
func TestPutObjectClientGone(t *testing.T) {
	finished := make(chan api.Observation, 16)
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, Observe: func(o api.Observation) {
		if o.Operation == "PutObject" {
			finished <- o
		}
	}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("old"))
	<-finished
	before := liveBlobs(t, g)
	body := bytesOf(200_000)
	for _, sent := range []int{0, 1, 65_535, 65_536, 100_000, len(body) - 1} {
		r := g.Request(t, "PUT", "/bkt/k", body)
		g.Sign(t, r, g.Root, body)
		cut(t, g, r, len(body)-sent)
		if o := <-finished; o.Code == "" {
			t.Errorf("after %d of %d bytes the PUT succeeded", sent, len(body))
		}
		if got := content(t, g, "/bkt/k"); string(got) != "old" {
			t.Fatalf("after %d bytes the object has %d", sent, len(got))
		}
	}
	if after := liveBlobs(t, g); after != before {
		t.Errorf("%d blobs, before there were %d", after, before)
	}
}

// cut sends a request without its last bytes and closes the connection.
func cut(t *testing.T, g *gatewaytest.Gateway, r *http.Request, missing int) {
	t.Helper()
	raw, err := httputil.DumpRequestOut(r, true)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(raw[:len(raw)-missing]); err != nil {
		t.Fatal(err)
	}
}

// Bodies that are too large or of unknown length are refused unread.
func TestPutObjectLength(t *testing.T) {
	g := start(t)
	id := newUpload(t, g, "/bkt/m")
	for _, target := range []string{"/bkt/k", "/bkt/m?partNumber=1&uploadId=" + id} {
		for _, c := range []struct {
			length string
			code   string
		}{
			{fmt.Sprintf("Content-Length: %d\r\n", api.MaxObjectBytes+1), "EntityTooLarge"},
			{"Transfer-Encoding: chunked\r\n", "MissingContentLength"},
			{"", "MissingContentLength"},
		} {
			r := g.Request(t, "PUT", target, nil)
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			if err := sigv4.Sign(r, g.Root.AccessKey, g.Root.SecretKey, g.Region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\n%s", target, r.URL.Host, c.length)
			r.Header.Write(conn)
			io.WriteString(conn, "\r\n")
			res, err := http.ReadResponse(bufio.NewReader(conn), r)
			if err != nil {
				t.Fatalf("%s %q: %v", target, c.length, err)
			}
			body, _ := io.ReadAll(res.Body)
			conn.Close()
			if !bytes.Contains(body, []byte("<Code>"+c.code+"</Code>")) {
				t.Errorf("%s %q: %d %s, want %s", target, c.length, res.StatusCode, body, c.code)
			}
		}
	}
}
