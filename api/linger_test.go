package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// sendAll sends a request's header and n bytes, whatever the gateway answers
// meanwhile, and only then reads the answer, as many clients do.
func sendAll(t *testing.T, g *gatewaytest.Gateway, header string, n int) (int, error) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, header+"\r\n\r\n"); err != nil {
		return 0, err
	}
	for chunk := bytesOf(1 << 20); n > 0; n -= len(chunk) {
		if _, err := c.Write(chunk[:min(n, len(chunk))]); err != nil {
			return 0, err
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}

// A refused sender gets the answer, even if it sends all of its body first.
func TestRefusedSendersReadWhy(t *testing.T) {
	g := start(t)
	const large = 30 << 20
	length := fmt.Sprintf("\r\nContent-Length: %d", large)
	forged := "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + g.Root.AccessKey + "/20300101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64) +
		"\r\nX-Amz-Date: 20300101T000000Z\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD"
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"anonymous":        {"PUT /bkt/k HTTP/1.1\r\nHost: h" + length, 403},
		"forged":           {"PUT /bkt/k HTTP/1.1\r\nHost: h" + length + forged, 403},
		"no bucket":        {"PUT /none/k HTTP/1.1\r\nHost: h" + length, 404},
		"no method":        {"PATCH /bkt/k HTTP/1.1\r\nHost: h" + length, 405},
		"a part":           {"PUT /bkt/k?partNumber=1&uploadId=x HTTP/1.1\r\nHost: h" + length, 403},
		"unknown form":     {"POST /bkt HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain" + length, 412},
		"HTTP/1.0":         {"PUT /bkt/k HTTP/1.0\r\nHost: h" + length, 403},
		"too long a body":  {"POST /bkt?delete HTTP/1.1\r\nHost: h" + length, 403},
		"a lot of nothing": {"DELETE /bkt/k HTTP/1.1\r\nHost: h" + length, 403},
	} {
		if status, err := sendAll(t, g, c.header, large); err != nil || status != c.status {
			t.Errorf("%s: %d %v, want %d", name, status, err, c.status)
		}
	}
}

// A sender that announces its body but does not wait for 100 Continue gets the
// answer too, whatever the size. It need not wait (RFC 9110, section 10.1.1),
// and AWS's SDK for Go does not. A sender that waits gets the answer, and the
// connection ends when the sender closes it.
func TestRefusedSendersMayNotWait(t *testing.T) {
	g := start(t)
	for _, n := range []int{1, 100 << 10, 256 << 10, 1 << 20, 30 << 20} {
		for path, want := range map[string]int{"/bkt/k": 403, "/none/k": 404} {
			r := g.Request(t, "PUT", path, nil)
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			header := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nExpect: 100-continue", path, r.Host, n)
			if want == 404 {
				sign(t, g, r, g.Root, "UNSIGNED-PAYLOAD", time.Now())
				for name, values := range r.Header {
					header += "\r\n" + name + ": " + values[0]
				}
			}
			for range 5 { // a reset depends on timing
				if status, err := sendAll(t, g, header, n); err != nil || status != want {
					t.Errorf("%s, %d bytes at once: %d %v, want %d", path, n, status, err, want)
				}
			}
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(time.Minute))
			io.WriteString(c, header+"\r\n\r\n")
			in := bufio.NewReader(c)
			if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != want || !res.Close {
				t.Errorf("%s, %d bytes awaited: %v %v, want %d and the connection's end", path, n, res, err, want)
			} else if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Error(err)
			}
			c.(*net.TCPConn).CloseWrite()
			if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
				t.Errorf("%s, %d bytes awaited: the answer is followed by %q, %v", path, n, rest, err)
			}
			c.Close()
		}
	}
}

// A proxy's connection survives a refused body up to some size, because the
// proxy promises its client that the client's connection survives. Anybody
// else's connection ends.
func TestRefusedThroughAProxy(t *testing.T) {
	for proxied, proxies := range map[bool][]netip.Prefix{true: {netip.MustParsePrefix("127.0.0.0/8")}, false: nil} {
		g := gatewaytest.Start(t, gatewaytest.Options{Proxies: proxies})
		for _, n := range []int{100, 257 << 10, 1 << 20, 8 << 20, 9 << 20} {
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(time.Minute))
			in := bufio.NewReader(c)
			kept := n < 256<<10 || proxied && n <= 8<<20
			for _, path := range []string{"/bkt/k", "/bkt/next"} {
				fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: %d\r\n\r\n", path, n)
				c.Write(bytesOf(n))
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("proxied %v, %d bytes, %s: %v", proxied, n, path, err)
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != 404 || !strings.Contains(string(body), path) || res.Close == kept {
					t.Errorf("proxied %v, %d bytes: %d, ends %v, %v: %s", proxied, n, res.StatusCode, res.Close, err, body)
				}
				if !kept {
					break
				}
			}
			c.Close()
		}
	}
}

// A party with many refused uploads leaves places for others to read their
// refusals.
func TestRefusedSendersLeaveOthers(t *testing.T) {
	g := start(t)
	const large = 30 << 20
	for range 64 { // as many as linger at once
		c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "PUT /bkt/k HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", large)
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, " 403 ") {
			t.Fatalf("%q: %v", line, err)
		}
	}
	r := g.Request(t, "PUT", "/none/k", nil)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	sign(t, g, r, g.Root, "UNSIGNED-PAYLOAD", time.Now())
	header := fmt.Sprintf("PUT /none/k HTTP/1.1\r\nHost: %s\r\nContent-Length: %d", r.Host, large)
	for name, values := range r.Header {
		header += "\r\n" + name + ": " + values[0]
	}
	if status, err := sendAll(t, g, header, large); err != nil || status != 404 {
		t.Errorf("a tenant beside an address: %d %v, want 404", status, err)
	}
}

// The bytes that are discarded for a sender are bounded.
func TestRefusedSendersAreCut(t *testing.T) {
	g := start(t)
	status, err := sendAll(t, g, "PUT /bkt/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000", 1_000_000_000)
	if err == nil {
		t.Errorf("a gigabyte was taken, and answered %d", status)
	}
}

// slowly is a body that arrives byte by byte, with pauses.
type slowly struct {
	left  int
	pause time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	p[0] = 'x'
	s.left--
	return 1, nil
}

// A sender that keeps sending is waited for, however slow it is. A sender that
// stops is not.
func TestOnlyStallsEndUploads(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Limits: api.Limits{Idle: time.Second}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	put := func(body *slowly) int {
		r := g.Request(t, "PUT", "/bkt/k", nil)
		r.Body, r.ContentLength = io.NopCloser(body), int64(body.left)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		sign(t, g, r, g.Root, "UNSIGNED-PAYLOAD", time.Now())
		res, err := g.Client.Do(r)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	if status := put(&slowly{left: 20, pause: 100 * time.Millisecond}); status != 200 {
		t.Errorf("ten bytes a second: %d", status)
	}
	if status := put(&slowly{left: 2, pause: 3 * time.Second}); status == 200 {
		t.Error("a sender that stopped for three times the limit was waited for")
	}
}

// A reader that pauses for longer than a sender may still reads to the end.
func TestReadersMayPause(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Limits: api.Limits{Idle: 300 * time.Millisecond}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	const size = 24 << 20 // more than connections buffer
	g.Must(t, 200, "PUT", "/bkt/k", bytesOf(size))
	r := g.Request(t, "GET", "/bkt/k", nil)
	g.Sign(t, r, g.Root, nil)
	res, err := g.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	time.Sleep(3 * time.Second)
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("after a pause %d of %d bytes came: %v", n, size, err)
	}
}
