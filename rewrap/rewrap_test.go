package rewrap_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/encrypt/providers"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/s3err"
)

// rig is a deployment with a key service in memory and some buckets with an object each.
type rig struct {
	*enginetest.Rig
	keys    *keytest.Fake
	steps   *rewrap.Steps
	buckets []meta.Bucket
}

func newRig(t *testing.T, buckets int) *rig {
	t.Helper()
	r := &rig{Rig: enginetest.NewBare(t), keys: keytest.NewFake("fake")}
	r.Config.Keys = r.keys
	r.restart()
	for i := range buckets {
		r.bucket(fmt.Sprintf("bucket-%d", i))
	}
	return r
}

func (r *rig) bucket(name string) {
	r.T.Helper()
	r.B = r.CreateBucket(name, "")
	r.MustPut("k", []byte("a body"))
	r.buckets = append(r.buckets, r.B)
}

// restart begins another process over the same parts. The one before is gone without a word.
func (r *rig) restart() {
	r.T.Helper()
	r.Reopen()
	r.steps = rewrap.New(rewrap.Config{Engine: r.E})
}

func (r *rig) ok(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatal(err)
	}
}

func (r *rig) start() {
	r.T.Helper()
	r.ok(rewrap.Start(r.T.Context(), r.E.Seeds(), time.Now()))
}

// maxSteps is more than any job of these tests takes.
const maxSteps = 200

// run steps until the job has ended.
func (r *rig) run() rewrap.Report {
	r.T.Helper()
	for range maxSteps {
		report, err := r.steps.Step(r.T.Context())
		r.ok(err)
		if report.State != jobs.Running {
			return report
		}
	}
	r.T.Fatal("the job does not end")
	return rewrap.Report{}
}

// seeds are all seeds of the deployment.
func (r *rig) seeds() (all []engine.Seed) {
	r.T.Helper()
	ctx := context.WithoutCancel(r.T.Context())
	system, err := r.E.Seeds().System(ctx)
	r.ok(err)
	page, err := r.E.Seeds().Page(ctx, meta.SeedPosition{}, meta.MaxPage)
	r.ok(err)
	return append(page, system)
}

// wantAllUnder checks that every seed is under the key, and that a new process reads every
// object.
func (r *rig) wantAllUnder(key string) {
	r.T.Helper()
	for _, s := range r.seeds() {
		if got, err := r.E.Seeds().Key(&s); err != nil || got != key {
			r.T.Errorf("%s is under %s, %v, want %s", &s, got, err, key)
		}
	}
	r.restart()
	for _, b := range r.buckets {
		if _, err := r.E.Buckets().Keys(r.T.Context(), b); err != nil {
			r.T.Errorf("%s: %v", b.Name, err)
		}
		if _, err := r.E.HeadObject(r.T.Context(), engine.GetObject{Bucket: b, Key: "k"}); err != nil {
			r.T.Errorf("%s: %v", b.Name, err)
		}
	}
	r.ok(r.E.Ready(r.T.Context()))
}

func (r *rig) status() *rewrap.Job {
	r.T.Helper()
	j, err := rewrap.Status(r.T.Context(), r.E.Seeds())
	r.ok(err)
	return j
}

// All seeds come under the current key, with calls of the provider in proportion to them
// and not to objects. The numbers that people are told are right.
func TestRewrap(t *testing.T) {
	const buckets = 40
	r := newRig(t, buckets)
	if r.status() != nil {
		t.Error("there is a job before one was started")
	}
	if report := r.run(); report.State != "" {
		t.Errorf("without a job: %+v", report)
	}
	r.keys.Rotate()
	r.bucket("after-the-rotation")
	r.start()
	r.keys.Calls()
	if report := r.run(); report.State != jobs.Done {
		t.Fatalf("%+v, %+v", report, r.status())
	}
	// Rewrap is two calls of this provider, opening the old and the new one two more; a
	// step asks once for the current key.
	const seeds, steps = buckets + 1, 7
	if n := r.keys.Calls(); n > 4*seeds+steps {
		t.Errorf("%d calls for %d seeds", n, seeds)
	}
	j := r.status()
	if j.Seeds != buckets+2 || j.Old != buckets+1 || j.Rewrapped != buckets+1 || j.Left != 0 || j.Failed != 0 || j.Key != "key-1" {
		t.Errorf("%+v", j)
	}
	r.wantAllUnder("key-1")

	// Again, there is nothing to do.
	r.start()
	r.keys.Calls()
	if report := r.run(); report.State != jobs.Done || r.status().Rewrapped != 0 {
		t.Errorf("%+v", r.status())
	}
	if n := r.keys.Calls(); n > steps {
		t.Errorf("%d calls to find that nothing is left", n)
	}
}

func TestKeys(t *testing.T) {
	r := newRig(t, 5)
	r.keys.Rotate()
	r.bucket("another")
	sum := map[string]int{}
	var at *rewrap.Position
	for {
		found, next, err := rewrap.Keys(t.Context(), r.E.Seeds(), at, 2)
		r.ok(err)
		for id, n := range found {
			sum[id] += n
		}
		if at = next; at == nil {
			break
		}
	}
	if len(sum) != 2 || sum["key-0"] != 6 || sum["key-1"] != 1 {
		t.Errorf("%v", sum)
	}
}

// The process is killed at each call of the store and at each of the provider, before and
// after its effect, and another one goes on: the job ends, and nothing is lost.
func TestKilledAtEveryCall(t *testing.T) {
	const buckets = 3
	sweep := func(t *testing.T, when faults.When) {
		for n, met := 1, true; met; n++ {
			r := newRig(t, buckets)
			r.keys.Rotate()
			r.start()
			plan := r.PlannedStore(1)
			r.steps = rewrap.New(rewrap.Config{Engine: r.E})
			plan.Add(faults.Rule{When: when, N: n})
			for range maxSteps {
				if report, err := r.steps.Step(t.Context()); err != nil || report.State != jobs.Running {
					break
				}
			}
			met = plan.Fired() > 0
			plan.Clear()
			r.restart()
			if report := r.run(); report.State != jobs.Done {
				t.Errorf("%s call %d: %+v", when, n, r.status())
			}
			r.wantAllUnder("key-1")
			if t.Failed() || n > 500 {
				t.Fatalf("seed %d, %s call %d of the store", plan.Seed, when, n)
			}
		}
	}
	t.Run("before", func(t *testing.T) { sweep(t, faults.Before) })
	t.Run("after", func(t *testing.T) { sweep(t, faults.After) })
}

// failing fails at one call.
type failing struct {
	encrypt.Provider
	left int // calls until the one that fails
	met  bool
}

func (f *failing) count() error {
	if f.left--; f.left == 0 {
		f.met = true
		return encrypt.ErrUnavailable
	}
	return nil
}

func (f *failing) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	if err := f.count(); err != nil {
		return nil, err
	}
	return f.Provider.Wrap(ctx, c, secret)
}

func (f *failing) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	if err := f.count(); err != nil {
		return nil, err
	}
	return f.Provider.Unwrap(ctx, c, wrapped)
}

func (f *failing) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	if err := f.count(); err != nil {
		return nil, err
	}
	return f.Provider.Rewrap(ctx, c, wrapped)
}

// A provider that is away for one call, whichever, delays the job by a step, and what was
// rewrapped before is kept.
func TestProviderIsAwayOnce(t *testing.T) {
	for n := 1; ; n++ {
		r := newRig(t, 1)
		r.keys.Rotate()
		r.start()
		f := &failing{Provider: r.keys}
		r.Config.Keys = f
		r.restart()
		f.left = n
		for range maxSteps {
			report, err := r.steps.Step(t.Context())
			if err != nil && !errors.Is(err, encrypt.ErrUnavailable) {
				t.Fatal(err)
			}
			if err != nil && r.status().Waiting == "" {
				t.Errorf("call %d: nobody is told that the job waits", n)
			}
			if report.State != jobs.Running {
				break
			}
		}
		f.left = -1
		r.wantAllUnder("key-1")
		if j := r.status(); j.State != jobs.Done || j.Rewrapped != 2 || j.Waiting != "" {
			t.Errorf("call %d: %+v", n, j)
		}
		if t.Failed() || !f.met {
			return
		}
	}
}

// Two gateways step at once: one of them works at a time, and the other goes on when it is
// gone.
func TestTwoGateways(t *testing.T) {
	r := newRig(t, 5)
	r.Config.Sole = false
	r.restart()
	r.keys.Rotate()
	r.start()
	other, err := engine.Open(t.Context(), r.Config)
	r.ok(err)
	second := rewrap.New(rewrap.Config{Engine: other})
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
	r.wantAllUnder("key-1")
}

// Another key that becomes current in the middle is the one that all seeds are under in
// the end.
func TestKeyChangesMeanwhile(t *testing.T) {
	r := newRig(t, 5)
	for stop := range 6 {
		r.keys.Rotate()
		r.start()
		for range stop {
			_, err := r.steps.Step(t.Context())
			r.ok(err)
		}
		r.keys.Rotate()
		if report := r.run(); stop < 5 && report.State != jobs.Done {
			t.Fatalf("after %d steps: %+v", stop, r.status())
		}
	}
	r.start()
	r.run()
	r.wantAllUnder("key-12")
}

// A seed that does not open stops nothing. It is told with its bucket, and stays as it is.
func TestSeedThatDoesNotOpen(t *testing.T) {
	r := newRig(t, 4)
	db, err := sql.Open("sqlite", r.Path)
	r.ok(err)
	defer db.Close()
	spoilt := r.buckets[2]
	_, err = db.Exec("UPDATE bucket_seeds SET wrapped = (SELECT seed FROM deployment) WHERE bucket_id = ?", spoilt.ID[:])
	r.ok(err)
	r.keys.Rotate()
	r.start()
	if report := r.run(); report.State != jobs.Failed {
		t.Fatalf("%+v", report)
	}
	j := r.status()
	if j.Failed != 1 || j.Left != 1 || j.Rewrapped != 4 || len(j.Failures) != 1 || !strings.Contains(j.Failures[0], spoilt.ID.String()) {
		t.Errorf("%+v", j)
	}
	for _, s := range r.seeds() {
		if id, _ := r.E.Seeds().Key(&s); (id == "key-1") == (s.Bucket == spoilt.ID) {
			t.Errorf("%s is under %s", &s, id)
		}
	}
}

// lying answers Rewrap with a wrap of another secret.
type lying struct{ encrypt.Provider }

func (l lying) Rewrap(ctx context.Context, c encrypt.Context, _ []byte) ([]byte, error) {
	return l.Wrap(ctx, c, []byte("another secret of 32 bytes......"))
}

// A wrong answer of the provider replaces no seed.
func TestWrongAnswer(t *testing.T) {
	r := newRig(t, 3)
	before := r.seeds()
	r.keys.Rotate()
	r.Config.Keys = lying{r.keys}
	r.restart()
	r.start()
	if report := r.run(); report.State != jobs.Failed || r.status().Rewrapped != 0 || r.status().Failed != 4 {
		t.Errorf("%+v", r.status())
	}
	for i, s := range r.seeds() {
		if string(s.Wrapped) != string(before[i].Wrapped) {
			t.Errorf("%s was replaced", &s)
		}
	}
}

// A running job is not started twice. A stopped one goes on where it was.
func TestStartAndStop(t *testing.T) {
	r := newRig(t, 3)
	ctx := t.Context()
	if err := rewrap.Stop(ctx, r.E.Seeds(), time.Now()); !errors.Is(err, s3err.NoSuchEntity) {
		t.Errorf("stop without a job: %v", err)
	}
	r.keys.Rotate()
	r.start()
	if err := rewrap.Start(ctx, r.E.Seeds(), time.Now()); !errors.Is(err, s3err.EntityAlreadyExists) {
		t.Errorf("started twice: %v", err)
	}
	r.ok(rewrap.Stop(ctx, r.E.Seeds(), time.Now()))
	if report := r.run(); report.State != jobs.Stopped || report.Rewrapped > 0 {
		t.Errorf("stopped: %+v", report)
	}
	r.keys.Set(keytest.Down)
	if err := rewrap.Start(ctx, r.E.Seeds(), time.Now()); !errors.Is(err, s3err.ServiceUnavailable) || r.status().State != jobs.Stopped {
		t.Errorf("while the provider is away: %v", err)
	}
	r.keys.Set(keytest.Works)
	r.start()
	r.run()
	r.wantAllUnder("key-1")
}

// From one provider to two, and to the other alone: afterwards the first one is not needed.
func TestFromProviderToProvider(t *testing.T) {
	r := newRig(t, 4)
	a, b := r.keys, keytest.NewFake("b")
	set := func(o providers.Options) {
		t.Helper()
		s, err := providers.New(o)
		r.ok(err)
		r.Config.Keys = s
		r.restart()
	}
	named := map[string]encrypt.Provider{"a": a, "b": b}
	set(providers.Options{Providers: named, Default: "a", Second: "b", Bare: "a"})
	r.start()
	r.run()
	r.wantAllUnder("a:key-0,b:key-0")
	a.Set(keytest.Deleted)
	r.wantAllUnder("a:key-0,b:key-0")
	a.Set(keytest.Works)
	set(providers.Options{Providers: named, Default: "b", Bare: "a"})
	r.start()
	r.run()
	r.wantAllUnder("b:key-0")
	set(providers.Options{Providers: map[string]encrypt.Provider{"b": b}, Default: "b"})
	a.Calls()
	r.wantAllUnder("b:key-0")
	if n := a.Calls(); n > 0 {
		t.Errorf("%d calls of a provider that is not needed", n)
	}
}
