//go:build linux

package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// server is an S3 server of a test: an endpoint for the copier, and minio-go, a
// client other than ours, to fill and examine it.
type server struct {
	Endpoint
	core *minio.Core
	// once opens a connection for each request, because versitygw takes the end
	// of an empty chunked body for another request.
	once *minio.Core
}

func newServer(t testing.TB, endpoint, host, accessKey, secretKey string) *server {
	t.Helper()
	transport := NewTransport(64, nil)
	t.Cleanup(transport.CloseIdleConnections)
	once := transport.Clone()
	once.DisableKeepAlives = true
	core := func(t testing.TB, transport *http.Transport) *minio.Core {
		c, err := minio.NewCore(host, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""),
			Region: "us-east-1", BucketLookup: minio.BucketLookupPath, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return &server{core: core(t, transport), once: core(t, once), Endpoint: Endpoint{URL: endpoint, Region: "us-east-1", Transport: transport, Checksums: true,
		Credentials: func(context.Context) (Credential, error) {
			return Credential{AccessKey: accessKey, SecretKey: secretKey}, nil
		}}}
}

// startVersitygw runs an S3 server until the test ends.
func startVersitygw(t testing.TB) *server {
	t.Helper()
	s, err := servers.StartVersitygw(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return newServer(t, s.Endpoint, s.Host(), s.AccessKey, s.SecretKey)
}

func (s *server) bucket(t testing.TB, name string) {
	t.Helper()
	if err := s.core.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *server) put(t testing.TB, bucket, key string, body []byte, o minio.PutObjectOptions) string {
	t.Helper()
	o.SendContentMd5 = true
	core := s.core
	if len(body) == 0 {
		core = s.once
	}
	info, err := core.PutObject(t.Context(), bucket, key, bytes.NewReader(body), int64(len(body)), "", "", o)
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return info.ETag
}

// putParts creates a multipart object with parts of the given sizes.
func (s *server) putParts(t testing.TB, bucket, key string, o minio.PutObjectOptions, sizes ...int) string {
	t.Helper()
	id, err := s.core.NewMultipartUpload(t.Context(), bucket, key, o)
	if err != nil {
		t.Fatal(err)
	}
	var parts []minio.CompletePart
	for i, size := range sizes {
		p, err := s.core.PutObjectPart(t.Context(), bucket, key, id, i+1, bytes.NewReader(random(size)), int64(size), minio.PutObjectPartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, minio.CompletePart{PartNumber: i + 1, ETag: p.ETag})
	}
	info, err := s.core.CompleteMultipartUpload(t.Context(), bucket, key, id, parts, minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info.ETag
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// state is an object as a client sees it.
type state struct {
	etag, sha  string
	size       int64
	attributes http.Header
}

// states reads everything in a bucket, with minio-go.
func (s *server) states(t testing.TB, bucket string) map[string]state {
	t.Helper()
	all := map[string]state{}
	var mu sync.Mutex
	keys := make(chan string)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for key := range keys {
				st, err := s.state(t.Context(), bucket, key)
				if err != nil {
					t.Errorf("read %q: %v", key, err)
					continue
				}
				mu.Lock()
				all[key] = st
				mu.Unlock()
			}
		})
	}
	for o := range s.core.Client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		keys <- o.Key
	}
	close(keys)
	readers.Wait()
	return all
}

func (s *server) state(ctx context.Context, bucket, key string) (state, error) {
	r, info, h, err := s.core.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return state{}, err
	}
	defer r.Close()
	d := newDigests("", true)
	n, err := io.Copy(d, r)
	return state{info.ETag, fmt.Sprintf("%x", d.sha.Sum(nil)), n, attributes(h)}, err
}

// sameStates compares two buckets completely.
func sameStates(t testing.TB, want, got map[string]state) {
	t.Helper()
	for key, w := range want {
		g, ok := got[key]
		switch {
		case !ok:
			t.Errorf("%q is missing", key)
		case w.etag != g.etag || w.sha != g.sha || w.size != g.size:
			t.Errorf("%q: %+v, want %+v", key, g, w)
		case len(differing(w.attributes, g.attributes)) > 0:
			t.Errorf("%q differs in %v: %v, want %v", key, differing(w.attributes, g.attributes), g.attributes, w.attributes)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%q is too much", key)
		}
	}
}

// fill creates a bucket with objects of all kinds: n small ones, some with
// metadata, unusual keys that this server can store, and a few with several
// parts.
func (s *server) fill(t testing.TB, bucket string, n int, odd []string) {
	t.Helper()
	s.bucket(t, bucket)
	rich := minio.PutObjectOptions{ContentType: "text/plain; charset=utf-8", CacheControl: "max-age=60", ContentDisposition: `attachment; filename="a b"`,
		ContentLanguage: "de", UserMetadata: map[string]string{"Owner": "someone", "empty": "", "long": strings.Repeat("v", 500)}}
	jobs := make(chan int)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for i := range jobs {
				o := minio.PutObjectOptions{}
				if i%10 == 0 {
					o = rich
				}
				s.put(t, bucket, fmt.Sprintf("many/%03d/object-%05d", i%37, i), random(i%2000), o)
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	writers.Wait()
	for i, key := range odd {
		s.put(t, bucket, key, random(100+i), rich)
	}
	s.put(t, bucket, "zipped", random(3000), minio.PutObjectOptions{ContentEncoding: "gzip", ContentType: "text/html"})
	s.put(t, bucket, "nothing", nil, minio.PutObjectOptions{})
	s.putParts(t, bucket, "parts/two", rich, 5<<20, 100)
	s.putParts(t, bucket, "parts/three", minio.PutObjectOptions{}, 6<<20, 5<<20, 5<<20+1)
	s.putParts(t, bucket, "parts/one", minio.PutObjectOptions{}, 1000)
}

// Unusual keys. Path-like servers cannot store the second list.
var (
	oddKeys = []string{
		"a b/c+d%2Fe&f=g?h#i", "ünï/cödé 日本語 \U0001F600", "a.b", "a-b", "a/b", "it's \"quoted\" <&>;",
		"tilde~star*(brackets)[]{}|^`", "back\\slash",
		strings.Repeat("k", 200) + "/" + strings.Repeat("l/", 300) + strings.Repeat("m", 223),
	}
	nonPathKeys = []string{
		"a", "a//b", "/leading", "trailing/", "x/..", "x/../y/..", "x/./y", "x/../y", "//",
		strings.Repeat("n", 1024), "\t\x01\x7f", "*", "%", "%zz", "+",
	}
)

// options are those of a copy between two servers of a test.
func between(from *server, source string, to *server, target string) Options {
	return Options{From: Side{Endpoint: from.Endpoint, Bucket: source}, To: Side{Endpoint: to.Endpoint, Bucket: target}, Survey: true}
}

// must runs a copy that must end exact.
func must(t testing.TB, o Options) *Report {
	t.Helper()
	r := run(t, t.Context(), o)
	if !r.Exact() {
		t.Fatalf("not exact: %+v", r)
	}
	return r
}

func run(t testing.TB, ctx context.Context, o Options) *Report {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Run(ctx)
	if err != nil && !r.Interrupted {
		t.Fatal(err)
	}
	return r
}

// reasons are the reasons that a report gives for the failed keys.
func reasons(r *Report) (all []string) {
	for _, f := range r.Failures {
		all = append(all, fmt.Sprintf("%s %t %s", f.Key, f.Conflict, f.Reason))
	}
	slices.Sort(all)
	return all
}
