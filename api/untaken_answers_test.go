package api_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// untaking is an HTTP/2 client that lets no byte of an answer's body come.
type untaking struct {
	*http2.Framer
	head bytes.Buffer
	next uint32
}

func newUntaking(t *testing.T, s *httptest.Server) *untaking {
	t.Helper()
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, http2.ClientPreface)
	u := &untaking{Framer: http2.NewFramer(conn, conn), next: 1}
	if err := u.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	return u
}

// get sends a GET with further fields.
func (u *untaking) get(t *testing.T, path string, fields ...string) {
	t.Helper()
	u.head.Reset()
	enc := hpack.NewEncoder(&u.head)
	all := append([]string{":method", "GET", ":scheme", "https", ":authority", "h", ":path", path}, fields...)
	for i := 0; i < len(all); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	err := u.WriteHeaders(http2.HeadersFrameParam{StreamID: u.next, BlockFragment: u.head.Bytes(), EndStream: true, EndHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	u.next += 2
}

// outcomes waits until n streams are answered or reset, and returns how many are.
func (u *untaking) outcomes(t *testing.T, n int) (answered, reset int) {
	t.Helper()
	for answered+reset < n {
		f, err := u.ReadFrame()
		if err != nil {
			t.Fatalf("after %d answers and %d resets: %v", answered, reset, err)
		}
		switch f.(type) {
		case *http2.HeadersFrame:
			answered++
		case *http2.RSTStreamFrame:
			reset++
		}
	}
	return answered, reset
}

// Answers that a client leaves untaken keep nobody else out, whatever they refuse, and
// do not become more and more.
func TestUntakenAnswersLeaveSeats(t *testing.T) {
	const requests, streams = 32, 100
	for name, fields := range map[string][]string{
		"nobody's": nil, "a wrong signature": {"authorization", "AWS4-HMAC-SHA256 wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			g, alice, _ := shared(t, gatewaytest.Options{Limits: api.Limits{Concurrent: requests}, Log: slog.New(slog.DiscardHandler)})
			s := httptest.NewUnstartedServer(g.API)
			s.EnableHTTP2 = true
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			s.StartTLS()
			t.Cleanup(s.CloseClientConnections)
			all := 0
			for range 4 {
				u := newUntaking(t, s)
				for range streams {
					u.get(t, "/bucket/closed", fields...)
				}
				answered, _ := u.outcomes(t, streams)
				all += answered
			}
			if most := 2 * requests; all > most {
				t.Errorf("%d answers wait for their client, where %d requests are served at once", all, requests)
			}
			expect(t, "alice's", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")
		})
	}
}
