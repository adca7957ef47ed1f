//go:build linux

package clustertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/history"
	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/internal/servers/strictpg"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/rotate"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	seeds          = 50
	clients        = 7
	steps          = 11 // of each client
	fewestKeys     = 3
	mostKeys       = 5
	restingKeys    = 2                    // besides, where a backend drains
	stepPause      = 8 * time.Millisecond // between background steps, at most
	drainAfter     = 2 * clients          // requests after which a backend begins to drain
	fewestRequests = clients * steps / 2  // in a history, else it shows nothing
)

// commitFaults are what a bad network does to one COMMIT in six.
var commitFaults = map[strictpg.Fault]float64{
	strictpg.Serialization: 0.05, strictpg.BeforeCommit: 0.03, strictpg.AfterCommit: 0.04,
	strictpg.LateCommit: 0.02, strictpg.HalfCommit: 0.02, strictpg.Between: 0.003,
}

// tally adds up what the histories of all seeds met.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	cut    map[strictpg.Fault]int
	lost   int // answers of the store that were lost on their way to the engine
	moved  int // blobs, to the other backend
	gone   int // blobs that were collected meanwhile
	keys   int // generations of the bucket's keys that were destroyed
}

// Whatever three gateways tell their clients of a key, side by side and while
// they collect, drain a backend, rotate the bucket's keys and lose their
// connections, has one order that explains it all.
func TestHistories(t *testing.T) {
	start := rand.Uint64()
	all := &tally{counts: make(map[string]int), cut: make(map[strictpg.Fault]int)}
	t.Run("seeds", func(t *testing.T) {
		for i := range uint64(seeds) {
			t.Run(fmt.Sprint(start+i), func(t *testing.T) {
				t.Parallel()
				runSeed(t, start+i, int(i), all)
			})
		}
	})
	t.Logf("%v; %v; %d answers lost, %d blobs moved, %d collected", all.counts, all.cut, all.lost, all.moved, all.gone)
	for _, kind := range []history.Kind{history.Put, history.PutNew, history.PutIf, history.Delete, history.DeleteIf,
		history.Get, history.CopyRead, history.Complete, history.CompleteNew, history.CompleteIf} {
		if all.counts[string(kind)+": done"] == 0 {
			t.Errorf("no %s succeeded in any history", kind)
		}
	}
	for _, kind := range []history.Kind{history.PutNew, history.PutIf, history.DeleteIf, history.CompleteNew, history.CompleteIf} {
		if all.counts[string(kind)+": refused"] == 0 {
			t.Errorf("no %s was refused in any history", kind)
		}
	}
	for fault := range commitFaults {
		if all.cut[fault] == 0 {
			t.Errorf("%q never happened", fault)
		}
	}
	unknown := 0
	for what, n := range all.counts {
		if strings.HasSuffix(what, ": unknown") {
			unknown += n
		}
	}
	if all.lost == 0 || all.moved == 0 || all.gone == 0 || all.keys == 0 || unknown == 0 {
		t.Error("the histories met less than they should")
	}
}

// runSeed makes one history. i chooses what disturbs it.
func runSeed(t *testing.T, seed uint64, i int, all *tally) {
	c := newCluster(t)
	l := &load{c: c, bodies: make(map[string]bool), counts: make(map[string]int)}
	r := rand.New(rand.NewPCG(seed, 0))
	for n := range fewestKeys + r.IntN(mostKeys-fewestKeys+1) {
		l.keys = append(l.keys, fmt.Sprint("key", n))
	}
	grace := time.Duration(-1) // none: what is replaced may be gone at once
	if i%2 == 0 {
		grace = engine.DefaultGrace
	}
	cut, lose, drain := i%5 == 2 || i%5 == 3, i%5 == 4, i%3 == 1
	l.faulty = cut || lose
	url := c.url()
	if cut {
		p, err := strictpg.Start(database.server.Address, strictpg.Options{Named: true, Faults: commitFaults, Seed: seed})
		must(t, err)
		defer func() {
			must(t, p.Close())
			all.add(func() { sum(all.cut, p.Happened()) })
		}()
		url = fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", servers.PostgresUser, p.Address, c.database)
	}
	plan := faults.NewPlan(seed)
	c.open(url, grace, func(i int, config *engine.Config) {
		if lose {
			config.Store = faults.Store(config.Store, plan)
		}
	})
	if lose {
		plan.Add(faults.Rule{Chance: 0.01})
		plan.Add(faults.Rule{When: faults.After, Chance: 0.01})
		for _, op := range []faults.Op{"CommitObject", "RemoveObjects", "CompleteUpload"} {
			plan.Add(faults.Rule{Op: op, When: faults.After, Chance: 0.15})
		}
	}
	if drain {
		l.rest(r)
	}
	report := l.run(seed, drain)
	plan.Clear()
	l.readAll()
	operations := l.log.Operations()
	if len(operations) < fewestRequests {
		t.Errorf("seed %d: only %d requests", seed, len(operations))
	}
	if err := history.Check(t.ArtifactDir(), seed, operations); err != nil {
		t.Error(err)
	}
	if err := c.close(); err != nil && !cut {
		t.Errorf("seed %d: close: %v", seed, err)
	}
	c.wantClean()
	if t.Failed() {
		t.Logf("seed %d: cut %t, answers lost %t, drain %t, grace %s; %v", seed, cut, lose, drain, grace, l.counts)
	}
	all.add(func() {
		sum(all.counts, l.counts)
		all.lost += plan.Fired()
		all.moved += report.moved
		all.gone += report.deleted
		all.keys += report.destroyed
	})
}

func (a *tally) add(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func sum[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

// rest writes keys that the clients seldom write: what is replaced soon is gone before it
// is moved.
func (l *load) rest(r *rand.Rand) {
	c := &client{load: l, r: r, id: clients + engines, seen: make(map[string]string)}
	l.resting = make(map[string]bool)
	for n := range restingKeys {
		key := fmt.Sprint("resting", n)
		l.keys, l.resting[key] = append(l.keys, key), true
		c.n++
		c.put(l.c.t.Context(), history.Put, key, "")
	}
}

// background is what an engine's background steps did.
type background struct{ moved, deleted, destroyed int }

// run lets the clients and the background steps of all engines work side by side
// until the clients are done.
func (l *load) run(seed uint64, drain bool) (total background) {
	return l.drive(seed, drain, func(ctx context.Context, id int, r *rand.Rand) {
		c := &client{load: l, r: r, id: id, seen: make(map[string]string)}
		for range steps {
			c.step(ctx)
		}
	})
}

// drive does so with clients that are given.
func (l *load) drive(seed uint64, drain bool, client func(ctx context.Context, id int, r *rand.Rand)) (total background) {
	t := l.c.t
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work, steppers sync.WaitGroup
	reports := make([]background, engines)
	for i := range engines {
		steppers.Go(func() { reports[i] = l.steps(ctx, i, rand.New(rand.NewPCG(seed, uint64(1000+i)))) })
	}
	for i := range clients {
		work.Go(func() { client(t.Context(), i, rand.New(rand.NewPCG(seed, uint64(i+1)))) })
	}
	if drain {
		work.Go(func() { l.drain() })
	}
	work.Wait()
	stop()
	steppers.Wait()
	for _, r := range reports {
		total.moved += r.moved
		total.deleted += r.deleted
		total.destroyed += r.destroyed
	}
	return total
}

// drain begins to empty the first backend once some requests were made.
func (l *load) drain() {
	for l.log.Call() < drainAfter { // the clock of the history
		time.Sleep(time.Millisecond)
	}
	for {
		err := l.c.engines[1].Blobs().DrainBackend(l.c.t.Context(), first, second)
		if err == nil || errors.Is(err, s3err.InvalidArgument) { // it drains already: an answer was lost
			return
		}
		if !l.excused(err) {
			l.c.t.Errorf("drain: %v", err)
			return
		}
	}
}

// excused reports whether a background step may fail so.
func (l *load) excused(err error) bool {
	return l.faulty && (errors.Is(err, meta.ErrUnavailable) || errors.Is(err, meta.ErrUnknown) || errors.Is(err, s3err.ServiceUnavailable))
}

// steps does an engine's background steps until ctx ends.
func (l *load) steps(ctx context.Context, i int, r *rand.Rand) (done background) {
	e := l.c.engines[i]
	rotation := rotate.New(rotate.Config{Engine: e})
	for ctx.Err() == nil {
		var err error
		switch r.IntN(4) {
		case 0:
			err = e.Beat(ctx)
		case 1:
			var c blobs.CollectReport
			c, err = e.Blobs().Collect(ctx)
			done.deleted += c.Deleted
		case 2:
			var m blobs.MoveReport
			m, err = e.Blobs().Move(ctx)
			done.moved += m.Blobs
		case 3:
			var n int
			n, err = l.rotate(ctx, e, rotation)
			done.destroyed += n
		}
		if err != nil && ctx.Err() == nil && !l.excused(err) {
			l.c.t.Errorf("background step of engine %d: %v", i, err)
			return done
		}
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(stepPause)):
		}
	}
	return done
}

// readAll ends the history with what each engine says of each key.
func (l *load) readAll() {
	for i, e := range l.c.engines {
		c := &client{load: l, id: clients + i, seen: make(map[string]string)}
		for _, key := range l.keys {
			c.get(l.c.t.Context(), e, key)
		}
	}
}
