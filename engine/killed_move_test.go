package engine_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
)

// faulty lets the rig go on with a store that follows a plan.
func (r *rig) faulty(p *faults.Plan) {
	r.t.Helper()
	r.config.Store = faults.Store(r.store, p)
	r.reopen()
}

func (r *rig) copyTo(b meta.Bucket, key string) error {
	_, err := r.e.CopyObject(r.t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: key, Bucket: b, Key: "copy", Owner: b.Owner})
	return err
}

// A process that is killed when a copy is made, and the ledger does not know that
// the blob has moved, leaves a copy that the ledger says is in doubt: the next move
// takes it up, or the operator discards it.
func TestKilledBeforeTheLedgerKnows(t *testing.T) {
	for _, gone := range []bool{true, false} {
		for _, draining := range []bool{true, false} {
			l, s := newSeveralLifecycleRig(t)
			data := body(1, 70_000)
			l.mustPut("old/a", data)
			if !draining {
				l.rules(toWest)
			}
			l.now = l.now.Add(3 * oneDay)
			plan := faults.NewPlan(1)
			l.faulty(plan)
			killed := false
			plan.Add(faults.Rule{Op: "MoveBlob", N: 1, Err: faults.ErrInjected, Hook: func() {
				killed = true
				s.wantBlobs(map[string]int{east: 1, west: 1})
				plan.Add(faults.Rule{}) // it does nothing any more
			}})
			if draining {
				l.drain(east, west)
				l.e.Blobs().Move(t.Context())
			} else {
				l.step()
			}
			if !killed {
				t.Fatal("nothing was copied")
			}
			l.config.Store = l.store
			l.reopen()
			if draining {
				if err := l.e.Blobs().CancelDrain(t.Context(), east); err != nil {
					t.Fatal(err)
				}
			}
			if r, err := fsck.Run(t.Context(), l.e, fsck.Options{}); err != nil || !r.Clean() {
				t.Fatalf("draining %t: fsck: %+v, %v", draining, r.Findings, err)
			}
			l.wantDoubtful(1)
			if gone {
				l.delete("old/a")
				l.discard(west, 1)
				l.wantClean(0)
				s.wantBlobs(map[string]int{})
				continue
			}
			s.wantBlobs(map[string]int{east: 1, west: 1})
			l.now = l.now.Add(2 * hour)
			if draining {
				l.drain(east, west)
				if r, err := l.e.Blobs().Move(t.Context()); err != nil || r.Blobs != 1 {
					t.Fatalf("%+v, %v", r, err)
				}
				l.now = l.now.Add(hour)
				l.drained(east)
			} else {
				l.expire()
			}
			l.wantBody("old/a", data)
			l.wantClean(1)
			if !draining {
				s.wantBlobs(map[string]int{west: 1})
			}
		}
	}
}

// The copy that a failed move has left goes when its object does, although the process
// lives.
func TestFailedMoveOfWhatIsDeleted(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	l.mustPut("old/a", body(1, 70_000))
	l.rules(toWest)
	l.now = l.now.Add(3 * oneDay)
	plan := faults.NewPlan(1)
	l.faulty(plan)
	plan.Add(faults.Rule{Op: "MoveBlob"})
	l.step()
	s.wantBlobs(map[string]int{east: 1, west: 1})
	plan.Clear()
	l.delete("old/a")
	if err := l.e.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantClean(0)
	s.wantBlobs(map[string]int{})
}

// A copy into a bucket that demands a place was judged before the rules of the
// source were there, and a transition moves the blob meanwhile: whichever the store
// hears of first, the other is judged again, and the bytes of the copy are where
// they have to be.
func TestTransitionMeetsCopy(t *testing.T) {
	for _, first := range []string{"the move", "the copy"} {
		t.Run(first, func(t *testing.T) {
			l, s := newSeveralLifecycleRig(t)
			strict := l.bucket("strict-bucket", "eu-east-1")
			data := body(1, 10_000)
			l.mustPut("old/a", data)
			plan := faults.NewPlan(1)
			l.faulty(plan)
			judged, moving, copied := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			plan.Add(faults.Rule{Op: "CommitObject", N: 1, Hook: func() { close(judged); <-moving }})
			go func() { copied <- l.copyTo(strict, "old/a") }()
			<-judged
			l.rules(toWest)
			l.now = l.now.Add(3 * oneDay)
			want := map[string]int{east: 1, west: 1}
			var copyErr error
			if first == "the copy" {
				plan.Add(faults.Rule{Op: "MoveBlob", N: 1, Hook: func() { close(moving); copyErr = <-copied }})
				want = map[string]int{east: 1}
			}
			r, err := l.step()
			if err != nil {
				t.Error(err)
			}
			if first == "the move" {
				close(moving)
				copyErr = <-copied
			}
			if copyErr != nil || r.Moved+r.Failed != 1 || (r.Moved == 1) != (want[west] == 1) {
				t.Errorf("%+v, the copy: %v", r, copyErr)
			}
			l.wantBody("old/a", data)
			l.b = strict
			l.wantBody("copy", data)
			l.wantClean(len(want))
			s.wantBlobs(want)
		})
	}
}

// The same of a part that is made of the source's blob.
func TestTransitionMeetsCopiedPart(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	source := l.b
	l.b = l.bucket("strict-bucket", "eu-east-1")
	u := l.begin("copy", "", "")
	strict := l.b
	l.b = source
	data := body(1, 10_000)
	l.mustPut("old/a", data)
	plan := faults.NewPlan(1)
	l.faulty(plan)
	plan.Add(faults.Rule{Op: "PutPart", N: 1, Hook: func() {
		l.rules(toWest)
		l.now = l.now.Add(3 * oneDay)
		if r, err := l.step(); err != nil || r.Moved != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	}})
	p, err := l.e.CopyPart(t.Context(), engine.CopyPart{Bucket: strict, Key: "copy", Upload: u.ID, Number: 1, SourceBucket: source, SourceKey: "old/a"})
	if err != nil {
		t.Fatal(err)
	}
	l.b = strict
	if _, err := l.complete(u, engine.CompletedPart{Number: 1, ETag: p.ETag}); err != nil {
		t.Fatal(err)
	}
	l.wantBody("copy", data)
	l.wantClean(2)
	s.wantBlobs(map[string]int{east: 1, west: 1})
}

// A mover that was paused, while its draining was cancelled and a bucket made that
// shares the blob and demands its place, moves nothing.
func TestMoverMeetsNewBucket(t *testing.T) {
	s := newSeveralRig(t)
	data := body(1, 10_000)
	s.mustPut("k", data)
	plan := faults.NewPlan(1)
	s.faulty(plan)
	s.drain(east, west)
	var strict meta.Bucket
	plan.Add(faults.Rule{Op: "MoveBlob", N: 1, Hook: func() {
		if err := s.e.Blobs().CancelDrain(t.Context(), east); err != nil {
			t.Error(err)
		}
		strict = s.bucket("strict-bucket", "eu-east-1")
		if err := s.copyTo(strict, "k"); err != nil {
			t.Error(err)
		}
	}})
	if r, err := s.e.Blobs().Move(t.Context()); err == nil || r.Blobs != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	s.wantBody("k", data)
	s.b = strict
	s.wantBody("copy", data)
	plan.Clear()
	if err := s.e.Close(); err != nil { // what was copied is released
		t.Error(err)
	}
	s.config.Store = s.store
	s.reopen()
	s.wantClean(1)
	s.wantBlobs(map[string]int{east: 1})
}
