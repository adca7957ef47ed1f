package api

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// writes is a stream of pieces that may end with an error.
type writes struct {
	pieces []string
	err    error
	closed *bool
}

func (s writes) WriteTo(w io.Writer) (n int64, err error) {
	for _, p := range s.pieces {
		m, err := io.WriteString(w, p)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, s.err
}

func (s writes) Close() error {
	*s.closed = true
	return nil
}

// answer serves one reply or error over a real connection.
func answer(t *testing.T, method string, reply *Reply, err error) (*http.Response, []byte, error) {
	t.Helper()
	res, body, _, readErr := answerAndAbort(t, method, reply, err)
	return res, body, readErr
}

// answerAndAbort also tells whether the gateway itself aborted the answer.
func answerAndAbort(t *testing.T, method string, reply *Reply, err error) (_ *http.Response, _ []byte, aborted bool, _ error) {
	t.Helper()
	s := New(Config{Engine: new(engine.Engine)})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := s.newExchange(w, r)
		if err != nil {
			x.renderError(err)
		} else {
			x.render(reply)
		}
		if aborted = x.abort; aborted {
			panic(http.ErrAbortHandler)
		}
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	req, _ := http.NewRequest(method, srv.URL+"/b/k", nil)
	res, sendErr := srv.Client().Do(req)
	if sendErr != nil {
		srv.Close()
		return nil, nil, aborted, sendErr
	}
	defer res.Body.Close()
	body, readErr := io.ReadAll(res.Body)
	srv.Close() // waits for the handler, so that aborted is settled
	return res, body, aborted, readErr
}

func TestStreamsEndExactlyOrAbort(t *testing.T) {
	large := strings.Repeat("x", 3*writeUnit/2)
	for _, c := range []struct {
		name   string
		method string
		stream writes
		length int64
		want   string
		fails  bool
	}{
		{"whole", "GET", writes{pieces: []string{"ab", "c"}}, 3, "abc", false},
		{"large", "GET", writes{pieces: []string{large, large}}, int64(2 * len(large)), large + large, false},
		{"empty", "GET", writes{}, 0, "", false},
		{"head", "HEAD", writes{pieces: []string{"ab", "c"}}, 3, "", false},
		{"fails at the start", "GET", writes{err: io.ErrUnexpectedEOF}, 3, "", true},
		{"fails later", "GET", writes{pieces: []string{large}, err: io.ErrUnexpectedEOF}, int64(2 * len(large)), "", true},
		{"fails after all was sent", "GET", writes{pieces: []string{large}, err: io.ErrUnexpectedEOF}, int64(len(large)), "", true},
		{"too short", "GET", writes{pieces: []string{large}}, int64(len(large)) + 1, "", true},
		{"too long", "GET", writes{pieces: []string{large, large}}, int64(len(large)), "", true},
	} {
		var closed bool
		c.stream.closed = &closed
		_, body, aborted, err := answerAndAbort(t, c.method, &Reply{Stream: c.stream, Length: c.length}, nil)
		if aborted != c.fails {
			t.Errorf("%s: aborted %v", c.name, aborted)
		}
		if (err != nil) != c.fails || !c.fails && string(body) != c.want {
			// An answer that was sent in full before the failure cannot be
			// revoked.
			if c.name != "fails after all was sent" && c.name != "too long" {
				t.Errorf("%s: %d bytes, error %v", c.name, len(body), err)
			}
		}
		if !closed {
			t.Errorf("%s: the stream was not closed", c.name)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	secret := errors.New("the key is 12345")
	for _, c := range []struct {
		name   string
		method string
		err    error
		status int
		want   []string
		empty  bool
	}{
		{name: "code", method: "GET", err: s3err.NoSuchKey, status: 404, want: []string{"<Code>NoSuchKey</Code>", "<RequestId>"}},
		{name: "fields", method: "GET", err: s3err.New(s3err.InvalidArgument, "m<%s>", "&").With("ArgumentName", "\x01"), status: 400,
			want: []string{"<Message>m&lt;&amp;&gt;</Message>", "<ArgumentName>&#x1;</ArgumentName>"}},
		{name: "no code", method: "GET", err: secret, status: 500, want: []string{"<Code>InternalError</Code>"}},
		{name: "cause", method: "GET", err: s3err.Wrap(s3err.SlowDown, secret), status: 503, want: []string{"<Code>SlowDown</Code>"}},
		{name: "head", method: "HEAD", err: s3err.NoSuchKey, status: 404, empty: true},
		{name: "not modified", method: "GET", err: s3err.NotModified, status: 304, empty: true},
	} {
		res, body, err := answer(t, c.method, nil, c.err)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if res.StatusCode != c.status || c.empty != (len(body) == 0) {
			t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
		}
		for _, want := range c.want {
			if !bytes.Contains(body, []byte(want)) {
				t.Errorf("%s: no %s in %s", c.name, want, body)
			}
		}
		if bytes.Contains(body, []byte("12345")) {
			t.Errorf("%s: the cause got out: %s", c.name, body)
		}
		if (c.status == 503) != (res.Header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", c.name, res.Header.Get("Retry-After"))
		}
		if !c.empty && res.Header.Get("Content-Type") != "application/xml" {
			t.Errorf("%s: type %q", c.name, res.Header.Get("Content-Type"))
		}
	}
}

func TestHeadersCannotBeSplit(t *testing.T) {
	res, body, err := answer(t, "GET", &Reply{Header: http.Header{"Content-Type": {"a\r\nSet-Cookie: b"}}}, nil)
	if err != nil || res.StatusCode != 500 || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("%v %v %s", err, res, body)
	}
}

// TestPanics drives a request into a server without an engine.
func TestPanics(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Engine: new(engine.Engine), Log: slog.New(slog.NewTextHandler(&log, nil))})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization",
		"AWS4-HMAC-SHA256 Credential=a/"+s.now().UTC().Format("20060102")+"/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=00")
	r.Header.Set("X-Amz-Date", s.now().UTC().Format("20060102T150405Z"))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "<Code>InternalError</Code>") || strings.Contains(w.Body.String(), "nil pointer") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "stack=") {
		t.Errorf("no stack in the log: %s", log.String())
	}
	if s.seats.taken != 0 || len(s.seats.tenants) != 0 {
		t.Error("the place was not given back")
	}
}
