package engine_test

import (
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
)

// lifecycleRig is a rig on several backends whose lifecycle moves objects, and whose clock
// the test moves.
type lifecycleRig struct {
	*rig
	now   time.Time
	of    *engine.Engine
	steps *lifecycle.Steps
}

const oneDay = 24 * hour

func newSeveralLifecycleRig(t *testing.T) (*lifecycleRig, *severalRig) {
	t.Helper()
	s := newSeveralRig(t)
	l := &lifecycleRig{rig: s.rig, now: time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)}
	l.config.Now, l.config.TransitionClasses = func() time.Time { return l.now }, lifecycle.TransitionClasses
	l.reopen()
	return l, s
}

const toWest = `{"id":"w","enabled":true,"filter":{"prefix":"old/"},"transitions":[{"days":1,"class":"west"}]}`

// rules gives the bucket these.
func (l *lifecycleRig) rules(document string) {
	l.t.Helper()
	doc := []byte(`{"minimum_size":"varies_by_storage_class","rules":[` + document + `]}`)
	if err := l.e.Buckets().SetSetting(l.t.Context(), l.b, engine.LifecycleSetting, doc); err != nil {
		l.t.Fatal(err)
	}
	b, err := l.e.Buckets().Get(l.t.Context(), l.b.Name)
	if err != nil {
		l.t.Fatal(err)
	}
	l.b = b
}

// step takes one step of the lifecycles, with an engine that was opened meanwhile as a new
// process would.
func (l *lifecycleRig) step() (lifecycle.Report, error) {
	if l.of != l.e {
		l.of, l.steps = l.e, lifecycle.New(lifecycle.Config{Engine: l.e, Store: l.config.Store, Now: l.config.Now})
	}
	return l.steps.Step(l.t.Context())
}

// expire takes steps until nothing is left to do.
func (l *lifecycleRig) expire() {
	l.t.Helper()
	for range 1000 {
		r, err := l.step()
		if err != nil {
			l.t.Fatalf("expire: %v", err)
		}
		if !r.More {
			return
		}
	}
	l.t.Fatal("expiring never ends")
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
