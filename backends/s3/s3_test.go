//go:build linux

package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/internal/servers"
)

const bucket = "sealed"

// The two servers of this package's tests, over plain HTTP and TLS.
var plainServer, tlsServer *servers.S3Server

func TestMain(m *testing.M) { os.Exit(withServers(m)) }

func withServers(m *testing.M) int {
	dir, err := os.MkdirTemp("", "s3-backend-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer func() {
		for _, s := range []*servers.S3Server{plainServer, tlsServer} {
			if s != nil {
				s.Kill() // nothing is needed of it any more
			}
		}
	}()
	if err := startServers(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func startServers(dir string) error {
	ctx, data := context.Background(), filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	cert, err := servers.NewCertificate(dir)
	if err != nil {
		return err
	}
	if plainServer, err = servers.StartVersitygw(ctx, data, filepath.Join(dir, "plain.log")); err != nil {
		return err
	}
	if tlsServer, err = servers.StartVersitygwTLS(ctx, data, filepath.Join(dir, "tls.log"), cert); err != nil {
		return err
	}
	return plainServer.MakeBucket(ctx, bucket)
}

// optionsFor has a prefix of its own, so that tests do not meet.
func optionsFor(s *servers.S3Server) Options {
	return Options{
		Endpoint: s.Endpoint, Bucket: bucket, Prefix: "t/" + rand.Text(), Region: s.Region, Dialect: "versitygw",
		AccessKey: s.AccessKey, SecretKey: s.SecretKey, CAFile: s.CAFile,
	}
}

func mustOpen(t testing.TB, o Options, wrap func(http.RoundTripper) http.RoundTripper) *Backend {
	t.Helper()
	b, err := open(t.Context(), o, wrap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A sniffer keeps what the tests ask of requests.
type sniffer struct {
	mu   sync.Mutex
	seen []string // method and, for requests that are not about an object, the query
	sha  []string // X-Amz-Content-Sha256
}

func (s *sniffer) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		s.mu.Lock()
		s.seen = append(s.seen, req.Method)
		s.sha = append(s.sha, req.Header.Get("X-Amz-Content-Sha256"))
		s.mu.Unlock()
		return next.RoundTrip(req)
	})
}

func (s *sniffer) take() (methods, sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	methods, sha = strings.Join(s.seen, " "), strings.Join(s.sha, " ")
	s.seen, s.sha = nil, nil
	return methods, sha
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return mustOpen(t, optionsFor(plainServer), func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				if strings.Contains(req.Header.Get("X-Amz-Content-Sha256"), "UNSIGNED") {
					t.Errorf("%s over plain HTTP is %s", req.Method, req.Header.Get("X-Amz-Content-Sha256"))
				}
				return next.RoundTrip(req)
			})
		})
	})
}

func TestContractTLS(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend { return mustOpen(t, optionsFor(tlsServer), nil) })
}

// The contract with all that a provider may lack, but for atomic creation.
func TestContractOfDialects(t *testing.T) {
	for _, s := range []*servers.S3Server{plainServer, tlsServer} {
		for name, lack := range map[string]func(*Dialect){
			"no trailers":                 func(d *Dialect) { d.Trailers = false },
			"no checksums":                func(d *Dialect) { d.Trailers, d.CRC32C, d.Echo = false, false, false },
			"no DeleteObjects, all parts": func(d *Dialect) { d.BulkDelete = false; d.SingleLimit = 4 << 20 },
		} {
			t.Run(name+" "+s.Endpoint[:5], func(t *testing.T) {
				b := mustOpen(t, optionsFor(s), nil)
				lack(&b.dialect)
				b.singleLimit = b.dialect.SingleLimit
				for _, n := range []int{0, 1, smallBody, smallBody + 1, 5<<20 + 1, 11 << 20} {
					for _, size := range []int64{int64(n), -1} {
						id, data := backends.NewBlobID(), random(n)
						if err := b.Put(t.Context(), id, bytes.NewReader(data), size); err != nil {
							t.Fatalf("%d bytes, size %d: %v", n, size, err)
						}
						wantBody(t, b, id, data)
						if err := b.Put(t.Context(), id, bytes.NewReader(data), size); !errors.Is(err, backends.ErrExists) {
							t.Errorf("%d bytes, size %d, again: %v", n, size, err)
						}
						if err := b.Delete(t.Context(), id, backends.NewBlobID(), backends.NewBlobID()); err != nil {
							t.Error(err)
						}
						if _, err := b.Stat(t.Context(), id); !errors.Is(err, backends.ErrNotFound) {
							t.Errorf("after Delete: %v", err)
						}
					}
				}
			})
		}
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func wantBody(t *testing.T, b *Backend, id backends.BlobID, want []byte) {
	t.Helper()
	rc, err := b.Get(t.Context(), id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(rc)
	if err := errors.Join(err, rc.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes that are not the %d put", len(got), len(want))
	}
}

// The gateway pays for requests.
func TestRequests(t *testing.T) {
	const (
		signed   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
		unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	)
	for _, s := range []*servers.S3Server{plainServer, tlsServer} {
		sniff := &sniffer{}
		o := optionsFor(s)
		o.SingleLimit, o.PartSize = 6<<20, 5<<20
		b := mustOpen(t, o, sniff.wrap)
		secure := s.CAFile != ""
		want := func(what, methods string) (sha string) {
			t.Helper()
			got, sha := sniff.take()
			if got != methods {
				t.Errorf("%s to %s: requests %q, want %q", what, s.Endpoint, got, methods)
			}
			if !secure && strings.Contains(sha, "UNSIGNED") {
				t.Errorf("%s over plain HTTP is %s", what, sha)
			}
			return sha
		}
		want("Open", "GET")
		put := func(n int, size int64) backends.BlobID {
			t.Helper()
			id := backends.NewBlobID()
			if err := b.Put(t.Context(), id, bytes.NewReader(random(n)), size); err != nil {
				t.Fatal(err)
			}
			return id
		}
		small := put(4096, 4096)
		want("small Put", "PUT")
		large := put(6<<20, 6<<20)
		if secure {
			if sha := want("large Put", "PUT"); sha != unsigned {
				t.Errorf("a large body is %s", sha)
			}
		} else if sha := want("large Put", "PUT HEAD"); !strings.HasPrefix(sha, signed+" ") { // which proves what no checksum does there
			t.Errorf("a large body over plain HTTP is %s", sha)
		}
		put(100, -1)
		want("small Put of unknown size", "PUT")
		put(12<<20, 12<<20)
		want("Put in parts", "POST PUT PUT PUT POST HEAD")
		put(11<<20, -1)
		want("Put in parts of unknown size", "POST PUT PUT PUT POST HEAD")
		for _, r := range [][2]int64{{0, -1}, {0, 4096}, {100, 10}, {100, -1}, {0, 0}} {
			rc, err := b.Get(t.Context(), small, r[0], r[1])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, rc); err != nil {
				t.Error(err)
			}
			rc.Close()
			if r[1] == 0 {
				want("empty Get", "HEAD")
			} else {
				want("Get", "GET")
			}
		}
		if _, err := b.Stat(t.Context(), large); err != nil {
			t.Error(err)
		}
		want("Stat", "HEAD")
		if err := b.Delete(t.Context(), small, large, small); err != nil {
			t.Error(err)
		}
		want("Delete", "POST")
		if err := b.Delete(t.Context(), small); err != nil {
			t.Error(err)
		}
		want("Delete of one", "DELETE")
		for range b.List(t.Context(), backends.BlobID{}) {
		}
		want("List", "GET")
		if err := b.Check(t.Context()); err != nil {
			t.Error(err)
		}
		want("Check", "PUT GET DELETE")
	}
}

// The probe finds what the table says, and leaves nothing behind.
func TestProbe(t *testing.T) {
	want := dialectNamed("versitygw")
	for _, s := range []*servers.S3Server{plainServer, tlsServer} {
		o := optionsFor(s)
		o.Dialect, o.Region = "", ""
		b := mustOpen(t, o, nil)
		got := b.Dialect()
		if b.Region() != s.Region {
			t.Errorf("region %q, want %q", b.Region(), s.Region)
		}
		for _, f := range []struct {
			name      string
			got, want bool
		}{
			{"conditional", got.Conditional, want.Conditional}, {"crc32c", got.CRC32C, want.CRC32C}, {"echo", got.Echo, want.Echo},
			{"trailers", got.Trailers, want.Trailers && s.CAFile != ""}, {"streaming", got.Streaming, want.Streaming},
			{"md5 etag", got.MD5ETag, want.MD5ETag}, {"bulk delete", got.BulkDelete, want.BulkDelete},
		} {
			if f.got != f.want {
				t.Errorf("%s at %s: probed %v, the table says %v", f.name, s.Endpoint, f.got, f.want)
			}
		}
		wantEmpty(t, b)
	}
}

// A blob in parts is created once too.
func TestPartsCreateOnce(t *testing.T) {
	o := optionsFor(plainServer)
	o.SingleLimit, o.PartSize = 5<<20, 5<<20
	b := mustOpen(t, o, nil)
	for _, size := range []int64{6 << 20, -1} {
		id, data := backends.NewBlobID(), random(6<<20)
		for i, want := range []error{nil, backends.ErrExists} {
			r := io.Reader(bytes.NewReader(data))
			if i > 0 {
				r = bytes.NewReader(random(len(data)))
			}
			if err := b.Put(t.Context(), id, r, size); !errors.Is(err, want) {
				t.Errorf("Put %d of size %d: %v, want %v", i, size, err, want)
			}
		}
		wantBody(t, b, id, data)
	}
	wantNoUploads(t, b)
}

// wantEmpty looks for all that is below the prefix, blobs and other things.
func wantEmpty(t *testing.T, b *Backend) {
	t.Helper()
	p, err := b.page(t.Context(), "", "", pageSize)
	if err != nil || len(p.Contents) > 0 {
		t.Errorf("left behind: %+v, %v", p.Contents, err)
	}
}

func wantNoUploads(t *testing.T, b *Backend) {
	t.Helper()
	for u := range b.core.ListIncompleteUploads(t.Context(), bucket, b.opts.Prefix, true) {
		t.Errorf("an upload is left: %+v", u)
	}
}

// A failed upload leaves no parts; those of a gateway that died are swept.
func TestSweep(t *testing.T) {
	o := optionsFor(plainServer)
	o.SingleLimit, o.PartSize = 5<<20, 5<<20
	b := mustOpen(t, o, nil)
	broken := errors.New("broken")
	for _, size := range []int64{12 << 20, -1} {
		r := io.MultiReader(bytes.NewReader(random(11<<20)), failing{broken})
		if err := b.Put(t.Context(), backends.NewBlobID(), r, size); !errors.Is(err, broken) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	wantNoUploads(t, b)
	begin := func(key string) {
		t.Helper()
		if _, err := b.core.NewMultipartUpload(t.Context(), bucket, key, b.putOptions()); err != nil {
			t.Fatal(err)
		}
	}
	begin(b.key(backends.NewBlobID()))
	begin(b.opts.Prefix + "foreign")
	for _, c := range []struct {
		before time.Time
		want   int
	}{{time.Now().Add(-time.Hour), 0}, {time.Now().Add(time.Hour), 1}, {time.Now().Add(time.Hour), 0}} {
		if n, err := b.Sweep(t.Context(), c.before); n != c.want || err != nil {
			t.Errorf("Sweep removed %d, %v; want %d", n, err, c.want)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Objects that are no blobs are not listed, whatever their names.
func TestForeignNames(t *testing.T) {
	b := mustOpen(t, optionsFor(plainServer), nil)
	id := backends.NewBlobID()
	if err := b.Put(t.Context(), id, strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0", "zzz", ".check-left", "sub/" + backends.NewBlobID().String(), strings.ToUpper(id.String()) + "X",
		backends.BlobID{}.String()} {
		if err := b.putBytes(t.Context(), b.opts.Prefix+name, []byte("foreign")); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if n++; err != nil || info.ID != id {
			t.Errorf("List yields %v, %v", info, err)
		}
	}
	if n != 1 {
		t.Errorf("List yields %d", n)
	}
}

func TestReadOnly(t *testing.T) {
	o := optionsFor(plainServer)
	w := mustOpen(t, o, nil)
	id := backends.NewBlobID()
	if err := w.Put(t.Context(), id, strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly, o.Dialect = true, ""
	sniff := &sniffer{}
	b := mustOpen(t, o, sniff.wrap)
	wantBody(t, b, id, []byte("x"))
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		b.Put(t.Context(), backends.NewBlobID(), strings.NewReader("x"), 1),
		b.Delete(t.Context(), id),
	} {
		if !errors.Is(err, backends.ErrReadOnly) {
			t.Error(err)
		}
	}
	if methods, _ := sniff.take(); strings.Trim(methods, "GET ") != "" {
		t.Errorf("a read-only backend sent %s", methods)
	}
}
