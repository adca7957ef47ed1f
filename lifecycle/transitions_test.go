package lifecycle_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
)

// newSeveralLifecycleRig is a lifecycleRig on several backends.
func newSeveralLifecycleRig(t *testing.T) (*lifecycleRig, *enginetest.Several) {
	t.Helper()
	s := enginetest.NewSeveral(t)
	return &lifecycleRig{Clocked: s.Clocked}, s
}

const toWest = `{"id":"w","enabled":true,"filter":{"prefix":"old/"},"transitions":[{"days":1,"class":"west"}]}`

func (l *lifecycleRig) class(key string) string {
	l.T.Helper()
	o, err := l.E.HeadObject(l.T.Context(), engine.GetObject{Bucket: l.B, Key: key})
	if err != nil {
		l.T.Fatal(err)
	}
	return o.Object.StorageClass
}

func TestTransitionToBackend(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	large := enginetest.Body(1, 300_000)
	l.MustPut("old/a", large)
	l.MustPut("old/none", nil)
	l.MustPut("new", enginetest.Body(2, 1000))
	u := l.Begin("old/parts")
	p := enginetest.Body(3, 5<<20)
	if _, err := l.Complete(u, l.Part(u, 1, p), l.Part(u, 2, large)); err != nil {
		t.Fatal(err)
	}
	l.Rules(toWest)
	l.Now = l.Now.Add(3 * enginetest.Day)
	r := l.expire()
	if r.Moved != 3 || r.MovedBytes < 5<<20+600_000 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	for key, want := range map[string]string{"old/a": enginetest.West, "old/none": enginetest.West, "old/parts": enginetest.West, "new": ""} {
		if got := l.class(key); got != want {
			t.Errorf("%s has class %q, want %q", key, got, want)
		}
	}
	l.WantBody("old/a", large)
	l.WantBody("old/parts", append(bytes.Clone(p), large...))
	l.WantClean(4)
	s.WantBlobs(map[string]int{enginetest.East: 1, enginetest.West: 3})
	page, err := l.E.ListObjects(t.Context(), meta.ListQuery{Bucket: l.B.ID, Prefix: "old/a", Limit: 1})
	if err != nil || page.Entries[0].StorageClass != enginetest.West {
		t.Errorf("%+v, %v", page, err)
	}
	l.Now = l.Now.Add(enginetest.Day)
	if r := l.expire(); r.Changed() != 0 || r.Failed != 0 {
		t.Errorf("the next day: %+v", r)
	}
}

// Shared bytes move for all versions that share them, unless a bucket demands that they
// stay.
func TestTransitionOfShared(t *testing.T) {
	for _, demand := range []string{"", "eu-east-1"} {
		l, s := newSeveralLifecycleRig(t)
		other := l.CreateBucket("other-bucket", demand)
		data := enginetest.Body(1, 10_000)
		l.MustPut("old/a", data)
		if _, err := l.E.CopyObject(t.Context(), engine.CopyObject{SourceBucket: l.B, SourceKey: "old/a", Bucket: other, Key: "copy", Owner: other.Owner}); err != nil {
			t.Fatal(err)
		}
		l.Rules(toWest)
		l.Now = l.Now.Add(3 * enginetest.Day)
		r := l.expire()
		at := enginetest.East
		if demand == "" {
			at = enginetest.West
		}
		if wantMoved := map[string]int{enginetest.East: 0, enginetest.West: 1}[at]; r.Moved != wantMoved || r.Failed != 1-wantMoved {
			t.Errorf("demanding %q: %+v", demand, r)
		}
		l.WantBody("old/a", data)
		l.B, other = other, l.B
		l.WantBody("copy", data)
		l.WantClean(1)
		s.WantBlobs(map[string]int{at: 1})
	}
}

// A bucket that demands a place shares nothing with one whose rules lead elsewhere.
func TestNothingIsSharedWithWhatStrays(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	l.MustPut("old/a", enginetest.Body(1, 10_000))
	l.Rules(toWest)
	strict := l.CreateBucket("strict-bucket", "eu-east-1")
	if _, err := l.E.CopyObject(t.Context(), engine.CopyObject{SourceBucket: l.B, SourceKey: "old/a", Bucket: strict, Key: "copy", Owner: strict.Owner}); err != nil {
		t.Fatal(err)
	}
	s.WantBlobs(map[string]int{enginetest.East: 2})
	l.Now = l.Now.Add(3 * enginetest.Day)
	if r := l.expire(); r.Moved != 1 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	l.WantClean(2)
	s.WantBlobs(map[string]int{enginetest.East: 1, enginetest.West: 1})
}

func TestTransitionIsRefused(t *testing.T) {
	l, _ := newSeveralLifecycleRig(t)
	l.B = l.CreateBucket("strict-bucket", "eu-east-1")
	l.MustPut("old/a", enginetest.Body(1, 10_000))
	l.Rules(toWest + `,{"id":"x","enabled":true,"filter":{"prefix":"tmp/"},"expiration":{"days":1}},
		{"id":"n","enabled":true,"filter":{"prefix":"no/"},"transitions":[{"days":1,"class":"nowhere"}]}`)
	l.MustPut("no/a", enginetest.Body(1, 10))
	l.MustPut("tmp/a", enginetest.Body(1, 10))
	l.Now = l.Now.Add(3 * enginetest.Day)
	if r := l.expire(); r.Moved != 0 || r.Failed != 2 || r.Expired != 1 {
		t.Errorf("%+v", r)
	}
	if got := l.class("old/a"); got != "" {
		t.Errorf("its class is %q", got)
	}
	l.WantClean(2)
}

// A backend that is away keeps its objects from moving, and no others from being
// removed; once it is back they move.
func TestTransitionBackendAway(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	plan := faults.NewPlan(1)
	for i := range l.Config.Backends {
		if l.Config.Backends[i].Name == enginetest.West {
			l.Config.Backends[i].Backend = faults.Backend(s.At[enginetest.West], plan)
		}
	}
	l.Reopen()
	l.MustPut("old/a", enginetest.Body(1, 10_000))
	l.MustPut("tmp/a", enginetest.Body(1, 10))
	l.Rules(toWest + `,{"id":"x","enabled":true,"filter":{"prefix":"tmp/"},"expiration":{"days":1}}`)
	l.Now = l.Now.Add(3 * enginetest.Day)
	plan.Add(faults.Rule{Op: "Put", Err: backends.ErrUnavailable})
	for range 10 { // a turn whose step failed goes on some minutes later
		l.step()
		l.Now = l.Now.Add(10 * time.Minute)
	}
	l.WantVersions(map[string][]int64{"old/a": {10_000}})
	plan.Clear()
	l.Now = l.Now.Add(2 * time.Hour)
	if r := l.expire(); r.Moved != 1 {
		t.Errorf("%+v", r)
	}
	l.WantClean(1)
	s.WantBlobs(map[string]int{enginetest.West: 1})
}

// Every call of either backend and of the store fails in turn, on either side of
// its effect.
func TestTransitionEveryCallFails(t *testing.T) {
	for _, part := range []string{"store", enginetest.East, enginetest.West} {
		for _, when := range []faults.When{faults.Before, faults.After} {
			for n := 1; ; n++ {
				l, s := newSeveralLifecycleRig(t)
				data := enginetest.Body(uint64(n), 70_000)
				l.MustPut("old/a", data)
				l.Rules(toWest)
				l.Now = l.Now.Add(3 * enginetest.Day)
				plan := faults.NewPlan(uint64(n))
				if part == "store" {
					l.Config.Store = faults.Store(l.Store, plan)
				}
				for i, b := range l.Config.Backends {
					if b.Name == part {
						l.Config.Backends[i].Backend = faults.Backend(b.Backend, plan)
					}
				}
				l.Reopen()
				plan.Add(faults.Rule{When: when, N: n})
				for range 10 {
					l.step()
				}
				fired := plan.Fired()
				plan.Clear()
				l.Now = l.Now.Add(2 * time.Hour)
				l.Collect() // a copy that could not be read back makes way for another
				l.expire()
				l.WantBody("old/a", data)
				l.WantClean(1)
				s.WantBlobs(map[string]int{enginetest.West: 1})
				if got := l.class("old/a"); got != enginetest.West {
					t.Error(got)
				}
				if t.Failed() {
					t.Fatalf("%s call %d failed %v its effect", part, n, when)
				}
				if fired == 0 {
					if n < 2 {
						t.Fatalf("%s: only %d calls were swept", part, n)
					}
					break
				}
			}
		}
	}
}
