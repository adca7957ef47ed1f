package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// start runs a gateway with one bucket, bkt. Condemned blobs are deleted at the
// next collection.
func start(t testing.TB) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1})
	g.Must(t, 200, "PUT", "/bkt", nil)
	return g
}

// bytesOf returns a body of n bytes without a short period.
func bytesOf(n int) []byte {
	b := make([]byte, n)
	x := uint32(n) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// sum returns the base64 checksum of data.
func sum(algorithm string, data []byte) string {
	h := engine.NewChecksumHash(algorithm)
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// expect checks status and error code of an answer.
func expect(t testing.TB, what string, res gatewaytest.Response, status int, code string) {
	t.Helper()
	if res.Status != status || res.Code() != code {
		t.Errorf("%s: %d %q, want %d %q: %s", what, res.Status, res.Code(), status, code, res.Body)
	}
}

// expectHeaders checks headers, given as names and values in turn; an empty
// value means that the header must be absent.
func expectHeaders(t testing.TB, what string, res gatewaytest.Response, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := res.Header.Get(pairs[i]); got != pairs[i+1] {
			t.Errorf("%s: %s is %q, want %q", what, pairs[i], got, pairs[i+1])
		}
	}
}

// liveBlobs counts the blobs in the backend after everything dead was collected.
func liveBlobs(t testing.TB, g *gatewaytest.Gateway) int {
	t.Helper()
	for {
		report, err := g.Engine.Blobs().Collect(context.Background())
		if err != nil {
			t.Fatalf("collect: %v", err)
		}
		if report == (blobs.CollectReport{}) {
			break
		}
	}
	n := 0
	for info, err := range g.Backend.List(context.Background(), backends.BlobID{}) {
		if err != nil {
			t.Fatalf("list blobs: %v", err)
		}
		if info.Size > 0 { // markers are empty
			n++
		}
	}
	return n
}

// sendChunked sends body in aws-chunked encoding with trailers.
func sendChunked(t testing.TB, g *gatewaytest.Gateway, mode sigv4.PayloadMode, target string, body []byte, trailer http.Header,
	headers ...string) gatewaytest.Response {
	t.Helper()
	r := g.Request(t, "PUT", target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	err := sigv4.SignChunked(r, g.Root.AccessKey, g.Root.SecretKey, g.Region, "s3", sigv4.Chunked{
		Mode: mode, Body: bytes.NewReader(body), Length: int64(len(body)), Trailer: trailer,
	}, time.Now())
	if err != nil {
		t.Fatalf("sign %s: %v", target, err)
	}
	return g.Send(t, r)
}

// content reads an object whole.
func content(t testing.TB, g *gatewaytest.Gateway, target string) []byte {
	t.Helper()
	return g.Must(t, 200, "GET", target, nil).Body
}

// part returns one line of a CompleteMultipartUpload document.
func part(number int, etag string, more ...string) string {
	return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>%s</Part>", number, etag, strings.Join(more, ""))
}

func completeDocument(parts ...string) []byte {
	return []byte("<CompleteMultipartUpload>" + strings.Join(parts, "") + "</CompleteMultipartUpload>")
}

// newUpload starts an upload and returns its id.
func newUpload(t testing.TB, g *gatewaytest.Gateway, target string, headers ...string) string {
	t.Helper()
	return g.Must(t, 200, "POST", target+"?uploads", nil, headers...).Element("UploadId")
}

// sendPart uploads a part and returns its quoted entity tag.
func sendPart(t testing.TB, g *gatewaytest.Gateway, target, id string, number int, body []byte, headers ...string) string {
	t.Helper()
	res := g.Must(t, 200, "PUT", fmt.Sprintf("%s?partNumber=%d&uploadId=%s", target, number, id), body, headers...)
	return res.Header.Get("ETag")
}
