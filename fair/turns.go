package fair

import (
	"context"
	"math"
	"slices"
	"sync"
)

// Turns let each party do so much at once, and have the rest of it wait: work that costs
// much, of which others are to have their part however much one party asks for. Where all
// parties together may do no more than so much, a turn that ends goes to the parties that
// wait by rotation, and within a party to who came first. It is safe for concurrent use,
// and costs memory for the parties that are at it.
type Turns[K comparable] struct {
	width, most int

	mu      sync.Mutex
	taken   int
	of      map[K]*queue
	waiting []K // those with someone who waits; the first is asked first
}

// queue is of one party; all of it is under Turns.mu.
type queue struct {
	taken   int
	waiting []chan struct{} // each is closed when its turn begins
}

// NewTurns returns turns of which each party has width at once, at least one, whatever
// others have.
func NewTurns[K comparable](width int) *Turns[K] { return NewSharedTurns[K](width, math.MaxInt) }

// NewSharedTurns returns turns of which each party has width at once, at least one, and
// all parties together most, at least width.
func NewSharedTurns[K comparable](width, most int) *Turns[K] {
	width = max(width, 1)
	return &Turns[K]{width: width, most: max(most, width), of: make(map[K]*queue)}
}

// Enter waits for a turn of the party's until the context ends, whose cause is the error.
// The turn lasts until leave is called, once. A holder of a turn must not ask for another.
func (t *Turns[K]) Enter(ctx context.Context, party K) (leave func(), err error) {
	turn := t.ask(party)
	select {
	case <-turn:
	case <-ctx.Done():
		if t.giveUp(party, turn) {
			return nil, context.Cause(ctx)
		}
	}
	return func() { t.leave(party) }, nil
}

// ask returns what is closed when the turn begins, at once if it may.
func (t *Turns[K]) ask(party K) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.of[party]
	if q == nil {
		q = &queue{}
		t.of[party] = q
	}
	turn := make(chan struct{})
	q.waiting = append(q.waiting, turn)
	if len(q.waiting) == 1 {
		t.waiting = append(t.waiting, party)
	}
	t.begin()
	return turn
}

// begin has turns begin as long as there is one, and a party that may have it.
func (t *Turns[K]) begin() {
	for i := 0; t.taken < t.most && i < len(t.waiting); {
		party := t.waiting[i]
		q := t.of[party]
		if q.taken == t.width {
			i++
			continue
		}
		close(q.waiting[0])
		q.waiting = slices.Delete(q.waiting, 0, 1)
		q.taken++
		t.taken++
		t.waiting = slices.Delete(t.waiting, i, i+1)
		if len(q.waiting) > 0 {
			t.waiting = append(t.waiting, party)
		}
	}
}

// giveUp ends the wait for a turn. It is false when that has begun.
func (t *Turns[K]) giveUp(party K, turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.of[party]
	if q == nil {
		return false
	}
	i := slices.Index(q.waiting, turn)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	if len(q.waiting) == 0 {
		t.waiting = slices.DeleteFunc(t.waiting, func(p K) bool { return p == party })
	}
	t.forget(party, q)
	return true
}

// leave ends a turn.
func (t *Turns[K]) leave(party K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.of[party]
	if q == nil || q.taken == 0 {
		panic("fair: a turn is left that was not taken")
	}
	q.taken--
	t.taken--
	t.begin()
	t.forget(party, q)
}

func (t *Turns[K]) forget(party K, q *queue) {
	if q.taken == 0 && len(q.waiting) == 0 {
		delete(t.of, party)
	}
}

// Width is how many turns a party has at once.
func (t *Turns[K]) Width() int { return t.width }

// Users is how many of a party have a turn or wait for one.
func (t *Turns[K]) Users(party K) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.of[party]; q != nil {
		return q.taken + len(q.waiting)
	}
	return 0
}
