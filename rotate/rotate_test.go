package rotate_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/rotate"
	"github.com/sanctum-storage/gateway/s3err"
)

// customer is the key of the SSE-C objects of these tests.
var customer = &engine.CustomerKey{1, 2, 3}

// rig is a deployment with buckets in which each kind of row refers to a generation.
type rig struct {
	*enginetest.Rig
	keys  *keytest.Fake
	steps *rotate.Steps
	seen  map[string]seen // by bucket, key and version
	open  map[string]engine.Upload
}

// seen is what a client sees of a version.
type seen struct {
	bucket, key string
	in          engine.GetObject
	body        string
	shown       string // all that is told of the object
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Rig: enginetest.NewBare(t), keys: keytest.NewFake("fake"), seen: map[string]seen{}, open: map[string]engine.Upload{}}
	r.Config.Keys = r.keys
	r.restart()
	return r
}

// restart begins another process over the same parts. The one before is gone without a word.
func (r *rig) restart() {
	r.T.Helper()
	r.Reopen()
	r.steps = rotate.New(rotate.Config{Engine: r.E})
}

func (r *rig) ok(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatal(err)
	}
}

func (r *rig) get(name string) meta.Bucket {
	r.T.Helper()
	b, err := r.E.Buckets().Get(r.T.Context(), name)
	r.ok(err)
	return b
}

// fill makes a bucket, with every kind of row, and locks that nothing but time ends.
func (r *rig) fill(name string) {
	r.T.Helper()
	ctx := r.T.Context()
	b, err := r.E.Buckets().CreateLocked(ctx, name, "", r.E.Accounts().Root().ID)
	r.ok(err)
	r.ok(r.E.Buckets().SetSetting(ctx, b, "policy", []byte("a policy of "+name)))
	r.ok(r.E.Buckets().SetSetting(ctx, r.get(name), "cors", []byte("rules of "+name)))
	b = r.get(name)
	r.B = b
	put := func(key, body string, change func(*engine.PutObject)) engine.Object {
		r.T.Helper()
		in := engine.PutObject{Bucket: b, Key: key, Owner: b.Owner, Body: engine.Body{Reader: strings.NewReader(body), Size: int64(len(body))}}
		if change != nil {
			change(&in)
		}
		o, err := r.E.PutObject(ctx, in)
		r.ok(err)
		r.see(name, key, o.Version, in.Customer)
		return o
	}
	put("plain", "first", nil)
	put("plain", "second", nil)
	put("locked", "kept", func(in *engine.PutObject) {
		in.Marks = engine.Marks{Tags: []engine.Pair{{Name: "a", Value: "b"}}, Lock: meta.Lock{Mode: meta.LockCompliance, Until: time.Now().Add(time.Hour)}}
	})
	put("sse-c", "for the customer", func(in *engine.PutObject) { in.Encryption, in.Customer = meta.EncryptionCustomer, customer })
	put("deleted", "gone", nil)
	_, err = r.E.DeleteObject(ctx, b, engine.DeleteObject{Key: "deleted", Owner: b.Owner})
	r.ok(err)
	r.complete(name, "parts", nil, nil)
	r.complete(name, "sse-c parts", customer, customer)
	r.complete(name, "sse-c parts without the key", customer, nil)
	o, err := r.E.CopyObject(ctx, engine.CopyObject{SourceBucket: b, SourceKey: "parts", Bucket: b, Key: "copy", Owner: b.Owner})
	r.ok(err)
	r.see(name, "copy", o.Version, nil)
	u, err := r.E.CreateUpload(ctx, engine.CreateUpload{Bucket: b, Key: "open", Owner: b.Owner})
	r.ok(err)
	r.open[name] = u
	u, err = r.E.CreateUpload(ctx, engine.CreateUpload{Bucket: b, Key: "aborted", Owner: b.Owner})
	r.ok(err)
	r.ok(r.E.AbortUpload(ctx, b, "aborted", u.ID, time.Time{}))
}

func (r *rig) complete(name, key string, begins, completes *engine.CustomerKey) {
	r.T.Helper()
	ctx, b, body := r.T.Context(), r.get(name), "the part of "+key
	in := engine.CreateUpload{Bucket: b, Key: key, Owner: b.Owner, Customer: begins}
	if begins != nil {
		in.Encryption = meta.EncryptionCustomer
	}
	u, err := r.E.CreateUpload(ctx, in)
	r.ok(err)
	p, err := r.E.UploadPart(ctx, engine.UploadPart{Bucket: b, Key: key, Upload: u.ID, Number: 1, Customer: begins, Body: engine.Body{Reader: strings.NewReader(body), Size: int64(len(body))}})
	r.ok(err)
	o, err := r.E.CompleteUpload(ctx, engine.CompleteUpload{Bucket: b, Key: key, Upload: u.ID, Parts: []engine.CompletedPart{{Number: 1, ETag: p.ETag}}, Size: -1, Customer: completes})
	r.ok(err)
	r.see(name, key, o.Version, begins)
}

// look reads a version as a client does.
func (r *rig) look(s seen) (seen, error) {
	s.in.Bucket = r.get(s.bucket)
	g, err := r.E.GetObject(r.T.Context(), s.in)
	if err != nil {
		return s, err
	}
	defer g.Close()
	var body bytes.Buffer
	_, err = g.WriteTo(&body)
	o := g.Object
	o.Latest = false // which others change
	s.body, s.shown = body.String(), fmt.Sprintf("%+v", o)
	return s, err
}

// see notes what a client sees of a version.
func (r *rig) see(bucket, key string, ref meta.VersionRef, key2 *engine.CustomerKey) {
	r.T.Helper()
	s, err := r.look(seen{bucket: bucket, key: key, in: engine.GetObject{Key: key, Version: ref, Customer: key2}})
	r.ok(err)
	r.seen[fmt.Sprint(bucket, " ", key, " ", ref)] = s
}

// same checks that clients see what they saw, byte for byte, in a new process, that open
// uploads go on, and that fsck finds nothing.
func (r *rig) same(when string) {
	r.T.Helper()
	r.restart()
	ctx := r.T.Context()
	for name, was := range r.seen {
		if now, err := r.look(was); err != nil || now.body != was.body || now.shown != was.shown {
			r.T.Errorf("%s: %s: %v\nnow %s %q\nwas %s %q", when, name, err, now.shown, now.body, was.shown, was.body)
		}
	}
	for name, u := range r.open {
		if _, err := r.E.OpenUpload(ctx, r.get(name), "open", u.ID); err != nil {
			r.T.Errorf("%s: the open upload of %s: %v", when, name, err)
		}
		s, err := r.E.Buckets().Settings(ctx, r.get(name))
		r.ok(err)
		if d, ok := s.Document("policy"); !ok || string(d) != "a policy of "+name {
			r.T.Errorf("%s: the policy of %s is %q", when, name, d)
		}
	}
	report, err := fsck.Run(ctx, r.E, fsck.Options{Deep: true})
	if err != nil || !report.Clean() {
		r.T.Errorf("%s: fsck: %v, %+v", when, err, report.Findings)
	}
}

func (r *rig) rotate(name string) uint32 {
	r.T.Helper()
	g, err := rotate.Bucket(r.T.Context(), r.E, r.get(name), time.Now())
	r.ok(err)
	return g
}

// maxSteps is more than any job of these tests takes.
const maxSteps = 200

// run steps until the job has ended.
func (r *rig) run() rotate.Report {
	r.T.Helper()
	for range maxSteps {
		report, err := r.steps.Step(r.T.Context())
		r.ok(err)
		if report.State != jobs.Running {
			return report
		}
	}
	r.T.Fatal("the job does not end")
	return rotate.Report{}
}

func (r *rig) status() *rotate.Job {
	r.T.Helper()
	j, err := rotate.Status(r.T.Context(), r.E)
	r.ok(err)
	return j
}

// destroyed destroys a generation, which nothing may need.
func (r *rig) destroyed(name string, generation uint32) {
	r.T.Helper()
	r.ok(rotate.Destroy(r.T.Context(), r.E, r.get(name), generation))
}

// Everything comes under a new generation, of one bucket and of no other. Clients see the same as
// before, and the old generation is not needed any more. Calls of the key provider grow with
// buckets and not with rows.
func TestRotation(t *testing.T) {
	r := newRig(t)
	if r.status() != nil {
		t.Error("there is a job before one was started")
	}
	r.fill("rotated")
	r.fill("other")
	o, err := r.E.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.get("rotated"), SourceKey: "parts", Bucket: r.get("other"), Key: "from rotated", Owner: r.B.Owner})
	r.ok(err)
	r.see("other", "from rotated", o.Version, nil)
	r.keys.Calls()
	if g := r.rotate("rotated"); g != 2 {
		t.Errorf("generation %d", g)
	}
	r.same("rotated")
	refer, err := rotate.References(t.Context(), r.E, r.get("rotated"), 1)
	r.ok(err)
	r.keys.Calls()
	if report := r.run(); report.State != jobs.Done {
		t.Fatalf("%+v, %+v", report, r.status())
	}
	if n := r.keys.Calls(); n > 10 {
		t.Errorf("%d calls of the key provider", n)
	}
	j := r.status()
	if j.Old != refer || j.Rewrapped != refer || j.Left != 0 || j.Failed != 0 || j.Rows != refer || refer < 15 {
		t.Errorf("%d rows referred to the old generation: %+v", refer, j)
	}
	r.same("done")
	if n, err := rotate.References(t.Context(), r.E, r.get("rotated"), 1); err != nil || n != 0 {
		t.Errorf("%d rows refer to the old generation, %v", n, err)
	}
	if n, err := rotate.References(t.Context(), r.E, r.get("other"), 1); err != nil || n == 0 {
		t.Errorf("%d rows of the other bucket refer to its generation, %v", n, err)
	}
	r.destroyed("rotated", 1)
	r.same("destroyed")
	r.rotate("rotated")
	r.run()
	r.destroyed("rotated", 2)
	r.same("rotated again")
}

// All buckets are rotated by one job, each once.
func TestRotationOfAll(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.fill(fmt.Sprint("bucket-", i))
	}
	r.ok(rotate.All(t.Context(), r.E, time.Now()))
	if report := r.run(); report.State != jobs.Done || r.status().Rotated != 3 {
		t.Fatalf("%+v", r.status())
	}
	for i := range 3 {
		r.destroyed(fmt.Sprint("bucket-", i), 1)
	}
	r.same("all")
}

// The process is killed at each call of the store, before and after its effect, and another
// one goes on: the job ends, and nothing is lost.
func TestKilledAtEveryCall(t *testing.T) {
	for _, when := range []faults.When{faults.Before, faults.After} {
		t.Run(when.String(), func(t *testing.T) {
			for n, met := 1, true; met; n++ {
				r := newRig(t)
				r.fill("bucket")
				store := r.Config.Store
				plan := r.PlannedStore(1)
				r.steps = rotate.New(rotate.Config{Engine: r.E})
				plan.Add(faults.Rule{When: when, N: n})
				if b, err := r.E.Buckets().Get(t.Context(), "bucket"); err == nil {
					if _, err = rotate.Bucket(t.Context(), r.E, b, time.Now()); err == nil {
						for range maxSteps {
							if report, err := r.steps.Step(t.Context()); err != nil || report.State != jobs.Running {
								break
							}
						}
					}
				}
				met = plan.Fired() > 0
				plan.Clear()
				r.Config.Store = store
				r.restart()
				if j := r.status(); j == nil || j.State != jobs.Running {
					r.rotate("bucket")
				}
				if report := r.run(); report.State != jobs.Done {
					t.Errorf("%s call %d: %+v", when, n, r.status())
				}
				all, err := r.E.Buckets().Generations(t.Context(), r.get("bucket"))
				r.ok(err)
				for _, g := range all[1:] {
					r.destroyed("bucket", g.Generation)
				}
				if len(all) < 2 || len(all) > 3 {
					t.Errorf("%s call %d: %d generations", when, n, len(all))
				}
				r.same("killed")
				if t.Failed() || n > 500 {
					t.Fatalf("seed %d, %s call %d of the store", plan.Seed, when, n)
				}
			}
		})
	}
}

// Rows that are changed between the steps of the job are neither lost nor left.
func TestRowsChangeMeanwhile(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.fill("bucket")
	b := r.get("bucket") // as a request that goes on for long has it
	r.rotate("bucket")
	changes := []func(){
		func() {
			_, err := r.E.ChangeMarks(ctx, engine.Subject{Bucket: b, Key: "plain"}, func(m *engine.Marks) error { m.Tags = []engine.Pair{{Name: "c", Value: "d"}}; return nil })
			r.ok(err)
		},
		func() { r.MustPut("plain", []byte("third")) },
		func() { r.ok(r.E.Buckets().SetSetting(ctx, b, "cors", []byte("other rules"))) },
		func() {
			_, err := r.E.DeleteObject(ctx, b, engine.DeleteObject{Key: "copy", Owner: b.Owner})
			r.ok(err)
		},
		func() { r.complete("bucket", "late parts", customer, nil) },
		func() {
			u := r.open["bucket"]
			_, err := r.E.UploadPart(ctx, engine.UploadPart{Bucket: b, Key: "open", Upload: u.ID, Number: 1, Body: engine.Body{Reader: strings.NewReader("x"), Size: 1}})
			r.ok(err)
		},
	}
	for i := 0; ; i++ {
		changes[i%len(changes)]()
		report, err := r.steps.Step(ctx)
		r.ok(err)
		if report.State != jobs.Running {
			if report.State != jobs.Done {
				t.Errorf("%+v", r.status())
			}
			break
		}
	}
	for name, s := range r.seen {
		if s.key == "plain" { // its tags changed
			delete(r.seen, name)
		}
	}
	r.destroyed("bucket", 1)
	r.same("changed")
}

// A row that does not open stops nothing. It is named, stays as it is, and keeps the old
// generation from being destroyed.
func TestRowThatDoesNotOpen(t *testing.T) {
	r := newRig(t)
	r.fill("bucket")
	db, err := sql.Open("sqlite", r.Path)
	r.ok(err)
	defer db.Close()
	_, err = db.Exec("UPDATE objects SET wrapped_key = (SELECT wrapped_key FROM objects WHERE key = CAST('copy' AS BLOB)) WHERE key = CAST('plain' AS BLOB)")
	r.ok(err)
	r.rotate("bucket")
	if report := r.run(); report.State != jobs.Failed {
		t.Fatalf("%+v", report)
	}
	j := r.status()
	if j.Failed != 1 || j.Left != 1 || j.Rewrapped != j.Old-1 || len(j.Failures) != 1 || !strings.Contains(j.Failures[0], "bucket") {
		t.Errorf("%+v", j)
	}
	err = rotate.Destroy(t.Context(), r.E, r.get("bucket"), 1)
	if !errors.Is(err, s3err.InvalidRequest) || !strings.Contains(err.Error(), "1 rows") {
		t.Errorf("it is destroyed: %v", err)
	}
	_, err = r.E.DeleteObject(t.Context(), r.get("bucket"), engine.DeleteObject{Key: "plain", Version: meta.VersionRef{ID: r.current("plain")}, Owner: r.B.Owner})
	if err == nil {
		r.ok(rotate.Resume(t.Context(), r.E, time.Now()))
		if report := r.run(); report.State != jobs.Done {
			t.Errorf("once it is gone: %+v", r.status())
		}
	}
}

func (r *rig) current(key string) meta.ID {
	r.T.Helper()
	v, err := r.Store.Object(r.T.Context(), r.B.ID, key)
	r.ok(err)
	return v.ID
}

// Destroying is refused for all that is not a former generation which nothing needs, and while
// a job is running.
func TestDestroyIsRefused(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.fill("bucket")
	refused := func(what string, generation uint32, code s3err.Code, text string) {
		t.Helper()
		if err := rotate.Destroy(ctx, r.E, r.get("bucket"), generation); !errors.Is(err, code) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("the only one", 1, s3err.InvalidRequest, "is written with")
	refused("none", 2, s3err.NoSuchEntity, "no former generation")
	r.rotate("bucket")
	refused("while it is rotated", 1, s3err.InvalidRequest, "being rotated")
	r.ok(rotate.Stop(ctx, r.E, time.Now()))
	refused("while rows refer to it", 1, s3err.InvalidRequest, "rows of bucket")
	r.ok(rotate.Resume(ctx, r.E, time.Now()))
	r.run()
	refused("the newest", 2, s3err.InvalidRequest, "is written with")
	r.ok(rewrap.Start(ctx, r.E.Seeds(), time.Now()))
	refused("while seeds are rewrapped", 1, s3err.InvalidRequest, "rewrapped")
	r.ok(rewrap.Stop(ctx, r.E.Seeds(), time.Now()))
	r.destroyed("bucket", 1)
	refused("twice", 1, s3err.NoSuchEntity, "no former generation")
}

// A running job is not started twice. A stopped one goes on where it was.
func TestStartAndStop(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.fill("bucket")
	if err := rotate.Stop(ctx, r.E, time.Now()); !errors.Is(err, s3err.NoSuchEntity) {
		t.Errorf("stop without a job: %v", err)
	}
	r.rotate("bucket")
	if _, err := rotate.Bucket(ctx, r.E, r.get("bucket"), time.Now()); !errors.Is(err, s3err.EntityAlreadyExists) {
		t.Errorf("started twice: %v", err)
	}
	if b := r.get("bucket"); b.Generation != 2 {
		t.Errorf("the second start made generation %d", b.Generation)
	}
	if err := rotate.All(ctx, r.E, time.Now()); !errors.Is(err, s3err.EntityAlreadyExists) {
		t.Errorf("all, while one is running: %v", err)
	}
	r.ok(rotate.Stop(ctx, r.E, time.Now()))
	if report := r.run(); report.State != jobs.Stopped || report.Rewrapped > 0 {
		t.Errorf("stopped: %+v", report)
	}
	r.ok(rotate.Resume(ctx, r.E, time.Now()))
	if report := r.run(); report.State != jobs.Done {
		t.Errorf("%+v", report)
	}
	r.destroyed("bucket", 1)
	r.same("resumed")
}

// The document of a job, whatever somebody made of it, destroys nothing.
func TestEditedDocument(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.fill("bucket")
	r.rotate("bucket")
	was, err := r.Store.Job(ctx, "rotate")
	r.ok(err)
	var job map[string]any
	r.ok(json.Unmarshal(was, &job))
	job["state"], job["left"] = "done", 0
	now, err := json.Marshal(job)
	r.ok(err)
	r.ok(r.Store.SetJob(ctx, "rotate", was, now))
	if err := rotate.Destroy(ctx, r.E, r.get("bucket"), 1); !errors.Is(err, s3err.InvalidRequest) {
		t.Errorf("destroyed by a document that says that it is done: %v", err)
	}
	r.ok(r.Store.SetJob(ctx, "rotate", now, []byte("no document")))
	r.ok(rotate.Resume(ctx, r.E, time.Now()))
	if report := r.run(); report.State != jobs.Done {
		t.Errorf("%+v", report)
	}
}

// Two gateways step at once: one of them works at a time, and the other goes on when it is
// gone.
func TestTwoGateways(t *testing.T) {
	r := newRig(t)
	r.Config.Sole = false
	r.restart()
	r.fill("bucket")
	r.rotate("bucket")
	other, err := engine.Open(t.Context(), r.Config)
	r.ok(err)
	second := rotate.New(rotate.Config{Engine: other})
	first, err := r.steps.Step(t.Context())
	r.ok(err)
	if report, err := second.Step(t.Context()); err != nil || !report.Skipped || first.Skipped {
		t.Errorf("the second: %+v, %v; the first: %+v", report, err, first)
	}
	r.ok(r.E.Close()) // gives back the lease
	r.E, r.steps = other, second
	if report := r.run(); report.State != jobs.Done {
		t.Errorf("%+v", report)
	}
	r.destroyed("bucket", 1)
	r.same("by the other")
}
