//go:build linux

package transfer

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
)

// Where ETags prove nothing, equality is found by reading, unless a journal has
// recorded it.
func TestOpaqueETags(t *testing.T) {
	from, to := startVersitygw(t), startVersitygw(t)
	from.bucket(t, "bucket")
	from.put(t, "bucket", "small", random(100), minio.PutObjectOptions{})
	from.putParts(t, "bucket", "parts", minio.PutObjectOptions{}, 5<<20, 5<<20, 100)
	// The source supports neither checksums nor part numbers. So part sizes
	// other than those of common clients are guessed wrongly.
	from.putParts(t, "bucket", "uneven", minio.PutObjectOptions{}, 6<<20, 5<<20, 100)
	source := behind(t, from, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("partNumber") {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}
		return false
	}, func(resp *http.Response) error {
		for name := range resp.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum-") {
				resp.Header.Del(name)
			}
		}
		return nil
	})
	var reads atomic.Int64
	target := behind(t, to, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/bucket/") {
			reads.Add(1)
		}
		return false
	}, nil)
	o := between(source, "bucket", target, "bucket")
	r := must(t, o)
	if r.NotCarried.ETag != 1 || r.NotCarried.Unproven != 2 {
		t.Errorf("the first run: %+v", r.NotCarried)
	}
	reads.Store(0)
	if r = must(t, o); r.Skipped.Objects != 3 || reads.Load() != 1 {
		t.Errorf("without a journal: %+v, %d reads", r, reads.Load())
	}
	o.Journal = filepath.Join(t.TempDir(), "journal")
	must(t, o)
	reads.Store(0)
	if r = must(t, o); r.Skipped.Objects != 3 || reads.Load() != 0 {
		t.Errorf("with a journal: %+v, %d reads", r, reads.Load())
	}
	// Another content of the same length under such an ETag is found.
	to.putParts(t, "bucket", "uneven", minio.PutObjectOptions{}, 8<<20, 3<<20+100)
	r = run(t, t.Context(), o)
	if r.Conflicts != 1 || !strings.Contains(strings.Join(reasons(r), ""), "SHA-256 differs") {
		t.Errorf("another content: %+v", r)
	}
}

// Objects that differ at the target are not changed without permission. Objects
// that only the target has are never changed.
func TestConflicts(t *testing.T) {
	from, to := startVersitygw(t), startVersitygw(t)
	from.bucket(t, "bucket")
	to.bucket(t, "bucket")
	for _, key := range []string{"same", "length", "content", "new"} {
		from.put(t, "bucket", key, []byte("content of "+key), minio.PutObjectOptions{})
	}
	to.put(t, "bucket", "same", []byte("content of same"), minio.PutObjectOptions{})
	to.put(t, "bucket", "length", []byte("other"), minio.PutObjectOptions{})
	to.put(t, "bucket", "content", []byte("CONTENT OF content"), minio.PutObjectOptions{})
	to.put(t, "bucket", "an extra", []byte("x"), minio.PutObjectOptions{})
	to.put(t, "bucket", "z extra", []byte("x"), minio.PutObjectOptions{})
	o := between(from, "bucket", to, "bucket")
	r := run(t, t.Context(), o)
	want := []string{"content true the target has other bytes: their MD5 differs", "length true the target has 5 bytes, the source 17"}
	got := strings.Join(reasons(r), "|")
	if r.Exact() || r.Conflicts != 2 || r.Extra != 2 || r.Copied.Objects != 1 || r.Skipped.Objects != 1 ||
		got != strings.Join(want, "|") {
		t.Errorf("%+v", r)
	}
	o.Overwrite = true
	if r = must(t, o); r.Copied.Objects != 2 || r.Extra != 2 {
		t.Errorf("overwriting: %+v", r)
	}
	all := to.states(t, "bucket")
	delete(all, "an extra")
	delete(all, "z extra")
	sameStates(t, from.states(t, "bucket"), all)
}

func TestPrefixes(t *testing.T) {
	from, to := startVersitygw(t), startVersitygw(t)
	from.bucket(t, "bucket")
	for _, key := range []string{"a/1", "b/1", "b/2", "c/1"} {
		from.put(t, "bucket", key, []byte(key), minio.PutObjectOptions{})
	}
	for name, c := range map[string]struct {
		from, to string
		strip    bool
		want     string
	}{
		"all":     {want: "a/1 b/1 b/2 c/1"},
		"some":    {from: "b/", want: "b/1 b/2"},
		"put":     {to: "x/", want: "x/a/1 x/b/1 x/b/2 x/c/1"},
		"both":    {from: "b/", to: "x/", want: "x/b/1 x/b/2"},
		"instead": {from: "b/", to: "x/", strip: true, want: "x/1 x/2"},
	} {
		t.Run(name, func(t *testing.T) {
			o := between(from, "bucket", to, "prefix-"+name)
			o.From.Prefix, o.To.Prefix, o.StripPrefix = c.from, c.to, c.strip
			must(t, o)
			if r := must(t, o); r.Copied.Objects != 0 || r.Extra != 0 {
				t.Errorf("run again: %+v", r)
			}
			var keys []string
			for e, err := range (place{client: mustClient(t, to), bucket: "prefix-" + name}).objects(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, e.key)
			}
			if got := strings.Join(keys, " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	long := between(from, "bucket", to, "long")
	long.To.Prefix = strings.Repeat("x", MaxKey-2)
	if r := run(t, t.Context(), long); r.Failed != 4 || !strings.Contains(r.Failures[0].Reason, "1025 bytes") {
		t.Errorf("keys that grow too long: %+v", r)
	}
}

// An upload that a killed run left open is aborted by the next run with the
// same journal. Uploads of others are not.
func TestLeftoverUploads(t *testing.T) {
	from, to := startVersitygw(t), startGateway(t)
	from.bucket(t, "bucket")
	to.bucket(t, "bucket")
	from.put(t, "bucket", "object", random(10), minio.PutObjectOptions{})
	o := between(from, "bucket", to, "bucket")
	o.Journal = filepath.Join(t.TempDir(), "journal")
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	own, err := to.core.NewMultipartUpload(t.Context(), "bucket", "own", minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.core.NewMultipartUpload(t.Context(), "bucket", "others", minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(o.Journal, c.purpose())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.began(own, "own"); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	must(t, o)
	left, err := to.core.ListMultipartUploads(t.Context(), "bucket", "", "", "", "", 10)
	if err != nil || len(left.Uploads) != 1 || left.Uploads[0].Key != "others" {
		t.Errorf("%+v, %v", left.Uploads, err)
	}
}

// Only objects that were read back are deleted from the source. A source that
// keeps old versions needs permission first.
func TestDeleteSource(t *testing.T) {
	from, to := startVersitygw(t), startGateway(t)
	from.fill(t, "bucket", 20, oddKeys)
	want := from.states(t, "bucket")
	to.bucket(t, "bucket")
	to.put(t, "bucket", "nothing", []byte("something"), minio.PutObjectOptions{})
	o := between(from, "bucket", to, "bucket")
	must(t, Options{From: Side{Endpoint: from.Endpoint, Bucket: "bucket", Prefix: "many/"}, To: o.To}) // some are copied already
	o.DeleteSource = true
	r := run(t, t.Context(), o)
	if r.Conflicts != 1 || r.Deleted.Objects != int64(len(want)-1) || r.Left.Current.Objects != 1 {
		t.Errorf("%+v, left %+v", r, r.Left)
	}
	if _, err := from.state(t.Context(), "bucket", "nothing"); err != nil {
		t.Errorf("what was not copied must stay: %v", err)
	}
	got := to.states(t, "bucket")
	delete(want, "nothing")
	delete(got, "nothing")
	sameStates(t, want, got)

	versions := behind(t, from, func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("versioning") {
			return false
		}
		w.Write([]byte(`<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`))
		return true
	}, nil)
	o.From.Endpoint = versions.Endpoint
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "as old versions") {
		t.Errorf("a source with old versions: %v", err)
	}
}
