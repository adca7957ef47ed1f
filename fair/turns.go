package fair

import (
	"context"
	"math"
	"slices"
	"sync"
)

// Turns bound the concurrent work of each party, and make the rest of it wait.
// They are for expensive work, so that all parties get a part of the capacity,
// however much one asks for. If the work of all parties together is bounded, a
// free turn goes to the waiting parties in rotation, and within a party in
// order of arrival. Turns are safe for concurrent use, and need memory only for
// parties with a turn or a wait.
type Turns[K comparable] struct {
	width, most int

	mu      sync.Mutex
	taken   int
	of      map[K]*queue
	waiting []K // parties that wait; the first is asked first
}

// queue holds the turns of one party. It is guarded by Turns.mu.
type queue struct {
	taken   int
	waiting []chan struct{} // each is closed when its turn begins
}

// NewTurns returns turns. Each party can have width at once, at least one,
// independently of others.
func NewTurns[K comparable](width int) *Turns[K] { return NewSharedTurns[K](width, math.MaxInt) }

// NewSharedTurns returns turns. Each party can have width at once, at least
// one, and all parties together most, at least width.
func NewSharedTurns[K comparable](width, most int) *Turns[K] {
	width = max(width, 1)
	return &Turns[K]{width: width, most: max(most, width), of: make(map[K]*queue)}
}

// Enter waits for a turn of the party. When the context ends first, the error
// is its cause. The turn lasts until leave is called, once. The holder of a
// turn must not ask for another.
func (t *Turns[K]) Enter(ctx context.Context, party K) (leave func(), err error) {
	if leave, ok := t.TryEnter(party); ok {
		return leave, nil
	}
	turn := t.ask(party)
	select {
	case <-turn:
	case <-ctx.Done():
		// If both were ready, the turn may have begun. Then the caller has it, and
		// must leave it.
		if t.giveUp(party, turn) {
			return nil, context.Cause(ctx)
		}
	}
	return func() { t.leave(party) }, nil
}

// TryEnter is Enter for a turn that is free, while nobody waits for one. Otherwise ok
// is false.
func (t *Turns[K]) TryEnter(party K) (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.of[party]
	if len(t.waiting) > 0 || t.taken == t.most || q != nil && q.taken == t.width {
		return nil, false
	}
	if q == nil {
		q = &queue{}
		t.of[party] = q
	}
	q.taken++
	t.taken++
	return func() { t.leave(party) }, true
}

// ask returns a channel that is closed when the turn begins, which may be at
// once.
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

// begin starts turns while one is free and a waiting party may have it. The
// caller holds mu. A party at its width keeps its place in the rotation and is
// passed over.
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

// giveUp ends the wait for a turn. It returns false if the turn has begun.
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
		panic("fair: left a turn that was not taken")
	}
	q.taken--
	t.taken--
	t.begin()
	t.forget(party, q)
}

// forget drops a party without turns and waits. The caller holds mu.
func (t *Turns[K]) forget(party K, q *queue) {
	if q.taken == 0 && len(q.waiting) == 0 {
		delete(t.of, party)
	}
}

// Width is the number of turns that a party can have at once.
func (t *Turns[K]) Width() int { return t.width }

// Users is the number of turns and waits of a party.
func (t *Turns[K]) Users(party K) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.of[party]; q != nil {
		return q.taken + len(q.waiting)
	}
	return 0
}
