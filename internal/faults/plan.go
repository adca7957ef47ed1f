// Package faults breaks things on purpose for tests: a Plan says which call of
// which operation fails, before or after its effect, and wrappers around a
// backend, a store or a key provider ask it. Evil serves bytes that a hostile
// place might. Everything is decided by counters and a seed, so a failure can
// be run again. It is never part of the gateway.
package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// ErrInjected is what a Rule without an error of its own answers.
var ErrInjected = errors.New("injected fault")

// Op names an operation of whatever is wrapped, such as "Put".
type Op string

// Any in a Rule stands for all operations, counted together.
const Any Op = "*"

// When is the side of the effect on which a call fails.
type When int

// Before: the call has no effect. After: it has its effect, and the answer is
// lost, as when a connection is cut between a commit and its reply.
const (
	Before When = iota
	After
)

func (w When) String() string { return [...]string{"before", "after"}[w] }

// Rule picks calls and says what happens to them.
type Rule struct {
	Op     Op      // empty: Any
	When   When    // Before or After
	N      int     // the n-th matching call since the rule was added, from 1; 0: every one
	Chance float64 // if above 0: of the calls picked, this share, by the plan's seed
	Err    error   // what the call answers; nil: ErrInjected, unless there is a Hook
	Hook   func()  // runs first and may block or sleep: for delays and interleavings
}

func (r Rule) String() string {
	return fmt.Sprintf("%s call %d of %s", r.When, r.N, r.Op)
}

// Plan holds rules and counts calls. A wrapper asks Before with the name of the
// operation ahead of the effect, and After once the effect took place. Since a
// call that failed before its effect never asks After, the n-th After is the
// n-th call that had its effect. The nil Plan lets everything pass. A Plan may
// be used from many goroutines; calls then count in the order they arrive.
type Plan struct {
	Seed uint64

	mu    sync.Mutex
	rng   *rand.Rand
	rules []*active
	calls map[Op]int
	fired int
}

type active struct {
	Rule
	seen int
}

// NewPlan returns a Plan; print its Seed when a test fails.
func NewPlan(seed uint64, rules ...Rule) *Plan {
	p := &Plan{Seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), calls: make(map[Op]int)}
	for _, r := range rules {
		p.Add(r)
	}
	return p
}

// Add puts a rule in force from now on: its N counts from here.
func (p *Plan) Add(r Rule) {
	if r.Op == "" {
		r.Op = Any
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &active{Rule: r})
}

// Clear lifts all rules: the fault is over. Counts stay.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// Before is asked ahead of the effect of op. An error means: answer it and have
// no effect.
func (p *Plan) Before(op Op) error { return p.ask(op, Before) }

// After is asked once op had its effect. An error means: answer it all the same.
func (p *Plan) After(op Op) error { return p.ask(op, After) }

// Calls is how often Before was asked about op; about Any, how often in all.
func (p *Plan) Calls(op Op) int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[op]
}

// Fired is how many errors and hooks the plan has set off. A test that injects
// faults checks that it is not 0.
func (p *Plan) Fired() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fired
}

func (p *Plan) ask(op Op, when When) error {
	if p == nil {
		return nil
	}
	hooks, err := p.decide(op, when)
	for _, hook := range hooks {
		hook() // without the lock: a hook may block while other calls pass
	}
	return err
}

// decide counts the call and returns what the rules want of it: all hooks, and
// the first error.
func (p *Plan) decide(op Op, when When) (hooks []func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if when == Before {
		p.calls[op]++
		p.calls[Any]++
	}
	for _, r := range p.rules {
		if r.When != when || r.Op != op && r.Op != Any {
			continue
		}
		if r.seen++; r.N != 0 && r.N != r.seen {
			continue
		}
		if r.Chance > 0 && p.rng.Float64() >= r.Chance {
			continue
		}
		p.fired++
		if r.Hook != nil {
			hooks = append(hooks, r.Hook)
		}
		if err == nil && (r.Err != nil || r.Hook == nil) {
			err = r.failure(op, r.seen)
		}
	}
	return hooks, err
}

func (r Rule) failure(op Op, call int) error {
	cause := r.Err
	if cause == nil {
		cause = ErrInjected
	}
	return fmt.Errorf("fault %s call %d of %s: %w", r.When, call, op, cause)
}

// MaxSweep bounds Sweep: a run with more calls than this is a loop.
const MaxSweep = 1_000

// Sweep runs a scenario once for each call it makes of op and each side of the
// call's effect, with that call failing by err (nil: ErrInjected), and stops
// when a run makes fewer calls. run begins from a fresh state each time, and
// must check its invariants whether or not the fault was reached. Sweep returns
// how many runs met their fault, or an error if there was no end.
func Sweep(seed uint64, op Op, err error, run func(r Rule, p *Plan)) (met int, _ error) {
	for _, when := range []When{Before, After} {
		for n := 1; ; n++ {
			if n > MaxSweep {
				return met, fmt.Errorf("seed %d: still met a fault at call %d of %s", seed, n, op)
			}
			rule := Rule{Op: op, When: when, N: n, Err: err}
			p := NewPlan(seed, rule)
			run(rule, p)
			if p.Fired() == 0 {
				break
			}
			met++
		}
	}
	return met, nil
}
