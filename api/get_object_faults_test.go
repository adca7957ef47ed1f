package api_test

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// watched is a backend that counts readers which were not closed, and flips a
// bit of every blob at an offset.
type watched struct {
	backends.Backend
	open   atomic.Int64
	opened atomic.Int64
	flipAt atomic.Int64 // in the blob; negative: nothing is flipped
}

func (w *watched) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	r, err := w.Backend.Get(ctx, id, off, n)
	if err != nil {
		return nil, err
	}
	w.open.Add(1)
	w.opened.Add(1)
	return &watchedReader{ReadCloser: r, w: w, at: off}, nil
}

type watchedReader struct {
	io.ReadCloser
	w  *watched
	at int64
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if i := r.w.flipAt.Load() - r.at; i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	r.at += int64(n)
	return n, err
}

func (r *watchedReader) Close() error {
	r.w.open.Add(-1)
	return r.ReadCloser.Close()
}

func startWatched(t *testing.T) (*gatewaytest.Gateway, *watched, chan api.Observation) {
	t.Helper()
	w := &watched{Backend: mem.New()}
	w.flipAt.Store(-1)
	finished := make(chan api.Observation, 64)
	g := gatewaytest.Start(t, gatewaytest.Options{Backend: w, Observe: func(o api.Observation) {
		if o.Operation == "GetObject" {
			finished <- o
		}
	}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	return g, w, finished
}

// A flipped bit is an error before the first byte, or breaks the connection
// before the bad byte. There is never a clean end and never a wrong byte.
func TestGetObjectTampered(t *testing.T) {
	g, w, finished := startWatched(t)
	for _, size := range []int{70_000, 1 << 20, 2 << 20} {
		body := bytesOf(size)
		g.Must(t, 200, "PUT", "/bkt/k", body)
		for _, at := range []int{200, size / 2, size - 1} {
			w.flipAt.Store(int64(at))
			r := g.Request(t, "GET", "/bkt/k", nil)
			g.Sign(t, r, g.Root, nil)
			res, err := g.Client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			<-finished
			switch {
			case res.StatusCode == 500:
				if bytes.Contains(got, []byte("blob")) {
					t.Errorf("the error shows internal details: %s", got)
				}
			case size <= 1<<20:
				t.Errorf("%d bytes, flipped at %d: %d before all was verified", size, at, res.StatusCode)
			case err == nil:
				t.Errorf("%d bytes, flipped at %d: a clean end after %d bytes", size, at, len(got))
			case !bytes.HasPrefix(body, got):
				t.Errorf("%d bytes, flipped at %d: wrong bytes were sent", size, at)
			}
		}
		w.flipAt.Store(-1)
		if !bytes.Equal(content(t, g, "/bkt/k"), body) {
			t.Errorf("%d bytes: another content", size)
		}
		<-finished
	}
	if n := w.open.Load(); n != 0 {
		t.Errorf("%d readers of blobs were left open", n)
	}
}

// A blob's reader is closed, however a request ends.
func TestGetObjectClosesReaders(t *testing.T) {
	g, w, finished := startWatched(t)
	etag := g.Must(t, 200, "PUT", "/bkt/k", bytesOf(8<<20)).Header.Get("ETag")
	for _, c := range []struct {
		target  string
		headers []string
	}{
		{"/bkt/k", nil},
		{"/bkt/k", []string{"Range", "bytes=5000000-"}},
		{"/bkt/k", []string{"Range", "bytes=0-1", "If-Range", etag}},
		{"/bkt/k", []string{"Range", "bytes=90000000-"}},
		{"/bkt/k", []string{"If-None-Match", etag}},
		{"/bkt/k", []string{"If-Match", "x"}},
		{"/bkt/k?response-expires=%0A", nil},
	} {
		g.Do(t, g.Root, "GET", c.target, nil, c.headers...)
		<-finished
		g.Do(t, g.Root, "HEAD", c.target, nil, c.headers...)
		if n := w.open.Load(); n != 0 {
			t.Errorf("%s %q: %d readers are open", c.target, c.headers, n)
		}
	}
	for _, taken := range []int64{0, 1, 100_000, 2_000_000} {
		r := g.Request(t, "GET", "/bkt/k", nil)
		g.Sign(t, r, g.Root, nil)
		res, err := g.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.CopyN(io.Discard, res.Body, taken)
		res.Body.Close() // with bytes outstanding: cuts the connection
		<-finished
		if n := w.open.Load(); n != 0 {
			t.Errorf("a client that left after %d bytes: %d readers are open", taken, n)
		}
	}
	if w.opened.Load() == 0 {
		t.Error("no blob was read at all")
	}
}
