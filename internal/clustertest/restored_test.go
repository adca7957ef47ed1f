//go:build linux

package clustertest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// change is what happens between the copy of a store and its restore.
type change struct {
	name string
	// reserves says that it takes new blobs, so that a gateway which begins with it is
	// noticed at once.
	reserves bool
	before   func(w *world, g *gateway) // the copy, after two objects were put: "old" and "older"
	do       func(w *world, g *gateway)
}

var changes = []change{
	{"writes", true, nil, func(w *world, g *gateway) { w.put(g, "new1", "new2", "new3") }},
	{"overwrites", true, nil, func(w *world, g *gateway) {
		w.write(g, "old", data("old again"))
		w.write(g, "older", data("older again"))
	}},
	{"writes and deletions", true, nil, func(w *world, g *gateway) {
		w.put(g, "new1", "new2")
		w.delete(g, "new1", "old")
		w.collect(g)
	}},
	{"deletions", false, nil, func(w *world, g *gateway) { w.delete(g, "old") }},
	{"an empty object", false, nil, func(w *world, g *gateway) { w.put(g, "empty") }},
	{"an upload", true, nil, func(w *world, g *gateway) {
		w.begin(g, "parts")
		w.part(g)
		w.complete(g)
	}},
	{"parts of an upload that was open", true, func(w *world, g *gateway) { w.begin(g, "parts") }, func(w *world, g *gateway) {
		w.part(g)
		w.complete(g)
	}},
	{"the end of an upload", false, func(w *world, g *gateway) { w.begin(g, "parts"); w.part(g) }, func(w *world, g *gateway) { w.complete(g) }},
	{"a copy that is all that is left", false, nil, func(w *world, g *gateway) {
		w.copyObject(g, "old", "copy")
		w.delete(g, "old")
	}},
	{"a rename", false, nil, func(w *world, g *gateway) {
		must(w.t, g.RenameObject(w.t.Context(), engine.RenameObject{Bucket: w.bucket, Source: "old", Key: "renamed"}))
		w.objects["renamed"], w.objects["old"] = w.objects["old"], nil
	}},
	{"tags", false, nil, func(w *world, g *gateway) {
		_, err := g.ChangeMarks(w.t.Context(), engine.Subject{Bucket: w.bucket, Key: "old"}, func(m *engine.Marks) error {
			m.Tags = append(m.Tags, engine.Pair{Name: "name", Value: "value"})
			return nil
		})
		must(w.t, err)
	}},
	{"a bucket", false, nil, func(w *world, g *gateway) {
		_, err := g.Buckets().Create(w.t.Context(), "another", "", g.Accounts().Root().ID)
		must(w.t, err)
	}},
	{"versioning", false, nil, func(w *world, g *gateway) {
		must(w.t, g.Buckets().SetVersioning(w.t.Context(), w.bucket, meta.VersioningEnabled))
		var err error
		w.bucket, err = g.Buckets().Get(w.t.Context(), w.bucket.Name)
		must(w.t, err)
		w.delete(g, "old")
	}},
	{"a tenant", false, nil, func(w *world, g *gateway) {
		_, err := g.Accounts().CreateTenant(w.t.Context(), "another", "", "", "")
		must(w.t, err)
	}},
	{"moves", false, nil, func(w *world, g *gateway) { w.drain(g) }},
	{"moves and deletions", false, nil, func(w *world, g *gateway) {
		w.drain(g)
		w.collect(g)
		w.drained(g)
	}},
	{"writes to a draining backend's target", true, nil, func(w *world, g *gateway) {
		w.drain(g)
		w.put(g, "new1", "new2")
	}},
}

// drained waits for the end of a draining.
func (w *world) drained(g *gateway) {
	w.t.Helper()
	for range 3 {
		_, err := g.Blobs().Move(w.t.Context())
		must(w.t, err)
		w.collect(g)
	}
}

// ends are how gateways end before the copy takes the store's place. Within what time
// of the change a kill comes is the worst that can be, and what comes then need not be
// noticed: but nothing may be deleted that the later store needs.
var ends = []struct {
	name    string
	noticed bool
	do      func(w *world, gs ...*gateway)
}{
	{"a clean end", true, func(w *world, gs ...*gateway) {
		for _, g := range slices.Backward(gs) {
			w.stop(g)
		}
	}},
	{"a kill after a beat", true, func(w *world, gs ...*gateway) {
		for _, g := range slices.Backward(gs) {
			w.beat(g)
			g.kill()
		}
	}},
	{"a kill at once", false, func(w *world, gs ...*gateway) {
		for _, g := range gs {
			g.kill()
		}
	}},
}

// actors are who makes the change: one that was there before the copy, one of two
// that were, and one that the copy does not know.
var actors = []string{"the same gateway", "one of two gateways", "a gateway unknown to the copy"}

// A store that is put in the place of a later one is noticed before anything is
// deleted, whatever was done in between, by whom, and however that ended. The later one,
// put back, has every object. Once the older one is accepted and has gone on, the later
// one is refused.
func TestRestoredStore(t *testing.T) {
	for _, g := range grounds {
		for i, c := range changes {
			for j, end := range ends {
				for k, actor := range actors {
					// Where a case takes long, each change meets each end once and each
					// actor once; in a short run each change meets one end.
					if g.backend != "mem" && ((i+j)%len(actors) != k || !everyEnd && i%len(ends) != j) {
						continue
					}
					t.Run(fmt.Sprintf("%v/%s by %s, and %s", g, c.name, actor, end.name), func(t *testing.T) {
						t.Parallel()
						testRestored(t, g, c, k, end.do, end.noticed || c.reserves && k == 2)
					})
				}
			}
		}
	}
}

func testRestored(t *testing.T, on ground, c change, actor int, end func(*world, ...*gateway), noticed bool) {
	w := newWorld(t, on)
	later := w.newStore()
	g := w.mustOpen(later, false)
	running := []*gateway{g}
	var err error
	w.bucket, err = g.Buckets().Create(t.Context(), "shared", "", g.Accounts().Root().ID)
	must(t, err)
	w.put(g, "old", "older")
	if c.before != nil {
		c.before(w, g)
	}
	switch actor {
	case 1:
		g = w.openBeside(g)
		running = append(running, g)
		w.put(g, "beside")
	case 2:
		w.stop(g)
	}
	older := w.copyStore(later)
	if actor == 2 {
		g = w.mustOpen(later, false)
		running[0] = g
	}
	known := w.bucket
	c.do(w, g)
	end(w, running...)
	latest := w.bucket

	before := w.stored()
	w.bucket = known
	w.tryOlder(w.copyStore(older), noticed)
	w.bucket = latest
	w.wantStored(before)

	// The later one again.
	g = w.mustOpen(later, true)
	w.wantAll(g)
	w.collect(g)
	w.wantAll(g)
	w.put(g, "after")
	w.wantAll(g)
	w.stop(g)

	// The older one on purpose: then it is the later one that is refused.
	w.bucket = known
	g = w.mustOpen(older, true)
	w.write(g, "old", data("old, in another history"))
	w.collect(g)
	w.stop(g)
	if g, err := w.open(later, false); !errors.Is(err, blobs.ErrStoreRolledBack) {
		t.Errorf("the later store, after an older one was accepted and went on: %v, want %v", err, blobs.ErrStoreRolledBack)
		if err == nil {
			w.stop(g)
		}
	}
	g = w.mustOpen(older, false)
	w.stop(g)
}

// openBeside is another gateway on the store of one.
func (w *world) openBeside(g *gateway) *gateway {
	w.t.Helper()
	store := &changeable{g.store.Store}
	e, err := engine.Open(w.t.Context(), w.config(store, false))
	must(w.t, err)
	return &gateway{Engine: e, store: store, beside: true}
}

// tryOlder starts a gateway on the copy. If it is let in, it collects what it can.
func (w *world) tryOlder(name string, noticed bool) {
	w.t.Helper()
	g, err := w.open(name, false)
	switch {
	case err == nil && noticed:
		w.t.Error("the older store went unnoticed")
	case err == nil:
	case errors.Is(err, blobs.ErrStoreRolledBack), errors.Is(err, blobs.ErrUnknownStorage): // of a backend that was retired since
		return
	default:
		w.t.Fatal(err)
	}
	w.collect(g)
	w.clock.Add(int64(time.Hour))
	w.collect(g)
	w.stop(g)
}

// A store that is rolled back under running gateways is noticed by the next beat: no
// bytes are written or deleted, and what is there can be read. When the later store is
// back they go on.
func TestRolledBackUnderGateways(t *testing.T) {
	for _, on := range grounds {
		for _, c := range changes {
			if on.backend == "s3" && !c.reserves {
				continue
			}
			t.Run(fmt.Sprintf("%v/%s", on, c.name), func(t *testing.T) {
				t.Parallel()
				testRolledBack(t, on, c)
			})
		}
	}
}

func testRolledBack(t *testing.T, on ground, c change) {
	w := newWorld(t, on)
	later := w.newStore()
	a := w.mustOpen(later, false)
	var err error
	w.bucket, err = a.Buckets().Create(t.Context(), "shared", "", a.Accounts().Root().ID)
	must(t, err)
	w.put(a, "old", "older")
	if c.before != nil {
		c.before(w, a)
	}
	b := w.openBeside(a)
	w.put(b, "beside")
	older := w.copyStore(later)
	known := w.bucket
	c.do(w, a)
	w.beat(a)
	w.beat(b)
	latest := w.bucket

	before := w.stored()
	right := a.store.Store
	rolledBack := w.openStore(older)
	t.Cleanup(func() { rolledBack.Close() })
	a.store.Store, b.store.Store, w.bucket = rolledBack, rolledBack, known
	for _, g := range []*gateway{a, b} {
		w.beat(g)
		w.clock.Add(int64(2 * time.Minute))
		w.beat(g)
		if _, err := g.Blobs().Collect(t.Context()); !blobs.Disagrees(err) {
			t.Errorf("collected on a store that was rolled back: %v", err)
		}
		_, err := g.PutObject(t.Context(), putOf(w, "refused"))
		if !errors.Is(err, s3err.ServiceUnavailable) || !blobs.Disagrees(err) {
			t.Errorf("a write on a store that was rolled back: %v", err)
		}
		if err := g.Blobs().CheckBackend(t.Context(), g.Blobs().BackendNames()[0]); !blobs.Disagrees(err) {
			t.Errorf("a backend of a store that was rolled back: %v", err)
		}
		disagree := 0
		for _, h := range g.Blobs().BackendHealth() {
			if h.Disagrees {
				disagree++
			}
		}
		if disagree == 0 {
			t.Error("no metric tells that the store was rolled back")
		}
		if _, err := w.get(g, "beside"); err != nil && c.name != "moves and deletions" {
			t.Errorf("a read on a store that was rolled back: %v", err)
		}
	}
	w.wantStored(before)

	a.store.Store, b.store.Store, w.bucket = right, right, latest
	for _, g := range []*gateway{a, b} {
		w.beat(g)
		w.beat(g)
		w.wantAll(g)
		w.put(g, "after")
	}
	w.collect(b)
	w.wantAll(a)
	w.stop(b)
	must(t, a.Close())
	right.Close()
}

func putOf(w *world, key string) engine.PutObject {
	body := data(key)
	return engine.PutObject{Bucket: w.bucket, Key: key, Owner: w.bucket.Owner,
		Body: engine.Body{Reader: bytes.NewReader(body), Size: int64(len(body))}}
}
