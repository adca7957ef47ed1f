package gcs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// flip changes one byte of a stream.
type flip struct {
	io.ReadCloser
	at int64 // how many bytes come before it
}

func (f *flip) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 1
	}
	f.at -= int64(n)
	return n, err
}

// cut breaks a stream off.
type cut struct {
	io.ReadCloser
	left int
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errors.New("cut")
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// Bytes that change on their way in are refused by the service or found out from
// its answer, and nothing stays.
func TestFlippedUpload(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	p.lie.Store(&lie{request: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			r.Body = &flip{r.Body, 5000}
		}
		return false
	}})
	for _, size := range []int{10_000, MaxBuffered, MaxBuffered + 1, 3 << 20} {
		for _, announced := range []int64{int64(size), -1} {
			id := backends.NewBlobID()
			err := b.Put(t.Context(), id, bytes.NewReader(make([]byte, size)), announced)
			if !errors.Is(err, backends.ErrCorrupt) {
				t.Errorf("%d bytes, announced %d: %v", size, announced, err)
			}
			if _, err := b.Stat(t.Context(), id); !errors.Is(err, backends.ErrNotFound) {
				t.Errorf("%d bytes, announced %d: it stayed: %v", size, announced, err)
			}
		}
	}
}

func TestFlippedDownload(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	const size = 300_000
	id := mustPut(t, b, strings.Repeat("a", size))
	for _, at := range []int64{0, 150_000, size - 1} {
		p.lie.Store(&lie{answer: func(resp *http.Response) error {
			resp.Body = &flip{resp.Body, at}
			return nil
		}})
		for _, n := range []int64{-1, size, size + 5} {
			if got, err := read(t, b, id, 0, n); !errors.Is(err, backends.ErrCorrupt) || len(got) > size {
				t.Errorf("byte %d flipped, %d read: %d bytes, %v", at, n, len(got), err)
			}
		}
	}
}

// A connection that breaks off says nothing about the blob's length.
func TestCutDownload(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	const size = 300_000
	id := mustPut(t, b, strings.Repeat("a", size))
	for _, left := range []int{0, 1, 299_999} {
		p.lie.Store(&lie{answer: func(resp *http.Response) error {
			resp.Body = &cut{resp.Body, left}
			return nil
		}})
		for _, r := range [][2]int64{{0, -1}, {0, size}, {0, size + 1}} {
			got, err := read(t, b, id, r[0], r[1])
			if !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, io.ErrUnexpectedEOF) || len(got) > left {
				t.Errorf("cut after %d bytes, range %v: %d bytes, %v", left, r, len(got), err)
			}
		}
	}
}

func TestLostAnswer(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	p.lie.Store(&lie{answer: func(*http.Response) error { return errors.New("lost") }})
	id := backends.NewBlobID()
	if err := b.Put(t.Context(), id, strings.NewReader("x"), 1); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("Put: %v", err)
	}
	if err := b.Delete(t.Context(), id); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("Delete: %v", err)
	}
	p.lie.Store(nil)
	if _, err := b.Stat(t.Context(), id); !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("the Delete whose answer was lost had no effect: %v", err)
	}
}

func TestAnswersThatDoNotFit(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	id := mustPut(t, b, strings.Repeat("a", 1000))
	for name, l := range map[string]lie{
		"range ignored": {request: func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Range"); return false }},
		"another range": {request: func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Set("Range", "bytes=11-109")
			return false
		}},
		"a shorter range": {request: func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Set("Range", "bytes=10-100")
			return false
		}},
		"no Content-Range":  {answer: func(resp *http.Response) error { resp.Header.Del("Content-Range"); return nil }},
		"bad Content-Range": {answer: func(resp *http.Response) error { resp.Header.Set("Content-Range", "bytes 10-/1000"); return nil }},
		"compressed": {answer: func(resp *http.Response) error {
			resp.Header.Set("Content-Encoding", "gzip")
			return nil
		}},
	} {
		p.lie.Store(&l)
		if got, err := read(t, b, id, 10, 100); !errors.Is(err, backends.ErrCorrupt) || got != "" {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	p.lie.Store(nil)
	if got, err := read(t, b, id, 10, 100); len(got) != 100 || err != nil {
		t.Errorf("the truth: %d bytes, %v", len(got), err)
	}
}

// An end that the service does not name costs one more request, and is right.
func TestUnnamedEnd(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	id := mustPut(t, b, "0123456789")
	p.lie.Store(&lie{answer: func(resp *http.Response) error {
		if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			resp.Header.Del("Content-Range")
		}
		return nil
	}})
	if got, err := read(t, b, id, 10, -1); got != "" || err != nil {
		t.Errorf("at the end: %q, %v", got, err)
	}
	if _, err := read(t, b, id, 11, -1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestLyingLists(t *testing.T) {
	one, two := strings.Repeat("1", 32), strings.Repeat("2", 32)
	item := func(id string) string {
		return fmt.Sprintf(`{"name":"gateway/%s","size":"1","timeCreated":"2031-01-01T00:00:00Z"}`, id)
	}
	p := newBetween(t)
	b := p.open(t)
	for name, body := range map[string]string{
		"descending":    `{"items":[` + item(two) + `,` + item(one) + `]}`,
		"repeated":      `{"items":[` + item(one) + `,` + item(one) + `]}`,
		"not advancing": `{"nextPageToken":"again"}`,
	} {
		p.lie.Store(&lie{request: func(w http.ResponseWriter, _ *http.Request) bool { io.WriteString(w, body); return true }})
		var last error
		for _, last = range b.List(t.Context(), backends.BlobID{}) {
		}
		if !errors.Is(last, backends.ErrCorrupt) {
			t.Errorf("%s: %v", name, last)
		}
	}
	p.lie.Store(&lie{request: func(w http.ResponseWriter, _ *http.Request) bool { io.WriteString(w, `{"items":[`); return true }})
	for _, err := range b.List(t.Context(), backends.BlobID{}) {
		if !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("half an answer: %v", err)
		}
	}
}

func TestStatuses(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	reason := func(r string) string { return `{"error":{"message":"why","errors":[{"reason":"` + r + `"}]}}` }
	for _, c := range []struct {
		status int
		body   string
		after  string
		want   error
	}{
		{429, reason("rateLimitExceeded"), "", backends.ErrThrottled},
		{429, "", "7", backends.ErrThrottled},
		{503, reason("rateLimitExceeded"), "", backends.ErrThrottled},
		{503, reason("backendError"), "7", backends.ErrThrottled},
		{403, reason("userRateLimitExceeded"), "", backends.ErrThrottled},
		{503, reason("backendError"), "", backends.ErrUnavailable},
		{500, "<html>", "", backends.ErrUnavailable},
		{502, "", "", backends.ErrUnavailable},
		{408, "", "", backends.ErrUnavailable},
		{401, "", "", backends.ErrDenied},
		{403, reason("forbidden"), "", backends.ErrDenied},
		{404, reason("notFound"), "", backends.ErrNotFound},
		{404, `{"error":{"message":"The specified bucket does not exist."}}`, "", ErrNoBucket},
		{413, "", "", backends.ErrFull},
	} {
		p.lie.Store(&lie{request: func(w http.ResponseWriter, _ *http.Request) bool {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
			return true
		}})
		what := fmt.Sprintf("status %d %s", c.status, c.body)
		_, err := b.Stat(t.Context(), backends.NewBlobID())
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
		if errors.Is(err, backends.ErrThrottled) != (c.want == backends.ErrThrottled) {
			t.Errorf("%s: %v: throttled or not?", what, err)
		}
		var th *backends.Throttled
		if c.after != "" && (!errors.As(err, &th) || th.After != 7*time.Second) {
			t.Errorf("%s: Retry-After is lost: %v", what, err)
		}
	}
	p.lie.Store(&lie{request: func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://example.com/", http.StatusTemporaryRedirect)
		return true
	}})
	n := p.count(func() {
		if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "307") {
			t.Errorf("a redirect: %v", err)
		}
	})
	if n != 1 {
		t.Errorf("a redirect led to %d requests", n)
	}
}
