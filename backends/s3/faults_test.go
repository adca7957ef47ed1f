//go:build linux

package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// A liar stands before a real server over TLS and answers as it likes. Its lie
// reports whether it has answered.
type liar struct {
	*Backend
	lie atomic.Pointer[func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool]
}

func newLiar(t *testing.T, adjust func(*Options)) *liar {
	t.Helper()
	cert, err := servers.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(plainServer.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	honest := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }, // the host is signed
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	l := &liar{}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lie := l.lie.Load(); lie == nil || !(*lie)(w, r, honest) {
			honest.ServeHTTP(w, r)
		}
	}))
	front.TLS = mustTLS(t, cert)
	front.StartTLS()
	t.Cleanup(front.Close)
	o := optionsFor(plainServer)
	o.Endpoint, o.CAFile = front.URL, cert.CertFile
	if adjust != nil {
		adjust(&o)
	}
	l.Backend = mustOpen(t, o, nil)
	return l
}

func (l *liar) tell(lie func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool) {
	l.lie.Store(&lie)
}

// answer is a lie about every request of the method, or of all.
func answer(method string, status int, header, body string) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if method != "" && r.Method != method {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

func errorBody(code string) string {
	return "<Error><Code>" + code + "</Code><Message>Authorization Signature=deadbeef</Message></Error>"
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		c.Close()
	}
}

// Each answer amounts to one error, whatever the call. Texts of the answer
// are not repeated, and neither is a key.
func TestAnswers(t *testing.T) {
	l := newLiar(t, nil)
	id := backends.NewBlobID()
	if err := l.Put(t.Context(), id, strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status       int
		header, code string
		want         error
		text         string
	}{
		{503, "Retry-After: 7", "SlowDown", backends.ErrThrottled, "for 7s"},
		{503, "", "SlowDown", backends.ErrThrottled, ""},
		{503, "Retry-After: 7", "ServiceUnavailable", backends.ErrThrottled, "for 7s"},
		{503, "", "ServiceUnavailable", backends.ErrUnavailable, ""},
		{429, "", "Whatever", backends.ErrThrottled, ""},
		{400, "", "RequestLimitExceeded", backends.ErrThrottled, ""},
		{500, "", "InternalError", backends.ErrUnavailable, ""},
		{502, "", "", backends.ErrUnavailable, ""},
		{400, "", "RequestTimeout", backends.ErrUnavailable, ""},
		{403, "", "RequestTimeTooSkewed", backends.ErrDenied, "clock"},
		{403, "", "SignatureDoesNotMatch", backends.ErrDenied, "secret key"},
		{403, "", "InvalidAccessKeyId", backends.ErrDenied, "access key"},
		{400, "", "ExpiredToken", backends.ErrDenied, "token"},
		{403, "", "AccessDenied", backends.ErrDenied, "right"},
		{401, "", "Whatever", backends.ErrDenied, ""},
		{301, "", "PermanentRedirect", backends.ErrDenied, "region"},
		{404, "", "NoSuchBucket", ErrNoBucket, bucket},
		{507, "", "Whatever", backends.ErrFull, ""},
		{400, "", "QuotaExceeded", backends.ErrFull, ""},
		{400, "", "BadDigest", backends.ErrCorrupt, ""},
		{400, "", "a Signature=deadbeef", nil, "without a known code"},
	} {
		l.tell(answer("", c.status, c.header, errorBody(c.code)))
		var listed error
		for _, listed = range l.List(t.Context(), backends.BlobID{}) {
		}
		_, get := l.Get(t.Context(), id, 0, -1)
		for call, err := range map[string]error{
			"Put":          l.Put(t.Context(), backends.NewBlobID(), strings.NewReader("x"), 1),
			"large Put":    l.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(random(1<<20)), 1<<20),
			"Put in parts": l.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(random(6<<20)), -1),
			"Get":          get,
			"Delete":       l.Delete(t.Context(), id),
			"Delete two":   l.Delete(t.Context(), id, backends.NewBlobID()),
			"List":         listed,
			"Check":        l.Check(t.Context()),
		} {
			if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s, %d %s: %v, want %v with %q", call, c.status, c.code, err, c.want, c.text)
			}
			wantNoSecrets(t, err)
		}
	}
}

func wantNoSecrets(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{plainServer.SecretKey, plainServer.AccessKey, "ignature=", "deadbeef"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("an error tells a secret: %v", err)
		}
	}
}

// A server that stores other bytes than it was given, or none.
func TestLiesAboutStoring(t *testing.T) {
	l := newLiar(t, func(o *Options) { o.SingleLimit, o.PartSize = 5<<20, 5<<20 })
	forget := func(sum string) func(http.ResponseWriter, *http.Request, http.Handler) bool {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method != http.MethodPut {
				return false
			}
			w.Header().Set("ETag", `"00000000000000000000000000000000"`)
			w.Header().Set(crc32cHeader, sum)
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusOK)
			return true
		}
	}
	early := func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusOK)
		return true
	}
	for name, lie := range map[string]func(http.ResponseWriter, *http.Request, http.Handler) bool{
		"no checksum": forget(""), "another checksum": forget(encodeCRC(1)),
	} {
		l.tell(lie)
		for _, c := range []struct{ n, size int }{{0, 0}, {100, 100}, {100, -1}, {1 << 20, 1 << 20}, {6 << 20, 6 << 20}, {6 << 20, -1}} {
			err := l.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(random(c.n)), int64(c.size))
			if !errors.Is(err, backends.ErrCorrupt) {
				t.Errorf("%s, %d bytes, size %d: %v", name, c.n, c.size, err)
			}
		}
	}
	l.tell(early)
	if l.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(random(4<<20)), 4<<20) == nil {
		t.Error("success before the body was sent is believed")
	}
	l.tell(answer(http.MethodPost, http.StatusOK, "", errorBody("InternalError")))
	if err := l.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(random(6<<20)), -1); err == nil {
		t.Error("an error in a 200 is believed to be a success")
	}
	l.lie.Store(nil)
	wantNoUploads(t, l.Backend)
}

// A flipped byte in a whole blob shows in its checksum.
func TestFlippedByte(t *testing.T) {
	l := newLiar(t, nil)
	for _, n := range []int{1, 1000, 200_000} {
		id, data := backends.NewBlobID(), random(n)
		if err := l.Put(t.Context(), id, bytes.NewReader(data), int64(n)); err != nil {
			t.Fatal(err)
		}
		l.tell(func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
			rec := httptest.NewRecorder()
			honest.ServeHTTP(rec, r)
			for name, values := range rec.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(rec.Code)
			if rec.Body.Len() > 0 {
				rec.Body.Bytes()[rec.Body.Len()/2] ^= 1
			}
			_, _ = w.Write(rec.Body.Bytes())
			return true
		})
		rc, err := l.Get(t.Context(), id, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(rc); !errors.Is(err, backends.ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
		rc.Close()
		l.lie.Store(nil)
	}
}

// Connections that end before or after an effect, and half way.
func TestCuts(t *testing.T) {
	l := newLiar(t, nil)
	put := func(n int) (backends.BlobID, error) {
		id := backends.NewBlobID()
		return id, l.Put(t.Context(), id, bytes.NewReader(random(n)), int64(n))
	}
	for _, n := range []int{100, 1 << 20} {
		l.tell(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool { cut(w); return true })
		id, err := put(n)
		if !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("cut before the effect: %v", err)
		}
		l.lie.Store(nil)
		if _, err := l.Stat(t.Context(), id); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("cut before the effect: Stat gives %v", err)
		}
		l.tell(func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
			honest.ServeHTTP(httptest.NewRecorder(), r)
			cut(w)
			return true
		})
		if id, err = put(n); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("cut after the effect: %v", err)
		}
		l.lie.Store(nil)
		if info, err := l.Stat(t.Context(), id); err != nil || info.Size != int64(n) {
			t.Errorf("cut after the effect: Stat gives %+v, %v", info, err)
		}
		l.tell(func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Length", fmt.Sprint(n))
			_, _ = w.Write(make([]byte, n/2))
			panic(http.ErrAbortHandler)
		})
		rc, err := l.Get(t.Context(), id, 0, int64(n))
		if err == nil {
			_, err = io.ReadAll(rc)
			rc.Close()
		}
		// A short blob would be damage; this is not.
		if !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut in the body: %v", err)
		}
		l.lie.Store(nil)
	}
}

// A server that stands still is given up, in any phase.
func TestStandstill(t *testing.T) {
	l := newLiar(t, func(o *Options) { o.HeaderTimeout, o.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond })
	id := backends.NewBlobID()
	if err := l.Put(t.Context(), id, strings.NewReader("12"), 2); err != nil {
		t.Fatal(err)
	}
	complete := true // headers, that is
	over := make(chan struct{})
	defer close(over)
	l.tell(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method == http.MethodGet {
			if complete {
				w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			}
			w.Header().Set("Content-Length", "2")
			_, _ = w.Write([]byte("1"))
			w.(http.Flusher).Flush()
		}
		<-over // a server that does not read does not see that the client has gone
		return true
	})
	if _, err := l.Stat(t.Context(), id); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("Stat: %v", err)
	}
	for range 2 {
		rc, err := l.Get(t.Context(), id, 0, 2)
		if err == nil {
			_, err = io.ReadAll(rc)
			rc.Close()
		}
		if err == nil || (complete && !errors.Is(err, backends.ErrUnavailable)) {
			t.Errorf("Get: %v", err)
		}
		complete = false // then minio-go drops the answer, and must not hang over it
	}
	// Larger than what sockets take before anybody reads.
	if err := l.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(random(32<<20)), 32<<20); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("Put: %v", err)
	}
}

// A server that ignores ranges, or sends another one.
func TestLiesAboutRanges(t *testing.T) {
	l := newLiar(t, nil)
	id := backends.NewBlobID()
	if err := l.Put(t.Context(), id, strings.NewReader("0123456789"), 10); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status int
		header string
		off    int64
		ok     bool
	}{
		{http.StatusOK, "", 0, true},
		{http.StatusOK, "", 1, false},
		{http.StatusPartialContent, "Content-Range: bytes 2-11/100", 1, false},
	} {
		l.tell(answer(http.MethodGet, c.status, c.header, "0123456789"))
		rc, err := l.Get(t.Context(), id, c.off, 5)
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil {
			if got, err := io.ReadAll(rc); string(got) != "01234" || err != nil {
				t.Errorf("%+v: %q, %v", c, got, err)
			}
			rc.Close()
		}
	}
}
