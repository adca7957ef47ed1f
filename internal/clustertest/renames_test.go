//go:build linux

package clustertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/history"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	renameSeeds = 20
	renameSteps = 9 // of each client
	renameTries = 6 // of a request with a token
)

// renameClient makes requests at random, each to another engine than the last may
// be.
type renameClient struct{ *client }

// Objects change names at three gateways at once, some of which lose answers of
// their store: there is one order that explains all that is said of all keys together,
// and a request with a token that is sent until it is answered has its effect once.
func TestHistoriesOfRenames(t *testing.T) {
	start := rand.Uint64()
	all := &tally{counts: make(map[string]int)}
	t.Run("seeds", func(t *testing.T) {
		for i := range uint64(renameSeeds) {
			t.Run(fmt.Sprint(start+i), func(t *testing.T) {
				t.Parallel()
				runRenames(t, start+i, i%2 == 1, all)
			})
		}
	})
	t.Logf("%v; %d answers lost, %d blobs collected", all.counts, all.lost, all.gone)
	for _, kind := range []history.Kind{history.Rename, history.RenameNew} {
		for _, what := range []string{": done", ": refused"} {
			if all.counts[string(kind)+what] == 0 {
				t.Errorf("no %s%s in any history", kind, what)
			}
		}
	}
	if all.counts["sent again: done"] == 0 || all.lost == 0 || all.gone == 0 {
		t.Error("the histories met less than they should")
	}
}

func runRenames(t *testing.T, seed uint64, lose bool, all *tally) {
	c := newCluster(t)
	l := &load{c: c, bodies: make(map[string]bool), counts: make(map[string]int), keys: []string{"key0", "key1", "key2"}, faulty: lose}
	plan := faults.NewPlan(seed)
	c.open(c.url(), -1, func(_ int, config *engine.Config) {
		if lose {
			config.Store = faults.Store(config.Store, plan)
		}
	})
	if lose {
		plan.Add(faults.Rule{Chance: 0.01})
		plan.Add(faults.Rule{Op: "RenameObject", When: faults.After, Chance: 0.5})
		for _, op := range []faults.Op{"Object", "Renamed"} { // where it is asked what became of it
			plan.Add(faults.Rule{Op: op, Chance: 0.2})
		}
	}
	report := l.drive(seed, false, func(ctx context.Context, id int, r *rand.Rand) {
		c := &renameClient{&client{load: l, r: r, id: id, seen: make(map[string]string)}}
		for range renameSteps {
			c.step(ctx)
		}
	})
	plan.Clear()
	for i, e := range c.engines {
		last := &renameClient{&client{load: l, id: clients + i, seen: make(map[string]string)}}
		last.list(t.Context(), e)
		for _, key := range l.keys {
			last.get(t.Context(), e, key)
		}
	}
	if err := history.CheckRenames(t.ArtifactDir(), seed, l.log.Operations()); err != nil {
		t.Error(err)
	}
	if err := c.close(); err != nil {
		t.Errorf("seed %d: close: %v", seed, err)
	}
	c.wantClean()
	all.add(func() {
		sum(all.counts, l.counts)
		all.lost += plan.Fired()
		all.gone += report.deleted
	})
}

func (c *renameClient) step(ctx context.Context) {
	c.n++
	i := c.r.IntN(len(c.keys))
	key, other := c.keys[i], c.keys[(i+1+c.r.IntN(len(c.keys)-1))%len(c.keys)]
	switch p := c.r.IntN(100); {
	case p < 10:
		c.get(ctx, c.engine(), key)
	case p < 25:
		c.list(ctx, c.engine())
	case p < 40:
		c.put(ctx, history.Put, key, "")
	case p < 50:
		c.put(ctx, history.PutNew, key, "")
	case p < 55:
		c.delete(ctx, history.Delete, key, "")
	case p < 80:
		c.rename(ctx, history.Rename, key, other)
	default:
		c.rename(ctx, history.RenameNew, key, other)
	}
}

// list looks at all keys at one moment.
func (c *renameClient) list(ctx context.Context, e *engine.Engine) {
	in := history.Request{Kind: history.List}
	call := c.log.Call()
	page, err := e.ListObjects(ctx, meta.ListQuery{Bucket: c.c.bucket.ID, Limit: meta.MaxPage})
	all := make(map[string]string)
	for _, entry := range page.Entries {
		all[entry.Key] = entry.ETag
	}
	if out, ok := c.judge(in, err); ok {
		out.Value = history.Listed(all)
		c.log.Return(c.id, call, in, out)
	}
}

// rename sends a request without a token once. One with a token it sends until it is
// answered, and then perhaps again, to whichever engine.
func (c *renameClient) rename(ctx context.Context, kind history.Kind, from, to string) {
	in := history.Request{Kind: kind, Key: from, To: to}
	r := engine.RenameObject{Bucket: c.c.bucket, Source: from, Asked: from, Key: to, Asker: c.c.bucket.Owner}
	if kind == history.RenameNew {
		r.Conditions.IfNoneMatch = "*"
	}
	tries := 1
	if c.r.IntN(2) == 0 {
		r.Token, tries = fmt.Sprint(c.id, "/", c.n), renameTries
	}
	unknown := false
	call := c.log.Call()
	err := c.engine().RenameObject(ctx, r)
	for ; tries > 1 && errors.Is(err, s3err.ServiceUnavailable); tries-- {
		if errors.Is(err, meta.ErrUnknown) {
			unknown = true
			c.count(string(kind) + ": unknown")
		}
		err = c.engine().RenameObject(ctx, r)
	}
	out, ok := c.judge(in, err)
	if err != nil && unknown { // the first may have been carried out, and what it did undone
		out, ok = history.Answer{Unknown: true}, true
	}
	if ok {
		c.log.Return(c.id, call, in, out)
	}
	if err != nil || r.Token == "" || c.r.IntN(2) == 0 {
		return
	}
	switch err := c.engine().RenameObject(ctx, r); {
	case err == nil:
		c.count("sent again: done")
	case !c.excused(err):
		c.c.t.Errorf("what was carried out was sent again: %v", err)
	}
}

func (l *load) count(what string) {
	l.mu.Lock()
	l.counts[what]++
	l.mu.Unlock()
}
