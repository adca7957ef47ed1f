package engine_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

func init() {
	engine.Findings = func(ctx context.Context, e *engine.Engine) (fs []engine.Finding, err error) {
		report, err := fsck.Run(ctx, e, fsck.Options{})
		for _, f := range report.Findings {
			fs = append(fs, engine.Finding{Kind: f.Kind, Bucket: f.Bucket, Key: f.Key, Version: f.Version, Upload: f.Upload, Detail: f.Detail})
		}
		return fs, err
	}
}

// rig is an engine on a real SQLite store, a real keyring and a backend in
// memory, any of which a test may put something in front of.
type rig struct {
	t       *testing.T
	config  engine.Config
	store   meta.Store
	path    string // of the store's file
	backend backends.Backend
	keys    encrypt.Provider
	e       *engine.Engine
	b       meta.Bucket
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := newBareRig(t)
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	return r
}

// newBareRig is a rig whose engine is yet to be opened.
func newBareRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	keys, err := keyring.Create(filepath.Join(dir, "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "meta.db")
	store, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: store, path: path, backend: mem.New(), keys: keys}
	t.Cleanup(func() {
		r.e.Close()
		store.Close()
		r.backend.Close()
		keys.Close()
	})
	r.config = engine.Config{Store: r.store, Backends: local(r.backend), Keys: r.keys, Sole: true, Grace: -1}
	return r
}

// local is the only backend of a configuration.
func local(b backends.Backend) []blobs.Backend { return []blobs.Backend{{Name: "local", Backend: b}} }

// reopen starts another engine on the same parts, as a new process would.
func (r *rig) reopen() {
	r.t.Helper()
	e, err := engine.Open(context.Background(), r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.e = e
}

// body is n bytes that a test can make again.
func body(seed uint64, n int) []byte {
	p := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	src.Read(p)
	return p
}

func (r *rig) put(key string, data []byte) (engine.Object, error) {
	return r.e.PutObject(r.t.Context(), engine.PutObject{
		Bucket: r.b, Key: key, Owner: r.b.Owner,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data)), ChecksumAlgorithm: engine.CRC64NVME},
	})
}

func (r *rig) mustPut(key string, data []byte) engine.Object {
	r.t.Helper()
	o, err := r.put(key, data)
	if err != nil {
		r.t.Fatalf("put %q of %d bytes: %v", key, len(data), err)
	}
	if want := weakhash.MD5(data); o.ETag != hex.EncodeToString(want[:]) {
		r.t.Fatalf("ETag of %q is %s, want %x", key, o.ETag, want)
	}
	return o
}

// get reads an object or a range of it, whole.
func (r *rig) get(key string, g *engine.Range) ([]byte, error) {
	rd, err := r.e.GetObject(r.t.Context(), engine.GetObject{Bucket: r.b, Key: key, Range: g})
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	var out bytes.Buffer
	n, err := rd.WriteTo(&out)
	if err == nil && n != rd.Length {
		r.t.Errorf("get %q: wrote %d bytes, promised %d", key, n, rd.Length)
	}
	return out.Bytes(), err
}

func (r *rig) wantBody(key string, want []byte) {
	r.t.Helper()
	got, err := r.get(key, nil)
	if err != nil || !bytes.Equal(got, want) {
		r.t.Fatalf("get %q: %d bytes, error %v; want %d bytes exactly", key, len(got), err, len(want))
	}
}

func (r *rig) wantAbsent(key string) {
	r.t.Helper()
	if _, err := r.get(key, nil); !errors.Is(err, s3err.NoSuchKey) {
		r.t.Fatalf("get %q: error %v, want NoSuchKey", key, err)
	}
}

func (r *rig) delete(key string) {
	r.t.Helper()
	if _, err := r.e.DeleteObject(r.t.Context(), r.b, engine.DeleteObject{Key: key}); err != nil {
		r.t.Fatal(err)
	}
}

// collect runs the collector until nothing is left to do.
func (r *rig) collect() {
	r.t.Helper()
	for range 1000 {
		c, err := r.e.Blobs().Collect(r.t.Context())
		if err != nil {
			r.t.Fatalf("collect: %v", err)
		}
		if c == (blobs.CollectReport{}) {
			return
		}
	}
	r.t.Fatal("the collector never ends")
}

// wantClean collects, and demands that the backend holds exactly what the store
// names: blobs live blobs, and the epoch marker.
func (r *rig) wantClean(blobs int) {
	r.t.Helper()
	r.collect()
	report, err := fsck.Run(r.t.Context(), r.e, fsck.Options{Deep: true})
	if err != nil {
		r.t.Fatal(err)
	}
	if !report.Clean() {
		r.t.Fatalf("fsck: %+v", report.Findings)
	}
	if report.PendingBlobs != 0 {
		r.t.Errorf("%d dead blobs are left after collection", report.PendingBlobs)
	}
	if blobs >= 0 && (report.Blobs != int64(blobs) || report.BackendBlobs != int64(blobs)) {
		r.t.Errorf("%d blobs live, %d in the backend; want %d", report.Blobs, report.BackendBlobs, blobs)
	}
}

// wantDoubtful collects, and demands that so many blobs are in doubt, that fsck names
// them, and that it finds nothing else.
func (r *rig) wantDoubtful(n int) {
	r.t.Helper()
	r.collect()
	report, err := fsck.Run(r.t.Context(), r.e, fsck.Options{Deep: true})
	if err != nil || !report.Clean() || report.DoubtfulBlob != int64(n) || len(report.Findings) != n {
		r.t.Fatalf("fsck: %d blobs in doubt, want %d: %+v, %v", report.DoubtfulBlob, n, report.Findings, err)
	}
	var seen int64
	for _, h := range r.e.Blobs().BackendHealth() {
		seen += h.Doubtful
	}
	if seen != int64(n) {
		r.t.Errorf("%d blobs in doubt are told of, want %d", seen, n)
	}
}

// discard discards what is in doubt at a backend, n blobs.
func (r *rig) discard(backend string, n int) {
	r.t.Helper()
	if got, err := r.e.Blobs().DiscardDoubtful(r.t.Context(), backend); err != nil || got != n {
		r.t.Fatalf("%d blobs discarded, %v; want %d", got, err, n)
	}
}

// failingReader ends with an error after its bytes.
type failingReader struct {
	data []byte
	err  error
}

func (f *failingReader) Read(p []byte) (int, error) {
	if len(f.data) == 0 {
		return 0, f.err
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

var _ io.Reader = (*failingReader)(nil)

const hour = time.Hour
