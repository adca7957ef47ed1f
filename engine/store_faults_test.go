package engine_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// plannedStore puts a plan before the rig's store, in a new engine.
func (r *rig) plannedStore(seed uint64) *faults.Plan {
	r.t.Helper()
	plan := faults.NewPlan(seed)
	r.config.Store = faults.Store(r.store, plan)
	r.reopen()
	return plan
}

// Every call of the store fails in turn, before and after its effect, and
// nothing acknowledged is lost, nothing else is visible, and nothing is left.
func TestEveryStoreCallFails(t *testing.T) {
	sweepScenario(t, "store", 20, (*rig).plannedStore)
}

// writes are the requests that make an object or a part, each on a rig of its own.
var writes = []struct {
	name, intent string
	do           func(r *rig) error
}{
	{"put", "CommitObject", func(r *rig) error { _, err := r.put("new", body(9, 5000)); return err }},
	{"put nothing", "CommitObject", func(r *rig) error { _, err := r.put("new", nil); return err }},
	{"copy", "CommitObject", func(r *rig) error {
		_, err := r.e.CopyObject(r.t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "old", Bucket: r.b, Key: "new", Owner: r.b.Owner})
		return err
	}},
	{"rename", "RenameObject", func(r *rig) error { return r.rename("old", "new") }},
	{"part", "PutPart", func(r *rig) error { return r.multi("new") }},
	{"complete", "CompleteUpload", func(r *rig) error { return r.multi("new") }},
}

// multi makes an object of one part and returns the first error.
func (r *rig) multi(key string) error {
	u, err := r.e.CreateUpload(r.t.Context(), engine.CreateUpload{Bucket: r.b, Key: key, Owner: r.b.Owner})
	if err != nil {
		return err
	}
	p, err := r.e.UploadPart(r.t.Context(), engine.UploadPart{Bucket: r.b, Key: key, Upload: u.ID, Number: 1,
		Body: engine.Body{Reader: bytes.NewReader(body(9, 5000)), Size: 5000}})
	if err != nil {
		return err
	}
	_, err = r.complete(u, engine.CompletedPart{Number: 1, ETag: p.ETag})
	return err
}

// A write whose answer from the store was lost is settled by reading, and the
// client does not hear of it. One that the store did not take can be tried again.
func TestLostAnswersAreSettled(t *testing.T) {
	for _, w := range writes {
		t.Run(w.name, func(t *testing.T) {
			r := newRig(t)
			r.mustPut("old", body(9, 5000))
			plan := r.plannedStore(1)
			plan.Add(faults.Rule{Op: faults.Op(w.intent), When: faults.Before, N: 1})
			if err := w.do(r); !errors.Is(err, s3err.ServiceUnavailable) {
				t.Errorf("before its effect: %v, want ServiceUnavailable", err)
			}
			r.wantAbsent("new")
			plan.Clear()
			plan.Add(faults.Rule{Op: faults.Op(w.intent), When: faults.After, N: 1})
			if err := w.do(r); err != nil {
				t.Errorf("after its effect: %v", err)
			}
			if _, err := r.get("new", nil); err != nil {
				t.Error(err)
			}
			if plan.Fired() != 2 {
				t.Fatalf("%d faults were met, want 2", plan.Fired())
			}
			plan.Clear()
			r.wantClean(-1)
		})
	}
}

// An answer that was lost is a success where reading proves it, and else a 503
// that may be repeated.
func TestLostAnswersOfOthers(t *testing.T) {
	r := newRig(t)
	r.mustPut("k", body(1, 100))
	v, err := r.e.HeadObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	plan := r.plannedStore(1)
	after := func(intent string) {
		plan.Clear()
		plan.Add(faults.Rule{Op: faults.Op(intent), When: faults.After, N: 1})
	}
	after("CreateBucket")
	b, err := r.e.Buckets().Create(t.Context(), "second-bucket", "", r.e.Accounts().Root().ID)
	if now, again := r.e.Buckets().Get(t.Context(), "second-bucket"); err != nil || again != nil || now.ID != b.ID {
		t.Errorf("create a bucket: %v, %v", err, again)
	}
	plan.Add(faults.Rule{Op: "CreateBucket", When: faults.Before, Err: meta.ErrUnknown})
	if _, err := r.e.Buckets().Create(t.Context(), "third-bucket", "", r.e.Accounts().Root().ID); !errors.Is(err, s3err.ServiceUnavailable) {
		t.Errorf("create a bucket, unknown and absent: %v", err)
	}
	after("CreateUpload")
	if u, err := r.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: r.b, Key: "u", Owner: r.b.Owner}); err != nil {
		t.Errorf("create an upload: %v", err)
	} else if err := r.e.AbortUpload(t.Context(), r.b, "u", u.ID, time.Time{}); err != nil {
		t.Error(err)
	}
	for _, d := range []engine.DeleteObject{{Key: "k", IfMatch: v.Object.ETag}, {Key: "k"}} {
		after("RemoveObjects")
		if _, err := r.e.DeleteObject(t.Context(), r.b, d); !errors.Is(err, s3err.ServiceUnavailable) || !errors.Is(err, meta.ErrUnknown) {
			t.Errorf("delete %+v: %v", d, err)
		}
		if plan.Fired() == 0 {
			t.Error("no fault was met")
		}
	}
	plan.Clear()
	r.wantAbsent("k")
	r.wantClean(0)
}

// lostCommits is a store that takes no commit and says that it does not know,
// after what meanwhile does.
type lostCommits struct {
	meta.Store
	meanwhile func()
}

func (s lostCommits) CommitObject(context.Context, meta.Commit) error {
	s.meanwhile()
	return meta.ErrUnknown
}

// A commit that did not happen is never taken for one that did, whatever became
// of its reservation: a paused process may have been taken for dead.
func TestUnknownCommitThatDidNotHappen(t *testing.T) {
	for name, meanwhile := range map[string]func(r *rig){
		"nothing":   func(*rig) {},
		"condemned": func(r *rig) { condemnOthers(r, false) },
		"forgotten": func(r *rig) { condemnOthers(r, true) },
		"replaced": func(r *rig) {
			r.config.Store = r.store
			r.reopen()
			r.mustPut("k", body(3, 7000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustPut("k", body(1, 7000))
			r.config.Store = lostCommits{r.store, func() { meanwhile(r) }}
			r.reopen()
			paused := r.e
			_, err := paused.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner,
				Body: engine.Body{Reader: bytes.NewReader(body(2, 7000)), Size: 7000}})
			if err == nil {
				t.Fatal("a write that did not happen was acknowledged")
			}
			if _, err := paused.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "k", Bucket: r.b, Key: "copy", Owner: r.b.Owner}); err == nil {
				t.Fatal("a copy that did not happen was acknowledged")
			}
			r.wantAbsent("copy")
			r.config.Store = r.store
			r.reopen()
			if name != "replaced" {
				r.wantBody("k", body(1, 7000))
			}
			r.wantClean(1)
		})
	}
}

// condemnOthers is another process that takes all others for dead.
func condemnOthers(r *rig, forget bool) {
	c := r.config
	c.Store = r.store
	if !forget {
		c.Grace = hour
	}
	e, err := engine.Open(context.Background(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Blobs().Collect(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// While the store is away every request says so, and service returns with it.
func TestStoreAway(t *testing.T) {
	r := newRig(t)
	data := body(1, 5000)
	r.mustPut("k", data)
	plan := r.plannedStore(1)
	plan.Add(faults.Rule{})
	_, put := r.put("k", body(2, 100))
	_, get := r.get("k", nil)
	_, list := r.e.ListObjects(t.Context(), meta.ListQuery{Bucket: r.b.ID, Limit: 1})
	_, deleted := r.e.DeleteObject(t.Context(), r.b, engine.DeleteObject{Key: "k"})
	for name, err := range map[string]error{
		"put": put, "get": get, "list": list,
		"delete": deleted,
		"multi":  r.multi("k"),
	} {
		if !errors.Is(err, s3err.ServiceUnavailable) {
			t.Errorf("%s: %v, want ServiceUnavailable", name, err)
		}
	}
	if err := r.e.Ready(t.Context()); err == nil {
		t.Error("ready without a store")
	}
	plan.Clear()
	r.wantBody("k", data)
	r.mustPut("k", body(3, 100))
	r.wantClean(1)
}

// A blob whose reservation could not be given back is given back by a later beat,
// and does not wait for the process to end.
func TestReleaseIsTriedAgain(t *testing.T) {
	r := newRig(t)
	plan := r.plannedStore(1)
	plan.Add(faults.Rule{Op: "CommitObject", N: 1})
	plan.Add(faults.Rule{Op: "Release", N: 1})
	if _, err := r.put("k", body(1, 5000)); !errors.Is(err, s3err.ServiceUnavailable) {
		t.Fatalf("%v, want ServiceUnavailable", err)
	}
	left := func() (n int) {
		for _, err := range r.backend.List(t.Context(), backends.BlobID{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	r.collect()
	before := left()
	if err := r.e.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.collect()
	if after := left(); after != before-1 {
		t.Errorf("the beat left %d blobs of %d, want one less", after, before)
	}
	r.wantClean(0)
}
