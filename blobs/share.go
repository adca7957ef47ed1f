package blobs

import (
	"context"
	"errors"
	"slices"

	"github.com/sanctum-storage/gateway/meta"
)

// errElsewhere ends the look at a body's blobs.
var errElsewhere = errors.New("a blob is where the demands are not met")

// MayShare reports whether blobs may become part of an object of a bucket that makes
// demands, where they are. strays reports whether the bucket that they come from moves its
// objects where the demands are not met; it asks bears of the backends that it moves them
// to, which is true of a name that is no backend's. at says where each blob has to be found
// still when it becomes that.
//
// The backends are read anew, and where one drains, its target has to satisfy the bucket
// too. Together with the movers, whose last step finds that a bucket was made or a blob
// shared since they looked, no order of events brings a bucket's bytes where they must
// not be. Errors: meta.ErrBodyGone.
func (bs *Blobs) MayShare(ctx context.Context, demands []string, ids []meta.BlobID, strays func(ctx context.Context, bears func(name string) bool) (bool, error)) (may bool, at []meta.BackendID, err error) {
	s, err := bs.refresh(ctx)
	if err != nil {
		return false, nil, meta.Coded(err)
	}
	// With one backend, no mover can take the blobs elsewhere, and strays need not be asked.
	if s.only != nil {
		return s.only.meets(demands), slices.Repeat([]meta.BackendID{s.only.id}, len(ids)), nil
	}
	leaves, err := strays(ctx, func(name string) bool {
		row, known := s.named(name)
		return !known || s.meets(row.ID, demands)
	})
	if err != nil || leaves {
		return false, nil, err
	}
	err = bs.EachPlace(ctx, ids, func(_ meta.BlobID, home meta.BackendID) error {
		if home == 0 {
			return meta.ErrBodyGone
		}
		at = append(at, home)
		// A target is active and does not drain itself, so the chain has at most two links. A
		// cycle cannot be: DrainBackend refuses to drain what another drains to.
		for id := home; id != 0; id = s.states[id].Drain.Target {
			if !s.meets(id, demands) {
				return errElsewhere
			}
		}
		return nil
	})
	if errors.Is(err, errElsewhere) {
		return false, nil, nil
	}
	return err == nil, at, err
}

// meets reports whether a backend is configured here and satisfies every demand.
func (s *places) meets(id meta.BackendID, demands []string) bool {
	p := s.configured[id]
	return p != nil && p.meets(demands)
}
