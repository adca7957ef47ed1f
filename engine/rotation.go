package engine

import (
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

const (
	// lookAgain is how long nobody looks for another turn while some are under way and
	// the last look found none.
	lookAgain = time.Minute
	// resumeAfter is when a turn goes on after its first step that failed, the others
	// later by as much each. Other turns go on meanwhile.
	resumeAfter = 4 * time.Minute
)

// rotation are turns under way, each of another tenant, of which one takes a step after
// another: a long turn of one tenant delays those of others by its share and no more. The
// zero value has none.
type rotation[T any] struct {
	turns []*rotating[T] // the first goes on next
}

// rotating is a turn under way.
type rotating[T any] struct {
	tenant  meta.ID
	turn    T
	failed  time.Time // its last step, if that did
	resumes time.Time // not before
}

// waits reports whether the turn does not go on yet. A failure of the time to come was by
// a clock that was wrong.
func (t *rotating[T]) waits(now time.Time) bool { return within(now, t.failed, t.resumes) }

// within reports whether it is time t from a time to another, the first included.
func within(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }

// has reports whether a turn of the tenant's is under way.
func (r *rotation[T]) has(tenant meta.ID) bool {
	return slices.ContainsFunc(r.turns, func(t *rotating[T]) bool { return t.tenant == tenant })
}

// begin adds the turn of a tenant that has none. It goes on next.
func (r *rotation[T]) begin(tenant meta.ID, turn T) {
	r.turns = slices.Insert(r.turns, 0, &rotating[T]{tenant: tenant, turn: turn})
}

// next returns the turn that goes on now, which becomes the last; nil: there is none.
func (r *rotation[T]) next(now time.Time) *rotating[T] {
	for i, t := range r.turns {
		if !t.waits(now) {
			r.turns = append(slices.Delete(r.turns, i, i+1), t)
			return t
		}
	}
	return nil
}

// ready reports whether a turn may go on now.
func (r *rotation[T]) ready(now time.Time) bool {
	return slices.ContainsFunc(r.turns, func(t *rotating[T]) bool { return !t.waits(now) })
}

// end ends a turn.
func (r *rotation[T]) end(t *rotating[T]) {
	r.turns = slices.DeleteFunc(r.turns, func(other *rotating[T]) bool { return other == t })
}
