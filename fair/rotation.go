package fair

import (
	"slices"
	"time"
)

const (
	// lookAgain is the pause after a search that found no other turn, while some are under
	// way.
	lookAgain = time.Minute
	// resumeAfter is the pause of a turn after its first failure; each further failure in
	// succession adds as much. Other turns go on meanwhile.
	resumeAfter = 4 * time.Minute
)

// Rotation has the turns that are under way, each of another party, and lets one after
// another take a bounded step. A long turn of one party delays those of others by its share
// and no more. The zero value is empty. It is for one goroutine.
type Rotation[K comparable, T any] struct {
	turns []*Rotating[K, T] // the first one has the next step
	idle  time.Time         // time of the last search that found none; zero if a turn has ended since
}

// Rotating is a turn under way.
type Rotating[K comparable, T any] struct {
	Turn    T
	party   K
	failed  time.Time // time of its last step, if that failed
	resumes time.Time // not before
}

// Fail notes the tries-th failure in succession of the turn's steps, so that the turn
// pauses.
func (t *Rotating[K, T]) Fail(now time.Time, tries int) {
	t.failed, t.resumes = now, now.Add(time.Duration(tries)*resumeAfter)
}

// waits reports whether the turn pauses. The time of a failure that lies in the future comes
// from a clock that was wrong, and does not count.
func (t *Rotating[K, T]) waits(now time.Time) bool { return Within(now, t.failed, t.resumes) }

// Within reports whether t is in [from, to).
func Within(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }

// Empty reports whether no turn is under way.
func (r *Rotation[K, T]) Empty() bool { return len(r.turns) == 0 }

// Has reports whether a turn of the party's is under way.
func (r *Rotation[K, T]) Has(party K) bool {
	return slices.ContainsFunc(r.turns, func(t *Rotating[K, T]) bool { return t.party == party })
}

// Looks reports whether to search for another turn, if at most so many may be under way.
// searching means that a search has begun and is not at its end.
func (r *Rotation[K, T]) Looks(now time.Time, most int, searching bool) bool {
	return r.Empty() || len(r.turns) < most && (searching || !Within(now, r.idle, r.idle.Add(lookAgain)))
}

// FoundNone notes that a search has come to its end.
func (r *Rotation[K, T]) FoundNone(now time.Time) { r.idle = now }

// Begin adds the turn of a party that has none. It has the next step.
func (r *Rotation[K, T]) Begin(party K, turn T) {
	r.turns = slices.Insert(r.turns, 0, &Rotating[K, T]{party: party, Turn: turn})
}

// Next returns the turn that takes a step now, and puts it last; nil if there
// is none. A turn that pauses keeps its place.
func (r *Rotation[K, T]) Next(now time.Time) *Rotating[K, T] {
	for i, t := range r.turns {
		if !t.waits(now) {
			r.turns = append(slices.Delete(r.turns, i, i+1), t)
			return t
		}
	}
	return nil
}

// Ready reports whether a turn may take a step now.
func (r *Rotation[K, T]) Ready(now time.Time) bool {
	return slices.ContainsFunc(r.turns, func(t *Rotating[K, T]) bool { return !t.waits(now) })
}

// End ends a turn. A search may find another turn of the party at once.
func (r *Rotation[K, T]) End(t *Rotating[K, T]) {
	r.turns = slices.DeleteFunc(r.turns, func(other *Rotating[K, T]) bool { return other == t })
	r.idle = time.Time{}
}
