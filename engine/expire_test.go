package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// lifecycleRig is a rig whose clock the test moves.
type lifecycleRig struct {
	*rig
	now time.Time
}

const oneDay = 24 * hour

func newLifecycleRig(t *testing.T, v meta.Versioning) *lifecycleRig {
	t.Helper()
	l := &lifecycleRig{rig: newBareRig(t), now: time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)}
	l.config.Now = func() time.Time { return l.now }
	l.reopen()
	l.b = l.bucket("first-bucket", "")
	l.versioning(v)
	return l
}

func (l *lifecycleRig) versioning(v meta.Versioning) {
	l.t.Helper()
	if v != meta.VersioningOff {
		if err := l.e.SetVersioning(l.t.Context(), l.b, v); err != nil {
			l.t.Fatal(err)
		}
	}
	l.reread()
}

func (l *lifecycleRig) reread() {
	l.t.Helper()
	b, err := l.e.Bucket(l.t.Context(), l.b.Name)
	if err != nil {
		l.t.Fatal(err)
	}
	l.b = b
}

// rules gives the bucket these.
func (l *lifecycleRig) rules(document string) {
	l.t.Helper()
	doc := []byte(`{"minimum_size":"varies_by_storage_class","rules":[` + document + `]}`)
	if err := l.e.SetSetting(l.t.Context(), l.b, engine.LifecycleSetting, doc); err != nil {
		l.t.Fatal(err)
	}
	l.reread()
}

// expire takes steps until nothing is left to do, and sums them up.
func (l *lifecycleRig) expire() (sum engine.ExpireReport) {
	l.t.Helper()
	for range 1000 {
		r, err := l.e.Expire(l.t.Context())
		if err != nil {
			l.t.Fatalf("expire: %v", err)
		}
		if sum.Add(r); !r.More {
			return sum
		}
		if r.Rows > meta.MaxPage {
			l.t.Errorf("a step of %d rows", r.Rows)
		}
	}
	l.t.Fatal("expiring never ends")
	return sum
}

// versions lists what keys have, the newest first: sizes, and -1 for a marker.
func (l *lifecycleRig) versions() map[string][]int64 {
	l.t.Helper()
	out := make(map[string][]int64)
	for q := (meta.VersionQuery{Bucket: l.b.ID, Limit: meta.MaxPage}); ; {
		page, err := l.e.ListVersions(l.t.Context(), q)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, v := range page.Entries {
			n := v.Size
			if v.Marker {
				n = -1
			}
			out[v.Key] = append(out[v.Key], n)
		}
		if q.AfterKey, q.AfterVersion = page.NextKey, page.NextVersion; !page.More {
			return out
		}
	}
}

func (l *lifecycleRig) wantVersions(want map[string][]int64) {
	l.t.Helper()
	if got := l.versions(); fmt.Sprint(got) != fmt.Sprint(want) {
		l.t.Errorf("versions are %v, want %v", got, want)
	}
}

// wantClean is that of rig, once what was condemned is old enough.
func (l *lifecycleRig) wantClean(blobs int) {
	l.t.Helper()
	for range 3 { // uploads, then reservations, then blobs
		l.now = l.now.Add(time.Second)
		l.collect()
	}
	l.now = l.now.Add(time.Second)
	l.rig.wantClean(blobs)
}

const (
	expireAfter1 = `{"id":"a","enabled":true,"filter":{"prefix":"logs/"},"expiration":{"days":1}}`
	keepTwo      = `{"id":"n","enabled":true,"filter":{},"noncurrent_expiration":{"days":1,"newer":2}}`
	loneMarkers  = `{"id":"m","enabled":true,"filter":{},"expiration":{"delete_marker":true}}`
)

func TestExpireUnversioned(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	l.mustPut("logs/a", body(1, 1000))
	l.mustPut("other", body(2, 1000))
	if r := l.expire(); r.Rows != 0 || r.Buckets != 0 {
		t.Errorf("without rules: %+v", r)
	}
	l.rules(expireAfter1)
	if r := l.expire(); r.Rows != 1 || r.Changed() != 0 {
		t.Errorf("before it is time: %+v", r)
	}
	l.now = l.now.Add(14 * hour)
	l.mustPut("logs/b", body(3, 1000))
	l.now = time.Date(2030, 1, 17, 0, 0, 1, 0, time.UTC)
	if r := l.expire(); r.Expired != 1 || r.Rows != 2 {
		t.Errorf("%+v", r)
	}
	l.wantVersions(map[string][]int64{"logs/b": {1000}, "other": {1000}})
	if r := l.expire(); r.Rows != 0 {
		t.Errorf("a second turn on the same day: %+v", r)
	}
	l.wantClean(2)
}

// A version passes from current to a marker's shadow, to nothing, to a lone marker,
// to nothing at all, a day at a time.
func TestExpireVersionedToNothing(t *testing.T) {
	for _, v := range []meta.Versioning{meta.VersioningEnabled, meta.VersioningSuspended} {
		l := newLifecycleRig(t, v)
		l.mustPut("logs/a", body(1, 1000))
		l.rules(expireAfter1 + `,{"id":"n","enabled":true,"filter":{},"noncurrent_expiration":{"days":1}},` + loneMarkers)
		var seen []string
		for range 10 {
			l.now = l.now.Add(oneDay)
			l.expire()
			if s := fmt.Sprint(l.versions()["logs/a"]); len(seen) == 0 || seen[len(seen)-1] != s {
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
		l.wantClean(0)
	}
}

// Pages end anywhere: in the middle of a key, and before the rest of one whose
// versions are removed up to there.
func TestExpireFiveThousand(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningEnabled)
	const deep, wide = 2500, 2500
	for range deep {
		l.mustPut("deep", nil)
	}
	for i := range wide {
		l.mustPut(fmt.Sprintf("x%04d", i), nil)
	}
	l.delete("x1000")
	l.now = l.now.Add(3 * oneDay)
	l.rules(keepTwo + `,{"id":"x","enabled":true,"filter":{"prefix":"x2"},"expiration":{"days":1}}`)
	r := l.expire()
	if r.Removed != deep-3 || r.Expired != 500 || r.Markers != 0 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	got := l.versions()
	if n := len(got["deep"]); n != 3 {
		t.Errorf("%d versions of the deep key are left, want the current one and two", n)
	}
	if len(got) != wide+1 || len(got["x1000"]) != 2 || len(got["x2000"]) != 2 || len(got["x0999"]) != 1 {
		t.Errorf("%d keys; %v %v %v", len(got), got["x1000"], got["x2000"], got["x0999"])
	}
	l.now = l.now.Add(oneDay)
	if r := l.expire(); r.Changed() != 0 {
		t.Errorf("the next day: %+v", r)
	}
	l.wantClean(0)
}

// Who writes while a rule is carried out loses nothing.
func TestExpireRaces(t *testing.T) {
	type race struct {
		name, rules string
		prepare     func(l *lifecycleRig)
		meanwhile   func(l *lifecycleRig)
		want        []int64
	}
	put := func(n int) func(*lifecycleRig) { return func(l *lifecycleRig) { l.mustPut("k", body(1, n)) } }
	all := `{"id":"a","enabled":true,"filter":{},"expiration":{"days":1},"noncurrent_expiration":{"days":1}}`
	tagged := `{"id":"a","enabled":true,"filter":{"tags":[{"Name":"t","Value":"1"}]},"expiration":{"days":1},"noncurrent_expiration":{"days":1}}`
	tag := func(n int) func(*lifecycleRig) {
		return func(l *lifecycleRig) {
			if _, err := l.e.PutObject(t.Context(), engine.PutObject{Bucket: l.b, Key: "k", Owner: l.b.Owner, Marks: engine.Marks{Tags: []engine.Pair{{Name: "t", Value: "1"}}},
				Body: engine.Body{Reader: bytes.NewReader(body(1, n)), Size: int64(n)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	keep := func(version string) func(*lifecycleRig) {
		return func(l *lifecycleRig) {
			at := engine.Subject{Bucket: l.b, Key: "k"}
			if version != "" {
				at.Version, _ = engine.ParseVersion(version)
			}
			if _, err := l.e.Amend(t.Context(), at, func(m *engine.Marks) error { m.Tags = nil; return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range []race{
		{"a put over what expires", all, put(10), put(20), []int64{20, 10}},
		{"a deletion is taken back", all, func(l *lifecycleRig) { put(10)(l); l.delete("k") }, func(l *lifecycleRig) {
			page, err := l.e.ListVersions(t.Context(), meta.VersionQuery{Bucket: l.b.ID, Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.e.DeleteObject(t.Context(), l.b, engine.DeleteObject{Key: "k", Version: page.Entries[0].Version}); err != nil {
				t.Fatal(err)
			}
		}, []int64{10}},
		{"the tag is taken away", tagged, tag(10), keep(""), []int64{10}},
		{"the tag of an old version is taken away", tagged, func(l *lifecycleRig) { tag(10)(l); put(20)(l) }, func(l *lifecycleRig) {
			page, err := l.e.ListVersions(t.Context(), meta.VersionQuery{Bucket: l.b.ID, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			keep(page.Entries[1].Version.String())(l)
		}, []int64{20, 10}},
		{"a put over a lone marker", loneMarkers, func(l *lifecycleRig) { l.delete("k") }, put(20), []int64{20, -1}},
	} {
		t.Run(r.name, func(t *testing.T) {
			l := newLifecycleRig(t, meta.VersioningEnabled)
			r.prepare(l)
			l.rules(r.rules)
			l.now = l.now.Add(3 * oneDay)
			plan := faults.NewPlan(1, faults.Rule{Op: "RemoveObjects", N: 1, Hook: func() {
				e := l.e
				l.config.Store = l.store
				l.reopen() // another gateway
				r.meanwhile(l)
				l.e = e
			}})
			l.config.Store = faults.Store(l.store, plan)
			l.reopen()
			l.expire()
			if plan.Fired() != 1 {
				t.Fatal("nothing happened meanwhile")
			}
			l.wantVersions(map[string][]int64{"k": r.want})
			plan.Clear()
			l.now = l.now.Add(hour) // it has another turn, and finds what it may do
			l.expire()
			if got := l.versions()["k"]; len(got) == 0 || got[0] != r.want[0] && r.name != "a deletion is taken back" {
				t.Errorf("an hour later: %v", got)
			}
			l.wantClean(-1)
		})
	}
}

// A lock wins, and frees when it ends.
func TestExpireLocked(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningEnabled)
	if err := l.e.LockBucket(t.Context(), l.b, engine.DefaultRetention{Mode: meta.LockGovernance, Days: 10}); err != nil {
		t.Fatal(err)
	}
	l.reread()
	lock := meta.Lock{Mode: meta.LockGovernance, Until: l.now.Add(10 * oneDay)}
	for i := range 3 {
		if _, err := l.e.PutObject(t.Context(), engine.PutObject{Bucket: l.b, Key: "k", Owner: l.b.Owner, Marks: engine.Marks{Lock: lock},
			Body: engine.Body{Reader: bytes.NewReader(body(1, 10+i)), Size: int64(10 + i)}}); err != nil {
			t.Fatal(err)
		}
	}
	l.rules(`{"id":"n","enabled":true,"filter":{},"expiration":{"days":1},"noncurrent_expiration":{"days":1}}`)
	l.now = l.now.Add(5 * oneDay)
	if r := l.expire(); r.Locked != 2 || r.Expired != 1 || r.Removed != 0 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	l.wantVersions(map[string][]int64{"k": {-1, 12, 11, 10}})
	l.now = l.now.Add(6 * oneDay)
	if r := l.expire(); r.Locked != 0 || r.Removed != 3 {
		t.Errorf("%+v", r)
	}
	l.wantVersions(map[string][]int64{"k": {-1}})
	l.wantClean(0)
}

func TestExpireByTagAndSize(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	for key, tags := range map[string][]engine.Pair{"a": {{Name: "t", Value: "1"}, {Name: "u", Value: "1"}}, "b": {{Name: "t", Value: "2"}}, "c": nil} {
		if _, err := l.e.PutObject(t.Context(), engine.PutObject{Bucket: l.b, Key: key, Owner: l.b.Owner, Marks: engine.Marks{Tags: tags},
			Body: engine.Body{Reader: bytes.NewReader(body(1, 10)), Size: 10}}); err != nil {
			t.Fatal(err)
		}
	}
	l.mustPut("large", body(1, 5000))
	l.rules(`{"id":"t","enabled":true,"filter":{"tags":[{"Name":"t","Value":"1"}]},"expiration":{"days":1}},
		{"id":"s","enabled":true,"filter":{"above":4999},"expiration":{"days":1}}`)
	l.now = l.now.Add(3 * oneDay)
	l.expire()
	l.wantVersions(map[string][]int64{"b": {10}, "c": {10}})
}

func TestExpireUploads(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	u := l.begin("logs/a", "", "")
	l.part(u, 1, body(1, 1000))
	l.begin("other", "", "")
	l.now = l.now.Add(12 * hour)
	l.begin("logs/b", "", "")
	l.rules(`{"id":"u","enabled":true,"filter":{"prefix":"logs/"},"abort_upload_days":2}`)
	l.now = time.Date(2030, 1, 18, 0, 0, 0, 0, time.UTC)
	if r := l.expire(); r.Aborted != 2 || r.Rows != 2 {
		t.Errorf("%+v", r)
	}
	page, err := l.e.ListUploads(t.Context(), meta.UploadQuery{Bucket: l.b.ID, Limit: 10})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Key != "other" {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err := l.complete(u, engine.CompletedPart{Number: 1, ETag: "x"}); !errors.Is(err, s3err.NoSuchUpload) {
		t.Errorf("%v", err)
	}
	l.wantClean(0)
}

// Rules that cannot be read do nothing, and other buckets have their turn.
func TestExpireUnreadableRules(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	l.mustPut("logs/a", body(1, 10))
	l.rules(expireAfter1)
	first := l.b
	l.b = l.bucket("another-bucket", "") // comes before the first
	l.mustPut("logs/a", body(1, 10))
	if err := l.e.SetSetting(t.Context(), l.b, engine.LifecycleSetting, []byte(`{"rules":[{"id":"r","enabled":true,"filter":{"owner":"me"},"expiration":{"days":1}}]}`)); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(3 * oneDay)
	failed := 0
	for range 10 {
		if _, err := l.e.Expire(t.Context()); err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d steps failed, want 1", failed)
	}
	l.wantVersions(map[string][]int64{"logs/a": {10}})
	l.b = first
	l.wantVersions(map[string][]int64{})
}

// One gateway at a time does it; another takes over where that ended.
func TestExpireLease(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	l.config.Sole = false
	l.reopen()
	l.mustPut("logs/a", body(1, 10))
	l.rules(expireAfter1)
	l.expire()
	first := l.e
	l.reopen()
	l.now = l.now.Add(3 * oneDay)
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
			l.mustPut("logs/a", body(1, 1000))
			for i := range 5 {
				l.mustPut("k", body(1, 1000+i))
			}
			l.delete("gone")
			l.begin("logs/u", "", "")
			l.mustPut("cool", body(1, 1000))
			l.rules(expireAfter1 + "," + keepTwo + "," + loneMarkers + `,{"id":"u","enabled":true,"filter":{},"abort_upload_days":1}` +
				`,{"id":"c","enabled":true,"filter":{"prefix":"cool","above":1,"and":true},"transitions":[{"days":1,"class":"STANDARD_IA"}]}`)
			l.now = l.now.Add(3 * oneDay)
			plan := l.plannedStore(uint64(n))
			plan.Add(faults.Rule{When: when, N: n})
			for range 20 {
				l.e.Expire(t.Context())
			}
			fired := plan.Fired()
			plan.Clear()
			l.now = l.now.Add(hour)
			l.expire()
			l.wantVersions(map[string][]int64{"logs/a": {-1, 1000}, "k": {1004, 1003, 1002}, "cool": {1000}})
			if o, err := l.e.HeadObject(t.Context(), engine.GetObject{Bucket: l.b, Key: "cool"}); err != nil || o.Object.StorageClass != "STANDARD_IA" {
				t.Errorf("%+v, %v", o, err)
			}
			l.wantClean(-1)
			if t.Failed() {
				t.Fatalf("store call %d failed %v its effect", n, when)
			}
			l.e.Close()
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
			l.mustPut(fmt.Sprintf("logs/%05d", n), nil)
		}
		l.rules(expireAfter1)
		l.now = l.now.Add(3 * oneDay)
		if r, err := l.e.Expire(t.Context()); err != nil || r.Expired != meta.MaxPage {
			t.Fatalf("%+v, %v", r, err)
		}
		if err := l.e.SetSetting(t.Context(), l.b, name, []byte(`{"rules":[]}`)); err != nil {
			t.Fatal(err)
		}
		r, err := l.e.Expire(t.Context())
		if want := map[string]int{"other": 10}[name]; err != nil || r.Expired != want || r.Buckets != 1 {
			t.Errorf("%s: %+v, %v; want %d expired", name, r, err, want)
		}
	}
}

// A turn at a time that has yet to come was by a clock that was wrong, and once that is
// right does not keep a bucket from its turns; what was condemned then is deleted.
func TestExpireAfterAWrongClock(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningOff)
	right := l.now
	l.mustPut("other", body(1, 1000))
	l.rules(expireAfter1)
	l.now = right.AddDate(50, 0, 0)
	l.expire()
	l.delete("other")
	l.now = right
	l.mustPut("logs/a", body(2, 1000))
	l.now = right.Add(3 * oneDay)
	if r := l.expire(); r.Expired != 1 {
		t.Errorf("after the clock was set right: %+v", r)
	}
	l.wantClean(0)
}
