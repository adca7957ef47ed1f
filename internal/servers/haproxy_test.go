//go:build linux

package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// arrived is a request as a gateway sees it.
type arrived struct {
	target, host, body string
	header             http.Header
}

// behindHAProxy starts a stand-in for a gateway behind a balancer, beside one
// that is never ready, and returns the balancer's address once it knows both. It
// refuses the target /refused without reading the body.
func behindHAProxy(t *testing.T) (h *HAProxy, requests <-chan arrived) {
	t.Helper()
	got := make(chan arrived, 1)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.RequestURI {
		case "/readyz":
			return
		case "/refused":
			w.WriteHeader(http.StatusForbidden)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- arrived{r.RequestURI, r.Host, string(body), r.Header}
	}))
	t.Cleanup(gateway.Close)
	away := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(away.Close)
	var all []Balanced
	for _, s := range []*httptest.Server{away, gateway} {
		address := s.Listener.Addr().String()
		all = append(all, Balanced{S3: address, Metrics: address})
	}
	h, err := StartHAProxy(t.Context(), t.TempDir(), all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	// HAProxy begins with the belief that all are ready.
	err = h.Ready(t.Context(), func(ctx context.Context) error {
		first, err := h.Up(ctx, 0)
		if err == nil && first {
			err = errors.New("the gateway that is not ready is up")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := h.Up(t.Context(), 1); err != nil || !second {
		t.Fatalf("the gateway that is ready is not up: %v", err)
	}
	return h, got
}

// answerTimeout is far beyond what any answer takes, and below HAProxy's own limits.
const answerTimeout = 20 * time.Second

// upload sends a PUT with Expect: 100-continue and returns the status lines that
// come before and after the body, which is sent only if it is asked for.
func upload(t *testing.T, h *HAProxy, target string) (interim, final string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(answerTimeout))
	fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: bucket.s3.example.com\r\nContent-Length: 6\r\nExpect: 100-continue\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n\r\n", target)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(line, "HTTP/1.1 100") {
		// The body will not come, so that nothing may follow on this connection.
		headers, err := textproto.NewReader(r).ReadMIMEHeader()
		if err != nil || headers.Get("Connection") != "close" {
			t.Errorf("a refusal leaves the connection open: %v, %v", headers, err)
		}
		return "", line
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "sealed")
	final, err = r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line, final
}

// Signed parts of a request arrive as the client sent them.
func TestHAProxyChangesNothing(t *testing.T) {
	h, requests := behindHAProxy(t)
	for _, target := range []string{
		"/bucket/a//b/../c/.",
		"/bucket/a%2Fb%252F%00%20+",
		"/bucket//",
		"/bucket/%E2%82%AC?x-id=PutObject&versionId=a%2Fb;c",
		"/bucket/" + strings.Repeat("%E2%82%AC", 1024/3) + "?X-Amz-Security-Token=" + strings.Repeat("t", 20<<10),
	} {
		interim, final := upload(t, h, target)
		if interim == "" || !strings.HasPrefix(final, "HTTP/1.1 200") {
			t.Fatalf("%.80s: %q, then %q", target, interim, final)
		}
		r := <-requests
		if r.target != target || r.host != "bucket.s3.example.com" || r.body != "sealed" {
			t.Errorf("sent %.80s, arrived %.80s of %s with body %q", target, r.target, r.host, r.body)
		}
		for name := range r.header {
			switch name {
			case "Content-Length", "Expect", "Connection":
			case "X-Forwarded-For", "X-Forwarded-Proto":
			default:
				t.Errorf("HAProxy added the header %s", name)
			}
		}
		// The client's own words stand before those of the balancer, or are gone.
		if who := r.header.Values("X-Forwarded-For"); len(who) != 2 || who[1] != "127.0.0.1" {
			t.Errorf("it came for %q", who)
		}
		if scheme := r.header.Values("X-Forwarded-Proto"); len(scheme) != 1 || scheme[0] != "http" {
			t.Errorf("it came by %q", scheme)
		}
	}
	if interim, final := upload(t, h, "/refused"); interim != "" || !strings.HasPrefix(final, "HTTP/1.1 403") {
		t.Errorf("refused: %q, then %q; the body should not have been asked for", interim, final)
	}
	if err := AnswersOK(h.MetricsURL)(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHAProxyHasPlacesForAll(t *testing.T) {
	if _, err := StartHAProxy(t.Context(), t.TempDir(), make([]Balanced, MaxBalanced+1)); err == nil {
		t.Error("one too many is balanced")
	}
}

func TestRedis(t *testing.T) {
	r, err := StartRedis(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.Stop(); err != nil || r.Err() != nil {
		t.Error(err, r.Err())
	}
}
