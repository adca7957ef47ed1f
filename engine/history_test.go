package engine_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/history"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

const (
	historySeeds   = 30
	historyClients = 5
	historySteps   = 14 // requests of each client
	historyKeys    = 2
)

// client makes requests at random and notes what it was told.
type client struct {
	*rig
	r    *rand.Rand
	id   int
	log  *history.Log
	keys []string
	seen map[string]string // the value that the client read or wrote last; values are bodies
}

func (c *client) step(n int) {
	key := c.keys[c.r.IntN(len(c.keys))]
	kinds := []history.Kind{history.Get, history.Get, history.Get, history.Put, history.Put, history.PutNew, history.PutNew,
		history.PutIf, history.PutIf, history.Delete, history.DeleteIf}
	in := history.Request{Kind: kinds[c.r.IntN(len(kinds))], Key: key, Old: c.seen[key]}
	if in.Kind == history.Put || in.Kind == history.PutNew || in.Kind == history.PutIf {
		// Some bodies are longer than a segment.
		in.Value = fmt.Sprintf("%d/%d %0*d", c.id, n, c.r.IntN(2)*70_000, 0)
	}
	if in.Old == "" && (in.Kind == history.PutIf || in.Kind == history.DeleteIf) {
		in.Old = "what never was"
	}
	call := c.log.Call()
	out, happened := c.request(in)
	if happened {
		c.log.Return(c.id, call, in, out)
	}
	switch {
	case in.Kind == history.Get && happened:
		c.seen[key] = out.Value
	case happened && !out.Refused:
		c.seen[key] = in.Value
	}
}

// request makes one and returns whether it may have had an effect or an answer
// that says something of the key. Its failure is the test's, unless it is one
// that a plan injected.
func (c *client) request(in history.Request) (out history.Answer, happened bool) {
	var err error
	switch in.Kind {
	case history.Get:
		var data []byte
		if data, err = c.get(in.Key, nil); errors.Is(err, s3err.NoSuchKey) {
			return history.Answer{}, true
		}
		out.Value = string(data)
	case history.Delete:
		_, err = c.e.DeleteObject(c.t.Context(), c.b, engine.DeleteObject{Key: in.Key})
	case history.DeleteIf:
		_, err = c.e.DeleteObject(c.t.Context(), c.b, engine.DeleteObject{Key: in.Key, IfMatch: tag(in.Old)})
	default:
		p := engine.PutObject{Bucket: c.b, Key: in.Key, Owner: c.b.Owner,
			Body: engine.Body{Reader: bytes.NewReader([]byte(in.Value)), Size: int64(len(in.Value))}}
		if in.Kind == history.PutNew {
			p.Conditions.IfNoneMatch = "*"
		} else if in.Kind == history.PutIf {
			p.Conditions.IfMatch = tag(in.Old)
		}
		_, err = c.e.PutObject(c.t.Context(), p)
	}
	switch {
	case err == nil:
		return out, true
	case errors.Is(err, s3err.PreconditionFailed), errors.Is(err, s3err.NoSuchKey):
		return history.Answer{Refused: true}, true
	case errors.Is(err, s3err.ConditionalRequestConflict):
		return history.Answer{}, false // promises only that nothing happened
	case !errors.Is(err, faults.ErrInjected):
		c.t.Errorf("%s %s: %v", in.Kind, in.Key, err)
	}
	return history.Answer{Unknown: true}, errors.Is(err, meta.ErrUnknown)
}

func tag(value string) string {
	sum := weakhash.MD5([]byte(value))
	return hex.EncodeToString(sum[:])
}

// history runs clients side by side on fresh keys.
func (r *rig) history(seed uint64) []porcupine.Operation {
	var log history.Log
	var keys []string
	for i := range historyKeys {
		keys = append(keys, fmt.Sprint(seed, "/", i))
	}
	var wg sync.WaitGroup
	for i := range historyClients {
		c := &client{rig: r, r: rand.New(rand.NewPCG(seed, uint64(i))), id: i, log: &log, keys: keys, seen: make(map[string]string)}
		wg.Go(func() {
			for n := range historySteps {
				c.step(n)
			}
		})
	}
	wg.Wait()
	return log.Operations()
}

func (r *rig) wantLinearizable(seed uint64, operations []porcupine.Operation) {
	r.t.Helper()
	if err := history.Check(r.t.ArtifactDir(), seed, operations); err != nil {
		r.t.Fatal(err)
	}
}

// The answers that clients get about a key have one order that explains them all.
func TestHistoriesAreLinearizable(t *testing.T) {
	r := newRig(t)
	first := rand.Uint64()
	for i := range uint64(historySeeds) {
		h := r.history(first + i)
		if len(h) < historyClients*historySteps/2 {
			t.Fatalf("seed %d: only %d requests", first+i, len(h))
		}
		r.wantLinearizable(first+i, h)
	}
	r.wantClean(-1)
}

// The same while calls of the store fail at random on either side of their effect.
func TestHistoriesWithFaultsAreLinearizable(t *testing.T) {
	r := newRig(t)
	first := rand.Uint64()
	plan := r.plannedStore(first)
	unknown := 0
	for i := range uint64(historySeeds) {
		plan.Add(faults.Rule{Chance: 0.03})
		plan.Add(faults.Rule{When: faults.After, Chance: 0.03})
		plan.Add(faults.Rule{Op: "CommitObject", When: faults.After, Chance: 0.2})
		plan.Add(faults.Rule{Op: "RemoveObjects", When: faults.After, Chance: 0.2})
		h := r.history(first + i)
		plan.Clear()
		for _, o := range h {
			if o.Output.(history.Answer).Unknown {
				unknown++
			}
		}
		r.wantLinearizable(first+i, h)
	}
	if plan.Fired() == 0 || unknown == 0 {
		t.Errorf("seed %d: %d faults, %d unknown outcomes: nothing was tried", first, plan.Fired(), unknown)
	}
	r.reopen()
	r.wantClean(-1)
}
