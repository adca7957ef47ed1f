package engine_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	historySeeds   = 30
	historyClients = 5
	historySteps   = 14 // requests of each client
	historyKeys    = 2
	historyTimeout = 20 * time.Second // for the checker; it needs milliseconds
)

// register is what one key does, in order. A value is the body; empty: absent.
type register struct {
	kind  string // get, put, put-new, put-if, delete, delete-if
	key   string
	value string // written
	old   string // demanded by put-if and delete-if
}

// answer is what the client was told.
type answer struct {
	value   string // read
	refused bool   // the condition did not hold
	unknown bool   // it happened or not, at any time after the call
}

// s3 is the order in which S3 promises that requests on a key take effect. An
// operation of unknown outcome returns at the end of time: if it never
// happened, it is last, where nobody sees what it did.
var s3 = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := make(map[string][]porcupine.Operation)
		for _, o := range history {
			k := o.Input.(register).key
			byKey[k] = append(byKey[k], o)
		}
		for _, p := range byKey {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		now, in, out := state.(string), input.(register), output.(answer)
		holds, next := true, in.value
		switch in.kind {
		case "get":
			return out.value == now, now
		case "put-new":
			holds = now == ""
		case "put-if", "delete-if":
			holds = now != "" && now == in.old
		}
		if !holds {
			next = now
		}
		return out.unknown || holds != out.refused, next
	},
}

// client makes requests at random and notes what it was told.
type client struct {
	*rig
	r     *rand.Rand
	id    int
	clock *atomic.Int64
	keys  []string
	seen  map[string]string // the value that the client read or wrote last
	log   []porcupine.Operation
}

func (c *client) step(n int) {
	key := c.keys[c.r.IntN(len(c.keys))]
	kinds := []string{"get", "get", "get", "put", "put", "put-new", "put-new", "put-if", "put-if", "delete", "delete-if"}
	in := register{kind: kinds[c.r.IntN(len(kinds))], key: key, old: c.seen[key]}
	if in.kind == "put" || in.kind == "put-new" || in.kind == "put-if" {
		// Some bodies are longer than a segment.
		in.value = fmt.Sprintf("%d/%d %0*d", c.id, n, c.r.IntN(2)*70_000, 0)
	}
	if in.old == "" && (in.kind == "put-if" || in.kind == "delete-if") {
		in.old = "what never was"
	}
	op := porcupine.Operation{ClientId: c.id, Input: in, Call: c.clock.Add(1)}
	out, happened := c.request(in)
	op.Output, op.Return = out, c.clock.Add(1)
	if out.unknown {
		op.Return = math.MaxInt64
	}
	if happened {
		c.log = append(c.log, op)
	}
	switch {
	case in.kind == "get" && happened:
		c.seen[key] = out.value
	case happened && !out.refused:
		c.seen[key] = in.value
	}
}

// request makes one and returns whether it may have had an effect or an answer
// that says something of the key. Its failure is the test's, unless it is one
// that a plan injected.
func (c *client) request(in register) (out answer, happened bool) {
	var err error
	switch in.kind {
	case "get":
		var data []byte
		if data, err = c.get(in.key, nil); errors.Is(err, s3err.NoSuchKey) {
			return answer{}, true
		}
		out.value = string(data)
	case "delete":
		err = c.e.DeleteObject(c.t.Context(), c.b, engine.DeleteObject{Key: in.key})
	case "delete-if":
		err = c.e.DeleteObject(c.t.Context(), c.b, engine.DeleteObject{Key: in.key, IfMatch: tag(in.old)})
	default:
		p := engine.PutObject{Bucket: c.b, Key: in.key, Owner: c.b.Owner,
			Body: engine.Body{Reader: bytes.NewReader([]byte(in.value)), Size: int64(len(in.value))}}
		if in.kind == "put-new" {
			p.Conditions.IfNoneMatch = "*"
		} else if in.kind == "put-if" {
			p.Conditions.IfMatch = tag(in.old)
		}
		_, err = c.e.PutObject(c.t.Context(), p)
	}
	switch {
	case err == nil:
		return out, true
	case errors.Is(err, s3err.PreconditionFailed), errors.Is(err, s3err.NoSuchKey):
		return answer{refused: true}, true
	case errors.Is(err, s3err.ConditionalRequestConflict):
		return answer{}, false // promises only that nothing happened
	case !errors.Is(err, faults.ErrInjected):
		c.t.Errorf("%s %s: %v", in.kind, in.key, err)
	}
	return answer{unknown: true}, errors.Is(err, meta.ErrUnknown)
}

func tag(value string) string {
	sum := md5.Sum([]byte(value))
	return hex.EncodeToString(sum[:])
}

// history runs clients side by side on fresh keys.
func (r *rig) history(seed uint64) (all []porcupine.Operation) {
	var clock atomic.Int64
	var keys []string
	for i := range historyKeys {
		keys = append(keys, fmt.Sprint(seed, "/", i))
	}
	clients := make([]*client, historyClients)
	var wg sync.WaitGroup
	for i := range clients {
		c := &client{rig: r, r: rand.New(rand.NewPCG(seed, uint64(i))), id: i, clock: &clock, keys: keys, seen: make(map[string]string)}
		clients[i] = c
		wg.Go(func() {
			for n := range historySteps {
				c.step(n)
			}
		})
	}
	wg.Wait()
	for _, c := range clients {
		all = append(all, c.log...)
	}
	return all
}

func (r *rig) wantLinearizable(seed uint64, history []porcupine.Operation) {
	r.t.Helper()
	if result := porcupine.CheckOperationsTimeout(s3, history, historyTimeout); result != porcupine.Ok {
		slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		for _, o := range history {
			r.t.Logf("%d %d-%d %.60v %.30v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
		}
		r.t.Fatalf("seed %d: the history of %d requests is %s", seed, len(history), result)
	}
}

// What clients are told of a key has one order that explains it all.
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
			if o.Output.(answer).unknown {
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

// The checker sees what must not be.
func TestHistoryCheckerRefuses(t *testing.T) {
	op := func(call, ret int64, in register, out answer) porcupine.Operation {
		in.key = "k"
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
	}
	put := op(1, 2, register{kind: "put", value: "a"}, answer{})
	for name, c := range map[string]struct {
		want    porcupine.CheckResult
		history []porcupine.Operation
	}{
		"read own write":  {porcupine.Ok, []porcupine.Operation{put, op(3, 4, register{kind: "get"}, answer{value: "a"})}},
		"stale read":      {porcupine.Illegal, []porcupine.Operation{put, op(3, 4, register{kind: "get"}, answer{})}},
		"lost update":     {porcupine.Illegal, []porcupine.Operation{put, op(3, 6, register{kind: "put-if", old: "a", value: "b"}, answer{}), op(4, 5, register{kind: "put-if", old: "a", value: "c"}, answer{})}},
		"two winners":     {porcupine.Illegal, []porcupine.Operation{op(1, 4, register{kind: "put-new", value: "a"}, answer{}), op(2, 3, register{kind: "put-new", value: "b"}, answer{})}},
		"false refusal":   {porcupine.Illegal, []porcupine.Operation{op(1, 2, register{kind: "put-new", value: "a"}, answer{refused: true})}},
		"late effect":     {porcupine.Ok, []porcupine.Operation{op(1, math.MaxInt64, register{kind: "put", value: "a"}, answer{unknown: true}), op(3, 4, register{kind: "get"}, answer{}), op(5, 6, register{kind: "get"}, answer{value: "a"})}},
		"no effect":       {porcupine.Ok, []porcupine.Operation{op(1, math.MaxInt64, register{kind: "put", value: "a"}, answer{unknown: true}), op(3, 4, register{kind: "get"}, answer{})}},
		"effect and back": {porcupine.Illegal, []porcupine.Operation{op(1, math.MaxInt64, register{kind: "put", value: "a"}, answer{unknown: true}), op(3, 4, register{kind: "get"}, answer{value: "a"}), op(5, 6, register{kind: "get"}, answer{})}},
	} {
		if got := porcupine.CheckOperationsTimeout(s3, c.history, historyTimeout); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
