package lifecycle_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// lifecycleRig has the lifecycles of a rig's engine.
type lifecycleRig struct {
	*enginetest.Clocked
	of    *engine.Engine
	steps *lifecycle.Steps
}

func newLifecycleRig(t *testing.T, v meta.Versioning) *lifecycleRig {
	t.Helper()
	return &lifecycleRig{Clocked: enginetest.NewClocked(t, v)}
}

// step takes one step, with an engine that was opened meanwhile as a new process would.
func (l *lifecycleRig) step() (lifecycle.Report, error) {
	l.T.Helper()
	if l.of != l.E {
		l.of, l.steps = l.E, lifecycle.New(lifecycle.Config{Engine: l.E, Store: l.Config.Store, Now: l.Config.Now})
	}
	return l.steps.Step(l.T.Context())
}

// expire takes steps until nothing is left to do, and sums them up.
func (l *lifecycleRig) expire() (sum lifecycle.Report) {
	l.T.Helper()
	for range 1000 {
		r, err := l.step()
		if err != nil {
			l.T.Fatalf("expire: %v", err)
		}
		if sum.Add(r); !r.More {
			return sum
		}
		if r.Rows > meta.MaxPage {
			l.T.Errorf("a step of %d rows", r.Rows)
		}
	}
	l.T.Fatal("expiring never ends")
	return sum
}

const (
	expireAfter1 = `{"id":"a","enabled":true,"filter":{"prefix":"logs/"},"expiration":{"days":1}}`
	keepTwo      = `{"id":"n","enabled":true,"filter":{},"noncurrent_expiration":{"days":1,"newer":2}}`
	loneMarkers  = `{"id":"m","enabled":true,"filter":{},"expiration":{"delete_marker":true}}`
)

func TestExpireUnversioned(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	l.MustPut("logs/a", enginetest.Body(1, 1000))
	l.MustPut("other", enginetest.Body(2, 1000))
	if r := l.expire(); r.Rows != 0 || r.Buckets != 0 {
		t.Errorf("without rules: %+v", r)
	}
	l.Rules(expireAfter1)
	if r := l.expire(); r.Rows != 1 || r.Changed() != 0 {
		t.Errorf("before it is time: %+v", r)
	}
	l.Now = l.Now.Add(14 * time.Hour)
	l.MustPut("logs/b", enginetest.Body(3, 1000))
	l.Now = time.Date(2030, 1, 17, 0, 0, 1, 0, time.UTC)
	if r := l.expire(); r.Expired != 1 || r.Rows != 2 {
		t.Errorf("%+v", r)
	}
	l.WantVersions(map[string][]int64{"logs/b": {1000}, "other": {1000}})
	if r := l.expire(); r.Rows != 0 {
		t.Errorf("a second turn on the same day: %+v", r)
	}
	l.WantClean(2)
}

// A version passes from current to a marker's shadow, to nothing, to a lone marker,
// to nothing at all, a day at a time.
func TestExpireVersionedToNothing(t *testing.T) {
	for _, v := range []meta.Versioning{meta.VersioningEnabled, meta.VersioningSuspended} {
		l := newLifecycleRig(t, v)
		l.MustPut("logs/a", enginetest.Body(1, 1000))
		l.Rules(expireAfter1 + `,{"id":"n","enabled":true,"filter":{},"noncurrent_expiration":{"days":1}},` + loneMarkers)
		var seen []string
		for range 10 {
			l.Now = l.Now.Add(enginetest.Day)
			l.expire()
			if s := fmt.Sprint(l.Versions()["logs/a"]); len(seen) == 0 || seen[len(seen)-1] != s {
				seen = append(seen, s)
			}
		}
		want := "[[1000] [-1 1000] [-1] []]"
		if v == meta.VersioningSuspended { // the null version makes way for the null marker
			want = "[[1000] [-1] []]"
		}
		if fmt.Sprint(seen) != want {
			t.Errorf("versioning %v: %v, want %v", v, seen, want)
		}
		l.WantClean(0)
	}
}

// Pages end anywhere: in the middle of a key, and before the rest of one whose
// versions are removed up to there.
func TestExpireFiveThousand(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningEnabled)
	const deep, wide = 2500, 2500
	for range deep {
		l.MustPut("deep", nil)
	}
	for i := range wide {
		l.MustPut(fmt.Sprintf("x%04d", i), nil)
	}
	l.Delete("x1000")
	l.Now = l.Now.Add(3 * enginetest.Day)
	l.Rules(keepTwo + `,{"id":"x","enabled":true,"filter":{"prefix":"x2"},"expiration":{"days":1}}`)
	r := l.expire()
	if r.Removed != deep-3 || r.Expired != 500 || r.Markers != 0 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	got := l.Versions()
	if n := len(got["deep"]); n != 3 {
		t.Errorf("%d versions of the deep key are left, want the current one and two", n)
	}
	if len(got) != wide+1 || len(got["x1000"]) != 2 || len(got["x2000"]) != 2 || len(got["x0999"]) != 1 {
		t.Errorf("%d keys; %v %v %v", len(got), got["x1000"], got["x2000"], got["x0999"])
	}
	l.Now = l.Now.Add(enginetest.Day)
	if r := l.expire(); r.Changed() != 0 {
		t.Errorf("the next day: %+v", r)
	}
	l.WantClean(0)
}

// A client that writes while a rule is carried out loses nothing.
func TestExpireRaces(t *testing.T) {
	type race struct {
		name, rules string
		prepare     func(l *lifecycleRig)
		meanwhile   func(l *lifecycleRig)
		want        []int64
	}
	put := func(n int) func(*lifecycleRig) {
		return func(l *lifecycleRig) { l.MustPut("k", enginetest.Body(1, n)) }
	}
	all := `{"id":"a","enabled":true,"filter":{},"expiration":{"days":1},"noncurrent_expiration":{"days":1}}`
	tagged := `{"id":"a","enabled":true,"filter":{"tags":[{"Name":"t","Value":"1"}]},"expiration":{"days":1},"noncurrent_expiration":{"days":1}}`
	tag := func(n int) func(*lifecycleRig) {
		return func(l *lifecycleRig) {
			if _, err := l.E.PutObject(t.Context(), engine.PutObject{Bucket: l.B, Key: "k", Owner: l.B.Owner, Marks: engine.Marks{Tags: []engine.Pair{{Name: "t", Value: "1"}}},
				Body: engine.Body{Reader: bytes.NewReader(enginetest.Body(1, n)), Size: int64(n)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	keep := func(version string) func(*lifecycleRig) {
		return func(l *lifecycleRig) {
			at := engine.Subject{Bucket: l.B, Key: "k"}
			if version != "" {
				at.Version, _ = engine.ParseVersion(version)
			}
			if _, err := l.E.ChangeMarks(t.Context(), at, func(m *engine.Marks) error { m.Tags = nil; return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range []race{
		{"a put over what expires", all, put(10), put(20), []int64{20, 10}},
		{"a deletion is taken back", all, func(l *lifecycleRig) { put(10)(l); l.Delete("k") }, func(l *lifecycleRig) {
			page, err := l.E.ListVersions(t.Context(), meta.VersionQuery{Bucket: l.B.ID, Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.E.DeleteObject(t.Context(), l.B, engine.DeleteObject{Key: "k", Version: page.Entries[0].Version}); err != nil {
				t.Fatal(err)
			}
		}, []int64{10}},
		{"the tag is taken away", tagged, tag(10), keep(""), []int64{10}},
		{"the tag of an old version is taken away", tagged, func(l *lifecycleRig) { tag(10)(l); put(20)(l) }, func(l *lifecycleRig) {
			page, err := l.E.ListVersions(t.Context(), meta.VersionQuery{Bucket: l.B.ID, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			keep(page.Entries[1].Version.String())(l)
		}, []int64{20, 10}},
		{"a put over a lone marker", loneMarkers, func(l *lifecycleRig) { l.Delete("k") }, put(20), []int64{20, -1}},
	} {
		t.Run(r.name, func(t *testing.T) {
			l := newLifecycleRig(t, meta.VersioningEnabled)
			r.prepare(l)
			l.Rules(r.rules)
			l.Now = l.Now.Add(3 * enginetest.Day)
			plan := faults.NewPlan(1, faults.Rule{Op: "RemoveObjects", N: 1, Hook: func() {
				e := l.E
				l.Config.Store = l.Store
				l.Reopen() // another gateway
				r.meanwhile(l)
				l.E = e
			}})
			l.Config.Store = faults.Store(l.Store, plan)
			l.Reopen()
			l.expire()
			if plan.Fired() != 1 {
				t.Fatal("nothing happened meanwhile")
			}
			l.WantVersions(map[string][]int64{"k": r.want})
			plan.Clear()
			l.Now = l.Now.Add(time.Hour) // it has another turn, and finds what it may do
			l.expire()
			if got := l.Versions()["k"]; len(got) == 0 || got[0] != r.want[0] && r.name != "a deletion is taken back" {
				t.Errorf("an hour later: %v", got)
			}
			l.WantClean(-1)
		})
	}
}

// A lock wins, and frees when it ends.
func TestExpireLocked(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningEnabled)
	if err := l.E.Buckets().Lock(t.Context(), l.B, buckets.DefaultRetention{Mode: meta.LockGovernance, Days: 10}); err != nil {
		t.Fatal(err)
	}
	l.Reread()
	lock := meta.Lock{Mode: meta.LockGovernance, Until: l.Now.Add(10 * enginetest.Day)}
	for i := range 3 {
		if _, err := l.E.PutObject(t.Context(), engine.PutObject{Bucket: l.B, Key: "k", Owner: l.B.Owner, Marks: engine.Marks{Lock: lock},
			Body: engine.Body{Reader: bytes.NewReader(enginetest.Body(1, 10+i)), Size: int64(10 + i)}}); err != nil {
			t.Fatal(err)
		}
	}
	l.Rules(`{"id":"n","enabled":true,"filter":{},"expiration":{"days":1},"noncurrent_expiration":{"days":1}}`)
	l.Now = l.Now.Add(5 * enginetest.Day)
	if r := l.expire(); r.Locked != 2 || r.Expired != 1 || r.Removed != 0 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	l.WantVersions(map[string][]int64{"k": {-1, 12, 11, 10}})
	l.Now = l.Now.Add(6 * enginetest.Day)
	if r := l.expire(); r.Locked != 0 || r.Removed != 3 {
		t.Errorf("%+v", r)
	}
	l.WantVersions(map[string][]int64{"k": {-1}})
	l.WantClean(0)
}

func TestExpireByTagAndSize(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	for key, tags := range map[string][]engine.Pair{"a": {{Name: "t", Value: "1"}, {Name: "u", Value: "1"}}, "b": {{Name: "t", Value: "2"}}, "c": nil} {
		if _, err := l.E.PutObject(t.Context(), engine.PutObject{Bucket: l.B, Key: key, Owner: l.B.Owner, Marks: engine.Marks{Tags: tags},
			Body: engine.Body{Reader: bytes.NewReader(enginetest.Body(1, 10)), Size: 10}}); err != nil {
			t.Fatal(err)
		}
	}
	l.MustPut("large", enginetest.Body(1, 5000))
	l.Rules(`{"id":"t","enabled":true,"filter":{"tags":[{"Name":"t","Value":"1"}]},"expiration":{"days":1}},
		{"id":"s","enabled":true,"filter":{"above":4999},"expiration":{"days":1}}`)
	l.Now = l.Now.Add(3 * enginetest.Day)
	l.expire()
	l.WantVersions(map[string][]int64{"b": {10}, "c": {10}})
}

func TestExpireUploads(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	u := l.Begin("logs/a")
	l.Part(u, 1, enginetest.Body(1, 1000))
	l.Begin("other")
	l.Now = l.Now.Add(12 * time.Hour)
	l.Begin("logs/b")
	l.Rules(`{"id":"u","enabled":true,"filter":{"prefix":"logs/"},"abort_upload_days":2}`)
	l.Now = time.Date(2030, 1, 18, 0, 0, 0, 0, time.UTC)
	if r := l.expire(); r.Aborted != 2 || r.Rows != 2 {
		t.Errorf("%+v", r)
	}
	page, err := l.E.ListUploads(t.Context(), meta.UploadQuery{Bucket: l.B.ID, Limit: 10})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Key != "other" {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err := l.Complete(u, engine.CompletedPart{Number: 1, ETag: "x"}); !errors.Is(err, s3err.NoSuchUpload) {
		t.Errorf("%v", err)
	}
	l.WantClean(0)
}

// Rules that cannot be read do nothing, and other buckets have their turn.
func TestExpireUnreadableRules(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	l.MustPut("logs/a", enginetest.Body(1, 10))
	l.Rules(expireAfter1)
	first := l.B
	l.B = l.CreateBucket("another-bucket", "") // comes before the first
	l.MustPut("logs/a", enginetest.Body(1, 10))
	if err := l.E.Buckets().SetSetting(t.Context(), l.B, engine.LifecycleSetting, []byte(`{"rules":[{"id":"r","enabled":true,"filter":{"owner":"me"},"expiration":{"days":1}}]}`)); err != nil {
		t.Fatal(err)
	}
	l.Now = l.Now.Add(3 * enginetest.Day)
	failed := 0
	for range 10 {
		if _, err := l.step(); err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d steps failed, want 1", failed)
	}
	l.WantVersions(map[string][]int64{"logs/a": {10}})
	l.B = first
	l.WantVersions(map[string][]int64{})
}

// One gateway at a time does it; another takes over where that ended.
func TestExpireLease(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	l.Config.Sole = false
	l.Reopen()
	l.MustPut("logs/a", enginetest.Body(1, 10))
	l.Rules(expireAfter1)
	l.expire()
	first := l.E
	l.Reopen()
	l.Now = l.Now.Add(3 * enginetest.Day)
	if r := l.expire(); !r.Skipped || r.Rows != 0 {
		t.Errorf("%+v", r)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if r := l.expire(); r.Expired != 1 {
		t.Errorf("%+v", r)
	}
}

// Every call of the store fails in turn, before and after its effect; in the end
// all is as it should be, and what should stay has stayed.
func TestExpireEveryStoreCallFails(t *testing.T) {
	for _, when := range []faults.When{faults.Before, faults.After} {
		for n := 1; ; n++ {
			l := newLifecycleRig(t, meta.VersioningEnabled)
			l.MustPut("logs/a", enginetest.Body(1, 1000))
			for i := range 5 {
				l.MustPut("k", enginetest.Body(1, 1000+i))
			}
			l.Delete("gone")
			l.Begin("logs/u")
			l.MustPut("cool", enginetest.Body(1, 1000))
			l.Rules(expireAfter1 + "," + keepTwo + "," + loneMarkers + `,{"id":"u","enabled":true,"filter":{},"abort_upload_days":1}` +
				`,{"id":"c","enabled":true,"filter":{"prefix":"cool","above":1,"and":true},"transitions":[{"days":1,"class":"STANDARD_IA"}]}`)
			l.Now = l.Now.Add(3 * enginetest.Day)
			plan := l.PlannedStore(uint64(n))
			plan.Add(faults.Rule{When: when, N: n})
			for range 20 {
				l.step()
			}
			fired := plan.Fired()
			plan.Clear()
			l.Now = l.Now.Add(time.Hour)
			l.expire()
			l.WantVersions(map[string][]int64{"logs/a": {-1, 1000}, "k": {1004, 1003, 1002}, "cool": {1000}})
			if o, err := l.E.HeadObject(t.Context(), engine.GetObject{Bucket: l.B, Key: "cool"}); err != nil || o.Object.StorageClass != "STANDARD_IA" {
				t.Errorf("%+v, %v", o, err)
			}
			l.WantClean(-1)
			if t.Failed() {
				t.Fatalf("store call %d failed %v its effect", n, when)
			}
			l.E.Close()
			if fired == 0 {
				if n < 10 {
					t.Fatalf("only %d calls were swept", n)
				}
				break
			}
		}
	}
}

// A turn goes on when something else of the bucket is changed, and ends when its
// rules are: nothing more is done by those.
func TestExpireWhileSettingsChange(t *testing.T) {
	for _, name := range []string{"other", engine.LifecycleSetting} {
		l := newLifecycleRig(t, meta.VersioningOff)
		for n := range meta.MaxPage + 10 {
			l.MustPut(fmt.Sprintf("logs/%05d", n), nil)
		}
		l.Rules(expireAfter1)
		l.Now = l.Now.Add(3 * enginetest.Day)
		if r, err := l.step(); err != nil || r.Expired != meta.MaxPage {
			t.Fatalf("%+v, %v", r, err)
		}
		if err := l.E.Buckets().SetSetting(t.Context(), l.B, name, []byte(`{"rules":[]}`)); err != nil {
			t.Fatal(err)
		}
		r, err := l.step()
		if want := map[string]int{"other": 10}[name]; err != nil || r.Expired != want || r.Buckets != 1 {
			t.Errorf("%s: %+v, %v; want %d expired", name, r, err, want)
		}
	}
}

// A turn at a time that has yet to come was by a clock that was wrong, and once that is
// right does not keep a bucket from its turns; what was condemned then is deleted.
func TestExpireAfterAWrongClock(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	right := l.Now
	l.MustPut("other", enginetest.Body(1, 1000))
	l.Rules(expireAfter1)
	l.Now = right.AddDate(50, 0, 0)
	l.expire()
	l.Delete("other")
	l.Now = right
	l.MustPut("logs/a", enginetest.Body(2, 1000))
	l.Now = right.Add(3 * enginetest.Day)
	if r := l.expire(); r.Expired != 1 {
		t.Errorf("after the clock was set right: %+v", r)
	}
	l.WantClean(0)
}
