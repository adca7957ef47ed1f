//go:build linux

package transfer

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// behind puts a proxy in front of a server. before sees each request first; if
// it answers the request itself, it returns true. after sees the answer.
func behind(t testing.TB, s *server, before func(http.ResponseWriter, *http.Request) bool, after func(*http.Response) error) *server {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport:      s.Transport,
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host },
		ModifyResponse: after,
		FlushInterval:  -1, // bytes before a fault reach the client
		ErrorLog:       log.New(io.Discard, "", 0),
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	faulty := *s
	faulty.URL = front.URL
	return &faulty
}

// reads reports whether a request reads the bytes of an object.
func reads(r *http.Request, key string) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+key)
}

func writes(r *http.Request, key string) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+key)
}

// quick is New with pauses that a test can wait for.
func quick(t testing.TB, o Options) *Copier {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.from.pause, c.to.pause = time.Millisecond, time.Millisecond
	return c
}

// The source is faulty for one object. That object is reported or, if the fault
// passes, copied. All others are copied.
func TestFaultsOfSource(t *testing.T) {
	real, to := startVersitygw(t), startVersitygw(t)
	flip := func(resp *http.Response) { resp.Body = flipping{resp.Body} }
	for name, c := range map[string]struct {
		before func(n int64, w http.ResponseWriter, r *http.Request) bool
		after  func(n int64, resp *http.Response)
		reason string // empty: copied in the end
		gone   bool
	}{
		"short": {after: func(_ int64, resp *http.Response) { resp.Body = cut(resp.Body) }, reason: "unexpected EOF"},
		"short-once": {after: func(n int64, resp *http.Response) {
			if n == 1 {
				resp.Body = cut(resp.Body)
			}
		}},
		"flipped": {after: func(_ int64, resp *http.Response) { flip(resp) }, reason: errWrong.Error()},
		"flipped-twice": {after: func(n int64, resp *http.Response) {
			if n <= 2 {
				flip(resp)
			}
		}},
		"busy": {before: func(_ int64, w http.ResponseWriter, _ *http.Request) bool { return busy(w) },
			reason: "source: 503 SlowDown: please wait"},
		"busy-twice": {before: func(n int64, w http.ResponseWriter, _ *http.Request) bool { return n <= 2 && busy(w) }},
		"changing": {before: func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
			real.put(t, "changing", "bad", random(5000), minio.PutObjectOptions{})
			return false
		}, reason: "it changed 6 times while it was copied"},
		"changing-once": {before: func(n int64, w http.ResponseWriter, _ *http.Request) bool {
			if n == 1 {
				real.put(t, "changing-once", "bad", random(6000), minio.PutObjectOptions{ContentType: "text/changed"})
			}
			return false
		}},
		"deleted": {before: func(int64, http.ResponseWriter, *http.Request) bool {
			if err := real.core.RemoveObject(context.Background(), "deleted", "bad", minio.RemoveObjectOptions{}); err != nil {
				t.Error(err)
			}
			return false
		}, gone: true},
		"forbidden": {before: func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>")
			return true
		}, reason: "source: 403 InvalidObjectState: archived"},
		"stalling": {after: func(_ int64, resp *http.Response) {
			resp.Body = &stalling{resp.Body, resp.Request.Context(), false}
		},
			reason: errStalled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			real.bucket(t, name)
			for _, key := range []string{"a", "bad", "z"} {
				real.put(t, name, key, random(4000), minio.PutObjectOptions{})
			}
			var asked atomic.Int64
			from := behind(t, real, func(w http.ResponseWriter, r *http.Request) bool {
				return reads(r, "bad") && c.before != nil && c.before(asked.Add(1), w, r)
			}, func(resp *http.Response) error {
				if reads(resp.Request, "bad") && c.after != nil {
					c.after(asked.Add(1), resp)
				}
				return nil
			})
			cp := quick(t, between(from, name, to, name))
			if name == "stalling" {
				cp.stall = 100 * time.Millisecond
			}
			r, err := cp.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := real.states(t, name)
			switch {
			case c.reason != "":
				delete(want, "bad")
				if len(r.Failures) != 1 || r.Failed != 1 || r.Failures[0].Key != "bad" || !strings.Contains(r.Failures[0].Reason, c.reason) || r.Exact() {
					t.Errorf("report: %+v", r)
				}
			case c.gone:
				if r.Vanished != 1 || !r.Exact() || r.Copied.Objects != 2 {
					t.Errorf("report: %+v", r)
				}
			case !r.Exact() || r.Copied.Objects != 3:
				t.Errorf("report: %+v", r)
			}
			sameStates(t, want, to.states(t, name))
		})
	}
}

func busy(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, "<Error><Code>SlowDown</Code><Message>please wait</Message></Error>")
	return true
}

type flipping struct{ io.ReadCloser }

func (f flipping) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 {
		p[n-1] ^= 1
	}
	return n, err
}

// cut ends a body after half of its first bytes.
func cut(body io.ReadCloser) io.ReadCloser {
	b, _ := io.ReadAll(body)
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b[:len(b)/2]), errorReader{}), body}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// stalling gives one byte and then nothing until the reader ends.
type stalling struct {
	io.ReadCloser
	ctx   context.Context
	given bool
}

func (s *stalling) Read(p []byte) (int, error) {
	if !s.given && len(p) > 0 {
		s.given = true
		return s.ReadCloser.Read(p[:1])
	}
	<-s.ctx.Done()
	return 0, io.ErrUnexpectedEOF
}

// The target is faulty.
func TestFaultsOfTarget(t *testing.T) {
	from, real := startVersitygw(t), startVersitygw(t)
	for name, c := range map[string]struct {
		before   func(n int64, w http.ResponseWriter, r *http.Request) bool
		after    func(n int64, resp *http.Response) error
		reason   string
		conflict bool
	}{
		// The object was written, but the answer is lost.
		"lost-answer": {after: func(n int64, _ *http.Response) error {
			if n == 1 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}},
		"other-writer": {before: func(n int64, _ http.ResponseWriter, r *http.Request) bool {
			real.put(t, "other-writer", "bad", []byte("another's"), minio.PutObjectOptions{})
			return false
		}, reason: "another client wrote it", conflict: true},
		"busy": {before: func(_ int64, w http.ResponseWriter, _ *http.Request) bool { return busy(w) }, reason: "target: 503 SlowDown"},
		"wrong-etag": {after: func(_ int64, resp *http.Response) error {
			resp.Header.Set("ETag", `"00000000000000000000000000000000"`)
			resp.Header.Del("x-amz-checksum-crc64nvme")
			return nil
		}, reason: "the target answered with ETag"},
		"wrong-checksum": {after: func(_ int64, resp *http.Response) error {
			resp.Header.Set("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")
			return nil
		}, reason: "the target answered with CRC64NVME"},
	} {
		t.Run(name, func(t *testing.T) {
			from.bucket(t, name)
			for _, key := range []string{"a", "bad", "z"} {
				from.put(t, name, key, random(4000), minio.PutObjectOptions{})
			}
			var asked atomic.Int64
			to := behind(t, real, func(w http.ResponseWriter, r *http.Request) bool {
				return writes(r, "bad") && c.before != nil && c.before(asked.Add(1), w, r)
			}, func(resp *http.Response) error {
				if writes(resp.Request, "bad") && c.after != nil {
					return c.after(asked.Add(1), resp)
				}
				return nil
			})
			r, err := quick(t, between(from, name, to, name)).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c.reason == "" {
				if !r.Exact() {
					t.Errorf("report: %+v", r)
				}
				sameStates(t, from.states(t, name), real.states(t, name))
				return
			}
			if len(r.Failures) != 1 || r.Failures[0].Conflict != c.conflict || r.Exact() || r.Copied.Objects != 2 ||
				!strings.Contains(r.Failures[0].Reason, c.reason) {
				t.Errorf("report: %+v", r)
			}
		})
	}
	if s, err := real.state(t.Context(), "other-writer", "bad"); err != nil || s.size != int64(len("another's")) {
		t.Errorf("the other writer's object: %+v, %v", s, err)
	}
}

// A written object that differs when read back is found by --verify=read.
func TestReadBackFindsDamage(t *testing.T) {
	from, real := startVersitygw(t), startVersitygw(t)
	from.bucket(t, "bucket")
	from.put(t, "bucket", "bad", random(4000), minio.PutObjectOptions{})
	from.putParts(t, "bucket", "parts", minio.PutObjectOptions{}, 5<<20, 10)
	from.put(t, "bucket", "typed", random(4000), minio.PutObjectOptions{ContentType: "text/css"})
	to := behind(t, real, nil, func(resp *http.Response) error {
		if reads(resp.Request, "bad") || reads(resp.Request, "parts") {
			resp.Body = flipping{resp.Body}
		}
		if reads(resp.Request, "typed") {
			resp.Header.Set("Content-Type", "text/html")
		}
		return nil
	})
	o := between(from, "bucket", to, "bucket")
	o.Verify, o.DeleteSource = VerifyRead, true
	r, err := quick(t, o).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(reasons(r), "\n")
	if r.Failed != 3 || strings.Count(all, "differ when read back") != 2 ||
		!strings.Contains(all, "typed false written, but the target has another Content-Type") {
		t.Errorf("%+v", r)
	}
	if left := from.states(t, "bucket"); len(left) != 3 || r.Deleted.Objects != 0 || r.Left.Current.Objects != 3 {
		t.Errorf("the source: %v; report %+v", left, r)
	}
}
