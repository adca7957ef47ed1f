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
	resumes time.Time // not before
}

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
		if !now.Before(t.resumes) {
			r.turns = append(slices.Delete(r.turns, i, i+1), t)
			return t
		}
	}
	return nil
}

// ready reports whether a turn may go on now.
func (r *rotation[T]) ready(now time.Time) bool {
	return slices.ContainsFunc(r.turns, func(t *rotating[T]) bool { return !now.Before(t.resumes) })
}

// end ends a turn.
func (r *rotation[T]) end(t *rotating[T]) {
	r.turns = slices.DeleteFunc(r.turns, func(other *rotating[T]) bool { return other == t })
}
