package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// wantUsage holds the exact usage of the rig's bucket against what it should be.
func (r *rig) wantUsage(bytes, versions int64) {
	r.t.Helper()
	want := meta.Usage{Bytes: bytes, Versions: versions}
	u, err := r.e.BucketUsage(r.t.Context(), r.b)
	if err != nil || u != want {
		r.t.Errorf("the bucket's usage is %+v, %v; want %+v", u, err, want)
	}
}

func TestQuotas(t *testing.T) {
	for name, limit := range map[string]func(*rig, engine.Limits) error{
		"bucket": func(r *rig, l engine.Limits) error { return r.e.SetBucketLimits(t.Context(), r.b, l) },
		"tenant": func(r *rig, l engine.Limits) error { return r.e.SetTenantLimits(t.Context(), r.b.Owner, l) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustPut("a", body(1, 100_000))
			set := func(l engine.Limits) {
				t.Helper()
				if err := limit(r, l); err != nil {
					t.Fatal(err)
				}
				var err error
				if r.b, err = r.e.Bucket(t.Context(), r.b.Name); err != nil {
					t.Fatal(err)
				}
			}
			full := func(err error) {
				t.Helper()
				if !errors.Is(err, s3err.QuotaExceeded) {
					t.Fatalf("%v, want QuotaExceeded", err)
				}
			}
			set(engine.Limits{Bytes: 204_000})
			r.mustPut("b", body(2, 100_000))
			_, err := r.put("c", body(3, 100_000))
			full(err)
			_, err = r.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "a", Bucket: r.b, Key: "c", Owner: r.b.Owner})
			full(err)
			full(r.multi("c"))
			r.wantAbsent("c")
			r.mustPut("c", body(3, 4_000))
			r.wantUsage(204_000, 3)
			r.delete("b")
			r.mustPut("d", body(4, 100_000)) // what was freed is there at once
			set(engine.Limits{Versions: 3})
			_, err = r.put("e", nil)
			full(err)
			r.delete("a")
			r.mustPut("e", nil)
			set(engine.Limits{})
			for i := range 5 {
				r.mustPut(fmt.Sprint("free", i), body(5, 100))
			}
			r.collect()
			r.wantUsage(104_500, 8)
			if err := limit(r, engine.Limits{Bytes: -1}); !errors.Is(err, s3err.InvalidArgument) {
				t.Errorf("a limit below zero: %v", err)
			}
			r.wantClean(-1)
		})
	}
}

// A quota that cannot be read is no quota that is missing.
func TestUnreadableLimits(t *testing.T) {
	r := newRig(t)
	if err := r.store.SetLimits(t.Context(), r.b.Owner, []byte("edited by hand")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.put("k", body(1, 100)); err == nil {
		t.Error("a write passed limits that cannot be read")
	}
}
