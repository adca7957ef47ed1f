package fsck_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// rig is a gateway with one bucket.
type rig struct {
	*gatewaytest.Gateway
	t *testing.T
	b meta.Bucket
}

func newRig(t *testing.T, o gatewaytest.Options) *rig {
	t.Helper()
	o.Grace = -1
	g := gatewaytest.Start(t, o)
	b, err := g.Engine.Buckets().Create(t.Context(), "first-bucket", "", g.Engine.Accounts().Root().ID)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{g, t, b}
}

// body is n bytes that cannot be compressed or guessed.
func body(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(p)
	return p
}

func (r *rig) put(key string, data []byte) {
	r.t.Helper()
	_, err := r.Engine.PutObject(r.t.Context(), engine.PutObject{Bucket: r.b, Key: key, Owner: r.b.Owner,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data)), ChecksumAlgorithm: engine.CRC64NVME}})
	if err != nil {
		r.t.Fatal(err)
	}
}

// remove deletes an object and collects its blob.
func (r *rig) remove(key string) {
	r.t.Helper()
	if _, err := r.Engine.DeleteObject(r.t.Context(), r.b, engine.DeleteObject{Key: key}); err != nil {
		r.t.Fatal(err)
	}
	for range 1000 {
		c, err := r.Engine.Blobs().Collect(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		if c == (blobs.CollectReport{}) {
			return
		}
	}
	r.t.Fatal("the collector never ends")
}

// one is the only finding.
func (r *rig) one(deep bool) fsck.Finding {
	r.t.Helper()
	report, err := fsck.Run(r.t.Context(), r.Engine, fsck.Options{Deep: deep})
	if err != nil || len(report.Findings) != 1 {
		r.t.Fatalf("want one finding: %+v, %v", report.Findings, err)
	}
	return report.Findings[0]
}

func TestFinds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	at := mem.New()
	evil := faults.NewEvil(at, seed)
	r := newRig(t, gatewaytest.Options{Backend: evil})
	r.put("k", body(100_000))
	find := func(kind string, deep bool) {
		t.Helper()
		if f := r.one(deep); f.Kind != kind {
			t.Errorf("want %s: %+v", kind, f)
		}
	}
	evil.Set(faults.FlipByte, 90_000)
	find("object-unreadable", true)
	evil.Set(faults.DropWrite, -1)
	r.put("dropped", body(10))
	evil.Set(faults.Honest, -1)
	find("blob-missing", false)
	find("object-unreadable", true) // once, with the object's name
	r.remove("dropped")
	if err := at.Put(t.Context(), backends.NewBlobID(), bytes.NewReader([]byte("x")), 1); err != nil {
		t.Fatal(err)
	}
	find("unknown-blob", false)
}

// With several backends each is held against its own part of the ledger.
func TestFindsAtSeveral(t *testing.T) {
	east, west := mem.New(), mem.New()
	r := newRig(t, gatewaytest.Options{Default: "east", Backends: []blobs.Backend{{Name: "east", Backend: east}, {Name: "west", Backend: west}}})
	r.put("k", body(1000))
	var id backends.BlobID
	for info, err := range east.List(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > 0 {
			id = info.ID
		}
	}
	find := func(kind, backend string) {
		t.Helper()
		if f := r.one(false); f.Kind != kind || f.Backend != backend {
			t.Errorf("want %s at %s: %+v", kind, backend, f)
		}
	}
	if err := west.Put(t.Context(), id, bytes.NewReader([]byte("x")), 1); err != nil {
		t.Fatal(err)
	}
	find("stray-copy", "west")
	if err := west.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := east.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	find("blob-missing", "east")
}

// A finding about damaged bytes names bucket, object, version, blob and backend.
func TestNamesDamage(t *testing.T) {
	at := mem.New()
	evil := faults.NewEvil(at, 1)
	r := newRig(t, gatewaytest.Options{Backend: evil})
	r.put("a key", body(100_000))
	v, err := r.Store.Version(t.Context(), r.b.ID, "a key", meta.VersionRef{})
	if err != nil {
		t.Fatal(err)
	}
	want := fsck.Finding{Kind: "object-unreadable", Severity: fsck.SeverityLost, Bucket: r.b.ID.String(), BucketName: r.b.Name, Key: "a key", Version: v.Ref().String(),
		Blob: backends.BlobID(v.Body.Blob).String(), Backend: gatewaytest.BackendName}
	for what, at := range map[string]int64{"header": 3, "body": 90_000} {
		evil.Set(faults.FlipByte, at)
		got := r.one(true)
		if got.Detail = ""; got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	evil.Set(faults.Honest, -1)
	if err := at.Delete(t.Context(), backends.BlobID(v.Body.Blob)); err != nil {
		t.Fatal(err)
	}
	got := r.one(false)
	want.Kind = "blob-missing"
	if got.Detail = ""; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The size of a part that was edited is found, whatever it is.
func TestFindsEditedSizeOfPart(t *testing.T) {
	r := newRig(t, gatewaytest.Options{})
	u, err := r.Engine.CreateUpload(t.Context(), engine.CreateUpload{Bucket: r.b, Key: "k", Owner: r.b.Owner})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Engine.UploadPart(t.Context(), engine.UploadPart{Bucket: r.b, Key: "k", Upload: u.ID, Number: 1,
		Body: engine.Body{Reader: bytes.NewReader(body(10)), Size: 10}})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{math.MinInt64, -1, math.MaxInt64, encrypt.MaxBlobSize + 1} {
		r.EditStore(t, "UPDATE parts SET size = ?", size)
		if f := r.one(false); f.Kind != "upload-edited" {
			t.Errorf("of %d bytes: %+v", size, f)
		}
	}
}
