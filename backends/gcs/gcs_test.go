package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// emulator is one fake-gcs-server for all tests, each of which has buckets of
// its own.
var emulator *servers.GCS

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gcs-test")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if emulator, err = servers.StartGCS(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer emulator.Stop()
	return m.Run()
}

func newBucket(t *testing.T) string {
	t.Helper()
	name := "b-" + backends.NewBlobID().String()
	if err := emulator.CreateBucket(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

func mustOpen(t *testing.T, o Options) *Backend {
	t.Helper()
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// local are options for a fresh bucket of the emulator.
func local(t *testing.T) Options {
	return Options{Endpoint: emulator.URL, Bucket: newBucket(t), Prefix: "gateway/", Anonymous: true}
}

func mustPut(t *testing.T, b *Backend, data string) backends.BlobID {
	t.Helper()
	id := backends.NewBlobID()
	if err := b.Put(t.Context(), id, strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	return id
}

func read(t *testing.T, b *Backend, id backends.BlobID, off, n int64) (string, error) {
	t.Helper()
	rc, err := b.Get(t.Context(), id, off, n)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(rc)
	return string(data), errors.Join(err, rc.Close())
}

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend { return mustOpen(t, local(t)) })
}

func TestWithoutPrefix(t *testing.T) {
	o := local(t)
	o.Prefix = ""
	b := mustOpen(t, o)
	id := mustPut(t, b, "body")
	var listed []backends.BlobID
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, info.ID)
	}
	if got, err := read(t, b, id, 0, -1); got != "body" || err != nil || !slices.Equal(listed, []backends.BlobID{id}) {
		t.Errorf("got %q, %v; listed %v, want %v", got, err, listed, id)
	}
}

// lie may answer a request itself and then returns true, or change the
// emulator's answer.
type lie struct {
	request func(w http.ResponseWriter, r *http.Request) bool
	answer  func(resp *http.Response) error
}

// between is a proxy before the emulator that lies, and counts.
type between struct {
	*httptest.Server
	lie      atomic.Pointer[lie]
	mu       sync.Mutex
	requests []string // method, path and query
}

func newBetween(t *testing.T) *between {
	t.Helper()
	target, err := url.Parse(emulator.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &between{}
	transport := &http.Transport{DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
		ModifyResponse: func(resp *http.Response) error {
			if l := p.lie.Load(); l != nil && l.answer != nil {
				return l.answer(resp)
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.String())
		p.mu.Unlock()
		if l := p.lie.Load(); l != nil && l.request != nil && l.request(w, r) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { p.Close(); transport.CloseIdleConnections() })
	return p
}

// open is a backend through the proxy.
func (p *between) open(t *testing.T) *Backend {
	o := local(t)
	o.Endpoint = p.URL
	return mustOpen(t, o)
}

// count is how many requests f causes.
func (p *between) count(f func()) int {
	p.mu.Lock()
	before := len(p.requests)
	p.mu.Unlock()
	f()
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests) - before
}

// The price list: what each operation costs in requests.
func TestRequestsPerOperation(t *testing.T) {
	p := newBetween(t)
	b := p.open(t)
	ctx := t.Context()
	big := strings.Repeat("0123456789abcdef", 1<<20/16*9) // 9 MiB
	small, large := mustPut(t, b, "0123456789"), mustPut(t, b, big)
	for _, c := range []struct {
		name string
		want int
		call func() error
	}{
		{"Put of 4 KiB", 1, func() error { return b.Put(ctx, backends.NewBlobID(), strings.NewReader(big[:4096]), 4096) }},
		{"Put of 9 MiB", 1, func() error {
			return b.Put(ctx, backends.NewBlobID(), strings.NewReader(big), int64(len(big)))
		}},
		{"Put of 9 MiB, size unknown", 1, func() error { return b.Put(ctx, backends.NewBlobID(), strings.NewReader(big), -1) }},
		{"Put that exists", 1, func() error {
			if err := b.Put(ctx, small, strings.NewReader(""), 0); !errors.Is(err, backends.ErrExists) {
				return fmt.Errorf("it gave %w", err)
			}
			return nil
		}},
		{"Get", 1, func() error { _, err := read(t, b, large, 0, -1); return err }},
		{"Get of a part", 1, func() error { _, err := read(t, b, large, 5, 1000); return err }},
		{"Get of nothing", 1, func() error { _, err := read(t, b, small, 10, 0); return err }},
		{"Get of nothing at the end", 2, func() error { _, err := read(t, b, small, 10, -1); return err }},
		{"Stat", 1, func() error { _, err := b.Stat(ctx, small); return err }},
		{"Delete of 3", 3, func() error { return b.Delete(ctx, small, backends.NewBlobID(), backends.NewBlobID()) }},
		{"Check", 3, func() error { return b.Check(ctx) }},
		{"List of a page", 1, func() error {
			for _, err := range b.List(ctx, backends.BlobID{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		if n := p.count(func() {
			if err := c.call(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}); n != c.want {
			t.Errorf("%s takes %d requests, want %d: %v", c.name, n, c.want, p.requests[len(p.requests)-n:])
		}
	}
	for _, r := range p.requests {
		if strings.HasPrefix(r, "POST") && !strings.Contains(r, "ifGenerationMatch=0") {
			t.Errorf("an upload may replace an object: %s", r)
		}
	}
}

func TestForeignObjectsArePassedOver(t *testing.T) {
	o := local(t)
	b := mustOpen(t, o)
	id := mustPut(t, b, "ours")
	other := o
	other.Prefix = "gateway/0" // seen by us, with names that are no ids
	mustPut(t, mustOpen(t, other), "longer")
	other.Prefix = "elsewhere/"
	mustPut(t, mustOpen(t, other), "outside")
	for _, name := range []string{"gateway/README", "gateway/" + strings.Repeat("z", 32), "gateway/" + strings.Repeat("0", 32)} {
		if err := b.insert(t.Context(), name, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	var ids []backends.BlobID
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	if !slices.Equal(ids, []backends.BlobID{id}) {
		t.Errorf("listed %v, want %v", ids, id)
	}
}

func TestReadOnly(t *testing.T) {
	o := local(t)
	id := mustPut(t, mustOpen(t, o), "kept")
	o.ReadOnly = true
	b := mustOpen(t, o)
	if err := b.Put(t.Context(), backends.NewBlobID(), strings.NewReader(""), 0); !errors.Is(err, backends.ErrReadOnly) {
		t.Errorf("Put: %v", err)
	}
	if err := b.Delete(t.Context(), id); !errors.Is(err, backends.ErrReadOnly) {
		t.Errorf("Delete: %v", err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if got, err := read(t, b, id, 0, -1); got != "kept" || err != nil {
		t.Errorf("Get: %q, %v", got, err)
	}
}
