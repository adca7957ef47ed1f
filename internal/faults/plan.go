// Package faults injects faults for tests: a Plan decides which call of which
// operation fails, before or after its effect, and wrappers around a backend, a
// store or a key provider ask it. Evil returns bytes that a hostile backend might
// return. Counters and a seed decide everything, so that a failure can be repeated.
// It is never part of the gateway.
package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// ErrInjected is the error of a Rule that has none.
var ErrInjected = errors.New("injected fault")

// Op names an operation of the wrapped object, such as "Put".
type Op string

// Any in a Rule means all operations, counted together.
const Any Op = "*"

// When says whether a call fails before or after its effect.
type When int

// Before: the call has no effect. After: it has its effect, but the answer is lost,
// as when a connection breaks between a commit and its reply.
const (
	Before When = iota
	After
)

func (w When) String() string { return [...]string{"before", "after"}[w] }

// Rule selects calls and decides their faults.
type Rule struct {
	Op     Op      // empty: Any
	When   When    // Before or After
	N      int     // the n-th matching call since the rule was added, from 1; 0: every one
	Chance float64 // if above 0: the share of the selected calls, by the plan's seed
	Err    error   // the error of the call; nil: ErrInjected, unless there is a Hook
	Hook   func()  // runs first and may block or sleep: for delays and interleavings
}

func (r Rule) String() string {
	return fmt.Sprintf("%s call %d of %s", r.When, r.N, r.Op)
}

// Plan holds rules and counts calls. A wrapper calls Before with the name of the
// operation ahead of the effect, and After once the effect has happened. A call
// that failed before its effect never reaches After, so the n-th After is the n-th
// call with an effect. The nil Plan has no faults. A Plan is safe for concurrent
// use; calls count in the order of their arrival.
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

// Add adds a rule: its N counts from now on.
func (p *Plan) Add(r Rule) {
	if r.Op == "" {
		r.Op = Any
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &active{Rule: r})
}

// Clear removes all rules: the fault is over. Counts stay.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// Before is called ahead of the effect of op. If it returns an error, the wrapper
// returns that without any effect.
func (p *Plan) Before(op Op) error { return p.ask(op, Before) }

// After is called once op had its effect. If it returns an error, the wrapper
// returns that instead of the answer.
func (p *Plan) After(op Op) error { return p.ask(op, After) }

// Calls returns how often Before was called for op; for Any, how often in all.
func (p *Plan) Calls(op Op) int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[op]
}

// Fired returns how many errors and hooks the plan has triggered. A test that
// injects faults checks that it is not 0.
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

// decide counts the call and returns the decisions of the rules: all hooks, and the
// first error.
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

// MaxSweep bounds Sweep: a run with more calls is a loop.
const MaxSweep = 1_000

// Sweep runs a scenario once for each call of op and each side of the call's
// effect, with that call failing by err (nil: ErrInjected). It stops when a run
// makes fewer calls. run starts from a new state each time, and must check its
// invariants whether or not the fault happened. Sweep returns how many runs had
// their fault, or an error if there was no end.
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
