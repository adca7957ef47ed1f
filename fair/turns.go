package fair

import (
	"context"
	"sync"
)

// Turns let each party do so much at once, and have the rest of it wait: work that costs
// much, of which others are to have their part however much one party asks for. It is
// safe for concurrent use, and costs memory for the parties that are at it.
type Turns[K comparable] struct {
	width int
	mu    sync.Mutex
	of    map[K]*queue
}

type queue struct {
	places chan struct{}
	users  int // those that have a turn or wait for one; under Turns.mu
}

// NewTurns returns turns of which each party has width at once, at least one.
func NewTurns[K comparable](width int) *Turns[K] {
	return &Turns[K]{width: max(width, 1), of: make(map[K]*queue)}
}

// Enter waits for a turn of the party's until the context ends, whose cause is the error.
// The turn lasts until leave is called, once. A holder of a turn must not ask for another.
func (t *Turns[K]) Enter(ctx context.Context, party K) (leave func(), err error) {
	t.mu.Lock()
	q := t.of[party]
	if q == nil {
		q = &queue{places: make(chan struct{}, t.width)}
		t.of[party] = q
	}
	q.users++
	t.mu.Unlock()
	select {
	case q.places <- struct{}{}:
		return func() {
			<-q.places
			t.left(party, q)
		}, nil
	case <-ctx.Done():
		t.left(party, q)
		return nil, context.Cause(ctx)
	}
}

func (t *Turns[K]) left(party K, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
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
		return q.users
	}
	return 0
}
