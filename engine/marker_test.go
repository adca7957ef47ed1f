package engine_test

import (
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
)

// However often the deletion of an epoch's marker fails, none is left once it works:
// it would vouch for a store that was rolled back.
func TestMarkersOfEarlierEpochs(t *testing.T) {
	r := newRig(t)
	plan := r.plannedBackend(0)
	for n := range 3 {
		r.mustPut("k", body(uint64(n), 1000))
		r.delete("k")
		plan.Add(faults.Rule{Op: faults.OpDelete, When: faults.Before, Err: backends.ErrUnavailable})
		for range 3 {
			if _, err := r.e.Blobs().Collect(t.Context()); err == nil {
				t.Error("a collection that could not delete reports no error")
			}
		}
		plan.Clear()
		r.wantClean(0)
	}
}

// A marker that a gateway writes when others have moved the epoch on, and cannot
// delete at once, goes with its next beat.
func TestMarkerWrittenLate(t *testing.T) {
	r := newRig(t)
	plan := r.plannedBackend(0)
	paused := r.e
	t.Cleanup(func() { paused.Close() })
	r.mustPut("k", body(1, 1000))
	r.delete("k")
	plan.Add(faults.Rule{Op: faults.OpPut, When: faults.Before, N: 1, Hook: func() {
		r.reopen()
		for n := range 20 {
			r.mustPut("k", body(uint64(n), 1000))
			r.delete("k")
			r.collect()
		}
		plan.Add(faults.Rule{Op: faults.OpDelete, When: faults.Before, Err: backends.ErrUnavailable})
	}})
	if _, err := paused.Blobs().Collect(t.Context()); !errors.Is(err, backends.ErrUnavailable) {
		t.Fatal(err)
	}
	plan.Clear()
	report, err := fsck.Run(t.Context(), r.e, fsck.Options{})
	if err != nil || len(report.Findings) != 1 || report.Findings[0].Kind != "unknown-blob" {
		t.Fatalf("the late marker is not there: %+v, %v", report.Findings, err)
	}
	if err := paused.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantClean(0)
}
