package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// sendLine sends a signed request with its own request target and Host.
func sendLine(t *testing.T, g *gatewaytest.Gateway, r *http.Request, target, host string) gatewaytest.Response {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n", r.Method, target, host)
	if err := r.Header.Write(&b); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return gatewaytest.Response{Status: res.StatusCode, Header: res.Header, Body: body}
}

// A request line may name the host, as in requests to a proxy. Then that host
// decides the bucket and the signature, and the Host header does not.
func TestAbsoluteForm(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Domains: []string{"s3.test"}, Websites: []string{"web.test"}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("path"))
	g.Must(t, 200, "PUT", "/other", nil)
	g.Must(t, 200, "PUT", "/other/k", []byte("other"))
	for _, c := range []struct {
		signedFor, target, host string
		status                  int
		body                    string
	}{
		{"here", "http://here/bkt/k", "here", 200, "path"},
		{"here", "HTTP://here/bkt/k", "here", 200, "path"},
		{"here", "https://here/bkt/k", "here", 200, "path"}, // as forwarded by a proxy that terminates TLS
		{"here", "http://here/bkt/k", "there", 200, "path"},
		{"bkt.s3.test", "http://bkt.s3.test/k", "other.s3.test", 200, "path"},
		{"other.s3.test", "http://bkt.s3.test/k", "other.s3.test", 403, ""}, // Host is not the requested host
		{"here", "http://there/bkt/k", "here", 403, ""},
		{"bkt.s3.test", "http://other.s3.test/k", "bkt.s3.test", 403, ""},
		{"here", "http://u:p@here/bkt/k", "here", 400, ""},
		{"here", "ftp://here/bkt/k", "here", 400, ""},
		{"here", "here/bkt/k", "here", 400, ""},
		{"bkt.web.test", "http://bkt.web.test/k", "here", 404, ""}, // there is no website
	} {
		path := "/bkt/k"
		if strings.HasSuffix(c.signedFor, ".test") {
			path = "/k"
		}
		r := g.Request(t, "GET", path, nil)
		r.Host = c.signedFor
		g.Sign(t, r, g.Root, nil)
		res := sendLine(t, g, r, c.target, c.host)
		if res.Status != c.status || c.body != "" && string(res.Body) != c.body {
			t.Errorf("%+v: %d %s", c, res.Status, res.Body)
		}
	}
}

// A malformed Host is refused as such, for every request.
func TestMalformedHost(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Domains: []string{"s3.test"}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	for _, host := range []string{".s3.test", "bkt..s3.test", "bkt.s3.test:port", "bkt.s3.test:70000", "a@bkt.s3.test", ":9000", ".", "[::1"} {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "OPTIONS"} {
			for _, target := range []string{"/", "/k", "/bkt/k?acl"} {
				r := g.Request(t, method, target, nil)
				r.Host = host
				g.Sign(t, r, g.Root, nil)
				if res := sendLine(t, g, r, target, host); res.Status != 400 {
					t.Errorf("Host %q, %s %s: %d %s", host, method, target, res.Status, res.Body)
				}
			}
		}
	}
}
