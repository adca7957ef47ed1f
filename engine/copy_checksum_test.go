package engine_test

import (
	"bytes"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
)

// A copy has a checksum of all its bytes, also where its source has one of those of
// its parts. For a CRC nothing is read of what the provider holds.
func TestCopyOfParts(t *testing.T) {
	r := newRig(t)
	plan := r.plannedBackend(0)
	one, two := body(1, partSize), body(2, 12345)
	whole := append(bytes.Clone(one), two...)
	for _, c := range []struct {
		algorithm, kind string
		reads           bool
	}{
		{engine.CRC32, engine.Composite, false},
		{engine.CRC32C, engine.Composite, false},
		{engine.CRC32C, engine.FullObject, false},
		{engine.CRC64NVME, engine.FullObject, false},
		{"", "", false},
		{engine.SHA1, engine.Composite, true},
		{engine.SHA256, engine.Composite, true},
		{engine.XXHASH128, engine.Composite, true},
	} {
		u := r.begin("k", c.algorithm, c.kind)
		o, err := r.complete(u, r.part(u, 1, one), r.part(u, 4, two))
		if err != nil || c.kind != "" && o.Checksum.Type != c.kind {
			t.Fatalf("%s %s: %+v, %v", c.algorithm, c.kind, o.Checksum, err)
		}
		before := plan.Calls(faults.OpGet)
		made := r.copied("copy", engine.CopyObject{SourceKey: "k"})
		h := engine.NewChecksumHash(o.Checksum.Algorithm)
		h.Write(whole)
		if k := made.Checksum; k == nil || k.Algorithm != o.Checksum.Algorithm || k.Type != engine.FullObject || !bytes.Equal(k.Value, h.Sum(nil)) {
			t.Errorf("copy of %s %s: %+v, want %x", c.algorithm, c.kind, k, h.Sum(nil))
		}
		if reads := plan.Calls(faults.OpGet) - before; (reads > 0) != c.reads {
			t.Errorf("copy of %s %s: %d reads", c.algorithm, c.kind, reads)
		}
		r.wantBody("copy", whole)
		if again := r.copied("again", engine.CopyObject{SourceKey: "copy"}); again.Checksum.String() != made.Checksum.String() {
			t.Errorf("copy of the copy: %v, want %v", again.Checksum, made.Checksum)
		}
	}
	before := plan.Calls(faults.OpGet)
	asked := r.copied("asked", engine.CopyObject{SourceKey: "copy", ChecksumAlgorithm: engine.SHA256})
	h := engine.NewChecksumHash(engine.SHA256)
	h.Write(whole)
	if k := asked.Checksum; k.Algorithm != engine.SHA256 || !bytes.Equal(k.Value, h.Sum(nil)) || plan.Calls(faults.OpGet) == before {
		t.Errorf("another algorithm: %+v", k)
	}
}

// copied copies within the rig's bucket.
func (r *rig) copied(key string, in engine.CopyObject) engine.Object {
	r.t.Helper()
	in.SourceBucket, in.Bucket, in.Key, in.Owner = r.b, r.b, key, r.b.Owner
	o, err := r.e.CopyObject(r.t.Context(), in)
	if err != nil {
		r.t.Fatalf("copy to %q: %v", key, err)
	}
	return o
}
