package gcs

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/guard"
)

// endless yields n bytes of nothing.
func endless(n int64) io.Reader { return io.LimitReader(zeros{}, n) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// sink takes uploads and serves downloads of any size without keeping them.
func sink(t *testing.T, size int64) func(w http.ResponseWriter, r *http.Request) bool {
	sum := crc32.New(castagnoli)
	io.Copy(sum, endless(size))
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			w.Header().Set("X-Goog-Hash", "crc32c="+encodeSum(sum.Sum32()))
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
			io.Copy(w, endless(size))
			return true
		}
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Error(err)
		}
		parts := multipart.NewReader(r.Body, params["boundary"])
		got := crc32.New(castagnoli)
		var n int64
		for range 2 { // metadata, data
			part, err := parts.NextPart()
			if err != nil {
				t.Error(err)
				return true
			}
			got.Reset()
			n, _ = io.Copy(got, part)
		}
		fmt.Fprintf(w, `{"size":"%d","crc32c":%q,"generation":"1"}`, n, encodeSum(got.Sum32()))
		return true
	}
}

// Bodies pass through in constant memory, both ways.
func TestMemory(t *testing.T) {
	const size, most = 128 << 20, 8 << 20
	p := newBetween(t)
	b := p.open(t)
	p.lie.Store(&lie{request: sink(t, size)})
	id := backends.NewBlobID()
	for name, call := range map[string]func() error{
		"Put":               func() error { return b.Put(t.Context(), id, endless(size), size) },
		"Put, size unknown": func() error { return b.Put(t.Context(), id, endless(size), -1) },
		"Get": func() error {
			rc, err := b.Get(t.Context(), id, 0, -1)
			if err != nil {
				return err
			}
			defer rc.Close()
			n, err := io.Copy(io.Discard, rc)
			if n != size {
				err = errors.Join(err, fmt.Errorf("%d bytes", n))
			}
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s of %d MiB allocates %d bytes", name, size>>20, used)
		}
	}
}

// lent is a reader that nobody may touch once Put is back.
type lent struct {
	io.Reader
	back atomic.Bool
	t    *testing.T
}

func (l *lent) Read(p []byte) (int, error) {
	if l.back.Load() {
		l.t.Error("the reader was used after Put")
	}
	return l.Reader.Read(p)
}

// A service that answers before it has the body: whatever it says, Put does not
// succeed, and the reader is the caller's again.
func TestEarlyAnswers(t *testing.T) {
	const size = 32 << 20
	p := newBetween(t)
	b := p.open(t)
	for status, body := range map[int]string{
		http.StatusPreconditionFailed: "", http.StatusServiceUnavailable: "", http.StatusForbidden: "",
		http.StatusOK: `{"size":"33554432","crc32c":"AAAAAA==","generation":"1"}`,
	} {
		p.lie.Store(&lie{request: func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			io.WriteString(w, body)
			return true
		}})
		r := &lent{Reader: endless(size), t: t}
		if err := b.Put(t.Context(), backends.NewBlobID(), r, size); err == nil {
			t.Errorf("status %d: Put succeeded", status)
		}
		r.back.Store(true)
	}
}

// With the guard before it, connections that break off now and then are nobody's
// concern.
func TestGuarded(t *testing.T) {
	p := newBetween(t)
	g := guard.New(p.open(t), guard.Options{})
	data := []byte(strings.Repeat("0123456789abcdef", 20_000))
	id := backends.NewBlobID()
	if err := g.Put(t.Context(), id, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	var answers atomic.Int64
	p.lie.Store(&lie{answer: func(resp *http.Response) error {
		if n := answers.Add(1); n%2 == 1 {
			return errors.New("cut before the answer")
		}
		resp.Body = &cut{resp.Body, 150_000}
		return nil
	}})
	for _, r := range [][2]int64{{0, -1}, {5, int64(len(data)) - 5}} {
		rc, err := g.Get(t.Context(), id, r[0], r[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rc)
		if err := errors.Join(err, rc.Close()); err != nil || !bytes.Equal(got, data[r[0]:]) {
			t.Errorf("range %v: %d bytes, %v", r, len(got), err)
		}
	}
	if s := g.Stats(); s.Resumes == 0 || s.Breaker != guard.Closed {
		t.Errorf("nothing was resumed, or the breaker opened: %+v", s)
	}
}
