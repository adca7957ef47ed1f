package fair

import (
	"slices"
	"time"
)

const (
	// lookAgain is how long nobody looks for another turn while some are under way and
	// the last look found none.
	lookAgain = time.Minute
	// resumeAfter is when a turn goes on after its first step that failed, the others
	// later by as much each. Other turns go on meanwhile.
	resumeAfter = 4 * time.Minute
)

// Rotation is turns of bounded steps that are under way, each of another party, of which
// one after another takes a step: a long turn of one party delays those of others by its
// share and no more. The zero value has none. It is for one goroutine.
type Rotation[K comparable, T any] struct {
	turns []*Rotating[K, T] // the first goes on next
	idle  time.Time         // when the last look found none, unless a turn has ended since
}

// Rotating is a turn under way.
type Rotating[K comparable, T any] struct {
	Turn    T
	party   K
	failed  time.Time // its last step, if that did
	resumes time.Time // not before
}

// Fail notes that a step of the turn failed, the tries-th in succession, so that the turn
// waits before it goes on.
func (t *Rotating[K, T]) Fail(now time.Time, tries int) {
	t.failed, t.resumes = now, now.Add(time.Duration(tries)*resumeAfter)
}

// waits reports whether the turn does not go on yet. A failure of the time to come was by
// a clock that was wrong.
func (t *Rotating[K, T]) waits(now time.Time) bool { return Within(now, t.failed, t.resumes) }

// Within reports whether it is time t from a time to another, the first included.
func Within(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }

// Empty reports whether no turn is under way.
func (r *Rotation[K, T]) Empty() bool { return len(r.turns) == 0 }

// Has reports whether a turn of the party's is under way.
func (r *Rotation[K, T]) Has(party K) bool {
	return slices.ContainsFunc(r.turns, func(t *Rotating[K, T]) bool { return t.party == party })
}

// Looks reports whether it is time to look for another turn, of which most are under way
// at once. searching: a look has begun that has not seen everything.
func (r *Rotation[K, T]) Looks(now time.Time, most int, searching bool) bool {
	return r.Empty() || len(r.turns) < most && (searching || !Within(now, r.idle, r.idle.Add(lookAgain)))
}

// FoundNone notes that a look has seen everything.
func (r *Rotation[K, T]) FoundNone(now time.Time) { r.idle = now }

// Begin adds the turn of a party that has none. It goes on next.
func (r *Rotation[K, T]) Begin(party K, turn T) {
	r.turns = slices.Insert(r.turns, 0, &Rotating[K, T]{party: party, Turn: turn})
}

// Next returns the turn that goes on now, which becomes the last; nil: there is none.
func (r *Rotation[K, T]) Next(now time.Time) *Rotating[K, T] {
	for i, t := range r.turns {
		if !t.waits(now) {
			r.turns = append(slices.Delete(r.turns, i, i+1), t)
			return t
		}
	}
	return nil
}

// Ready reports whether a turn may go on now.
func (r *Rotation[K, T]) Ready(now time.Time) bool {
	return slices.ContainsFunc(r.turns, func(t *Rotating[K, T]) bool { return !t.waits(now) })
}

// End ends a turn. Another of the party's may be found by a look at once.
func (r *Rotation[K, T]) End(t *Rotating[K, T]) {
	r.turns = slices.DeleteFunc(r.turns, func(other *Rotating[K, T]) bool { return other == t })
	r.idle = time.Time{}
}
