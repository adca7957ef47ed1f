// Package enginetest runs an engine inside a test: a real SQLite store, a real key
// file and backends in memory. A test may wrap any of them. It is only for tests of
// packages that work over an engine.
package enginetest

import (
	"bytes"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/weakhash"
)

// Rig is an engine with its parts. A test may change Config and reopen.
type Rig struct {
	T       *testing.T
	Config  engine.Config
	Store   meta.Store // the unwrapped store; the engine uses Config.Store
	Backend backends.Backend
	Keys    encrypt.Provider
	Path    string // of the store's file
	E       *engine.Engine
	B       meta.Bucket // of most methods
}

// NewBare returns a Rig whose engine Reopen has to open.
func NewBare(t *testing.T) *Rig {
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
	r := &Rig{T: t, Store: store, Backend: mem.New(), Keys: keys, Path: path}
	t.Cleanup(func() {
		r.E.Close()
		store.Close()
		r.Backend.Close()
		keys.Close()
	})
	r.Config = engine.Config{
		Store: r.Store, Backends: Local(r.Backend), Keys: r.Keys, Sole: true, Grace: -1, TransitionClasses: lifecycle.TransitionClasses,
	}
	return r
}

// Local is the only backend of a configuration.
func Local(b backends.Backend) []blobs.Backend { return []blobs.Backend{{Name: "local", Backend: b}} }

// Reopen starts another engine on the same parts, as a new process would.
func (r *Rig) Reopen() {
	r.T.Helper()
	e, err := engine.Open(context.Background(), r.Config)
	if err != nil {
		r.T.Fatal(err)
	}
	r.E = e
}

// PlannedStore opens a new engine over a store with a plan.
func (r *Rig) PlannedStore(seed uint64) *faults.Plan {
	r.T.Helper()
	plan := faults.NewPlan(seed)
	r.Config.Store = faults.Store(r.Store, plan)
	r.Reopen()
	return plan
}

// PlannedBackend opens the engine over a backend with a plan, which is still empty.
func (r *Rig) PlannedBackend(seed uint64) *faults.Plan {
	r.T.Helper()
	plan := faults.NewPlan(seed)
	r.Config.Backends = Local(faults.Backend(r.Backend, plan))
	r.Reopen()
	return plan
}

// Body returns n bytes that a test can generate again.
func Body(seed uint64, n int) []byte {
	p := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	src.Read(p)
	return p
}

// CreateBucket makes a bucket of root's.
func (r *Rig) CreateBucket(name, constraint string) meta.Bucket {
	r.T.Helper()
	b, err := r.E.Buckets().Create(r.T.Context(), name, constraint, r.E.Accounts().Root().ID)
	if err != nil {
		r.T.Fatal(err)
	}
	return b
}

// MustPut puts an object into B.
func (r *Rig) MustPut(key string, data []byte) engine.Object {
	r.T.Helper()
	o, err := r.E.PutObject(r.T.Context(), engine.PutObject{
		Bucket: r.B, Key: key, Owner: r.B.Owner,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data)), ChecksumAlgorithm: engine.CRC64NVME},
	})
	if err != nil {
		r.T.Fatalf("put %q of %d bytes: %v", key, len(data), err)
	}
	if want := weakhash.MD5(data); o.ETag != hex.EncodeToString(want[:]) {
		r.T.Fatalf("ETag of %q is %s, want %x", key, o.ETag, want)
	}
	return o
}

// Get reads a whole object of B.
func (r *Rig) Get(key string) ([]byte, error) {
	rd, err := r.E.GetObject(r.T.Context(), engine.GetObject{Bucket: r.B, Key: key})
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	var out bytes.Buffer
	n, err := rd.WriteTo(&out)
	if err == nil && n != rd.Length {
		r.T.Errorf("get %q: wrote %d bytes, promised %d", key, n, rd.Length)
	}
	return out.Bytes(), err
}

// WantBody demands that an object of B has exactly these bytes.
func (r *Rig) WantBody(key string, want []byte) {
	r.T.Helper()
	got, err := r.Get(key)
	if err != nil || !bytes.Equal(got, want) {
		r.T.Fatalf("get %q: %d bytes, error %v; want %d bytes exactly", key, len(got), err, len(want))
	}
}

// Delete deletes a key of B.
func (r *Rig) Delete(key string) {
	r.T.Helper()
	if _, err := r.E.DeleteObject(r.T.Context(), r.B, engine.DeleteObject{Key: key}); err != nil {
		r.T.Fatal(err)
	}
}

// Begin begins an upload to B.
func (r *Rig) Begin(key string) engine.Upload {
	r.T.Helper()
	u, err := r.E.CreateUpload(r.T.Context(), engine.CreateUpload{
		Bucket: r.B, Key: key, Owner: r.B.Owner, Attributes: engine.Attributes{ContentType: "text/parts"},
	})
	if err != nil {
		r.T.Fatal(err)
	}
	return u
}

// Part uploads a part.
func (r *Rig) Part(u engine.Upload, number int, data []byte) engine.CompletedPart {
	r.T.Helper()
	p, err := r.E.UploadPart(r.T.Context(), engine.UploadPart{Bucket: r.B, Key: u.Key, Upload: u.ID, Number: number,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data)), ChecksumAlgorithm: u.ChecksumAlgorithm}})
	if err != nil {
		r.T.Fatalf("part %d: %v", number, err)
	}
	return engine.CompletedPart{Number: number, ETag: p.ETag, Checksum: p.Checksum}
}

// Complete completes an upload of these parts.
func (r *Rig) Complete(u engine.Upload, parts ...engine.CompletedPart) (engine.Object, error) {
	return r.E.CompleteUpload(r.T.Context(), engine.CompleteUpload{Bucket: r.B, Key: u.Key, Upload: u.ID, Parts: parts, Size: -1})
}

// Collect runs the collector until nothing is left to do.
func (r *Rig) Collect() {
	r.T.Helper()
	for range 1000 {
		c, err := r.E.Blobs().Collect(r.T.Context())
		if err != nil {
			r.T.Fatalf("collect: %v", err)
		}
		if c == (blobs.CollectReport{}) {
			return
		}
	}
	r.T.Fatal("the collector never ends")
}

// WantClean collects, and demands that the backends hold exactly the blobs that the
// store names, and their markers. The argument is the number of live blobs; a
// negative one accepts any number.
func (r *Rig) WantClean(blobs int) {
	r.T.Helper()
	r.Collect()
	report, err := fsck.Run(r.T.Context(), r.E, fsck.Options{Deep: true})
	if err != nil {
		r.T.Fatal(err)
	}
	if !report.Clean() {
		r.T.Fatalf("fsck: %+v", report.Findings)
	}
	if report.PendingBlobs != 0 {
		r.T.Errorf("%d dead blobs are left after collection", report.PendingBlobs)
	}
	if blobs >= 0 && (report.Blobs != int64(blobs) || report.BackendBlobs != int64(blobs)) {
		r.T.Errorf("%d blobs live, %d in the backend; want %d", report.Blobs, report.BackendBlobs, blobs)
	}
}
