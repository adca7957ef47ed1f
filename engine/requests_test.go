package engine_test

import (
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
)

// Requests of an operation to the backend and the store, once pools and keys
// are at hand. With several backends a first read asks where the blob is.
func TestRequestsOfOperations(t *testing.T) {
	for name, several := range map[string]bool{"one backend": false, "several": true} {
		t.Run(name, func(t *testing.T) {
			r := newSeveralRig(t).rig
			if !several {
				r = newRig(t)
			}
			asked, stored := faults.NewPlan(1), faults.NewPlan(1)
			r.config.Store = faults.Store(r.store, stored)
			r.config.Backends = slices.Clone(r.config.Backends)
			for i := range r.config.Backends {
				r.config.Backends[i].Backend = faults.Backend(r.config.Backends[i].Backend, asked)
			}
			r.reopen()
			data := body(1, 5000)
			r.mustPut("warm", data)
			first := 0
			if several {
				first = 1
			}
			for _, op := range []struct {
				name            string
				backend, lookup int
				intents         []faults.Op
				do              func() error
			}{
				{"put", 1, 0, []faults.Op{"CommitObject"}, func() error { _, err := r.put("k", data); return err }},
				{"get", 1, first, []faults.Op{"Object"}, func() error { _, err := r.get("k", nil); return err }},
				{"get again", 1, 0, []faults.Op{"Object"}, func() error { _, err := r.get("k", nil); return err }},
				{"head", 0, 0, []faults.Op{"Object"}, func() error {
					_, err := r.e.HeadObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k"})
					return err
				}},
				{"list", 0, 0, []faults.Op{"ListObjects"}, func() error {
					_, err := r.e.ListObjects(t.Context(), meta.ListQuery{Bucket: r.b.ID, Limit: 10})
					return err
				}},
				{"copy", 0, 0, []faults.Op{"Object", "CommitObject"}, func() error {
					_, err := r.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "k", Bucket: r.b, Key: "copy", Owner: r.b.Owner})
					return err
				}},
				{"delete", 0, 0, []faults.Op{"RemoveObjects"}, func() error {
					_, err := r.e.DeleteObject(t.Context(), r.b, engine.DeleteObject{Key: "k"})
					return err
				}},
			} {
				reads := asked.Calls(faults.OpRead)
				backend, store, lookups := asked.Calls(faults.Any), stored.Calls(faults.Any), stored.Calls("BlobBackends")
				if err := op.do(); err != nil {
					t.Fatalf("%s: %v", op.name, err)
				}
				if n := asked.Calls(faults.Any) - backend - (asked.Calls(faults.OpRead) - reads); n != op.backend {
					t.Errorf("%s: %d requests of the backend, want %d", op.name, n, op.backend)
				}
				if n := stored.Calls("BlobBackends") - lookups; n != op.lookup {
					t.Errorf("%s: %d lookups, want %d", op.name, n, op.lookup)
				}
				if n := stored.Calls(faults.Any) - store; n != len(op.intents)+op.lookup {
					t.Errorf("%s: %d requests of the store, want %d", op.name, n, len(op.intents)+op.lookup)
				}
			}
		})
	}
}

// A gateway whose beats stopped for a while throws its reservations away before
// a client meets one that was condemned.
func TestPausedGatewayReservesAnew(t *testing.T) {
	r := newBareRig(t)
	clock := &stillClock{}
	r.config.Sole, r.config.Elapsed = false, clock.Elapsed
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	paused := r.e
	r.mustPut("k", body(1, 1000))
	r.reopen()
	if _, err := r.e.Blobs().Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * 60e9)
	for range 3 {
		if _, err := r.e.Blobs().Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	other := r.e
	r.e = paused
	for i := range 5 {
		r.mustPut("k", body(uint64(i), 1000))
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantClean(1)
}
