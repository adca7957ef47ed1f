package blobs

import (
	"slices"
	"strings"
)

// Health is what a gateway knows of a configured backend without asking anybody.
type Health struct {
	Name      string
	Away      bool  // it was last asked in vain, see CheckBackend
	Disagrees bool  // it was last seen not to agree with the store
	Doubtful  int64 // blobs in doubt at the last pass of Collect
	// Unanswered are blobs that processes which are gone had reserved, and of which the backend
	// could not say at the last pass whether they are there.
	Unanswered int64
}

// BackendHealth is for metrics and operators. It lists the configured backends that are
// not retired, by name.
func (bs *Blobs) BackendHealth() (all []Health) {
	doubtful, unanswered := bs.doubtful.Load(), bs.unansweredAt.Load()
	s := bs.registry.now.Load()
	for _, b := range bs.c.Backends {
		row, ok := s.named(b.Name)
		if !ok && !bs.pending.has(b.Name) {
			continue
		}
		h := Health{Name: b.Name, Away: bs.away(b.Name)}
		if p := s.configured[row.ID]; p != nil {
			h.Disagrees = p.disagrees.Load()
		}
		if doubtful != nil {
			h.Doubtful = (*doubtful)[row.ID]
		}
		if unanswered != nil {
			h.Unanswered = (*unanswered)[row.ID]
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Health) int { return strings.Compare(a.Name, b.Name) })
	return all
}
