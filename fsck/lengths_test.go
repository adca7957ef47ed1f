package fsck_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// pad makes the rig's bucket pad.
func (r *rig) pad() {
	r.t.Helper()
	err := r.Engine.Buckets().SetPadding(r.t.Context(), r.b, buckets.PaddingPadme)
	if err == nil {
		r.b, err = r.Engine.Buckets().Get(r.t.Context(), r.b.Name)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// wantNone demands that there is nothing to find.
func (r *rig) wantNone() {
	r.t.Helper()
	report, err := fsck.Run(r.t.Context(), r.Engine, fsck.Options{Deep: true})
	if err != nil || !report.Clean() {
		r.t.Fatalf("%+v, %v", report.Findings, err)
	}
}

// part stores a part of a new upload.
func (r *rig) part(key string, data []byte) {
	r.t.Helper()
	u, err := r.Engine.CreateUpload(r.t.Context(), engine.CreateUpload{Bucket: r.b, Key: key, Owner: r.b.Owner})
	if err == nil {
		_, err = r.Engine.UploadPart(r.t.Context(), engine.UploadPart{Bucket: r.b, Key: key, Upload: u.ID, Number: 1,
			Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// cut takes bytes off the end of the only blob of at least so many.
func (r *rig) cut(off int64) {
	r.t.Helper()
	for info, err := range r.Backend.List(r.t.Context(), backends.BlobID{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		if info.Size <= off {
			continue
		}
		if err := r.Backend.Delete(r.t.Context(), info.ID); err != nil {
			r.t.Fatal(err)
		}
		left := info.Size - off
		if err := r.Backend.Put(r.t.Context(), info.ID, bytes.NewReader(body(int(left))), left); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	r.t.Fatal("there is no such blob")
}

// Every byte of a padded blob is read, also those behind the body.
func TestFindsDamageInPadding(t *testing.T) {
	at := mem.New()
	evil := faults.NewEvil(at, 1)
	r := newRig(t, gatewaytest.Options{Backend: evil})
	r.pad()
	const size = 4<<20 + 1 // the padding has a segment of its own
	r.put("k", body(size))
	r.wantNone()
	if padded := encrypt.PaddedSize(size); padded <= size/encrypt.SegmentSize*encrypt.SegmentSize+encrypt.SegmentSize {
		t.Fatalf("%d bytes are padded to %d", size, padded)
	}
	evil.Set(faults.FlipByte, encrypt.SealedSize(encrypt.PaddedSize(size))-100)
	if f := r.one(true); f.Kind != "object-unreadable" || f.Key != "k" {
		t.Errorf("%+v", f)
	}
}

// A part's blob has the part's length or is padded, and nothing else.
func TestFindsShortPart(t *testing.T) {
	for name, pads := range map[string]bool{"padded": true, "not padded": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gatewaytest.Options{})
			if pads {
				r.pad()
			}
			r.part("k", body(100_000))
			r.wantNone()
			for _, size := range []int{0, 1, 90_000} {
				r.EditStore(t, "UPDATE parts SET size = ?", size)
				report, err := fsck.Run(t.Context(), r.Engine, fsck.Options{})
				if err != nil || !slices.ContainsFunc(report.Findings, func(f fsck.Finding) bool { return f.Kind == "blob-size" }) {
					t.Errorf("an edited size of %d: %+v, %v", size, report.Findings, err)
				}
			}
			r.EditStore(t, "UPDATE parts SET size = 100000")
			r.cut(1000)
			if f := r.one(false); f.Kind != "blob-size" || f.Key != "k" {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Blobs whose manifest needs its client's key may be longer than the body: padded ones, and those
// of forms, whose length is known at their end only. A part does not share a form's blob.
func TestLengthsThatNoManifestTells(t *testing.T) {
	r := newRig(t, gatewaytest.Options{})
	key := &engine.CustomerKey{1}
	store := func(name string, open bool, customer *engine.CustomerKey) {
		t.Helper()
		in := engine.PutObject{Bucket: r.b, Key: name, Owner: r.b.Owner, Customer: customer,
			Body: engine.Body{Reader: bytes.NewReader(body(70_000)), Size: 70_000, Open: open, ChecksumAlgorithm: engine.CRC64NVME}}
		if customer != nil {
			in.Encryption = meta.EncryptionCustomer
		}
		if open {
			in.Body.Size += 900
		}
		if _, err := r.Engine.PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	store("form", true, key)
	store("source", true, nil)
	u, err := r.Engine.CreateUpload(t.Context(), engine.CreateUpload{Bucket: r.b, Key: "parts", Owner: r.b.Owner})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Engine.CopyPart(t.Context(), engine.CopyPart{SourceBucket: r.b, SourceKey: "source", Bucket: r.b, Key: "parts", Upload: u.ID, Number: 1}); err != nil {
		t.Fatal(err)
	}
	r.remove("source")
	r.pad()
	store("padded", false, key)
	store("padded form", true, key)
	r.wantNone()
}
