package backends

import (
	"context"
	"time"
)

// Sweeper is a Backend where a Put that is cut short leaves what nobody sees and somebody
// pays for: the parts of an upload that was begun and never completed.
type Sweeper interface {
	// Sweep removes what Puts have left that began before the given time, by the
	// backend's clock, and returns how many it removed. One that is under way for as
	// long fails, and nothing is lost: choose a time that no Put takes. What cannot be
	// removed keeps nothing else, and is in the error.
	Sweep(ctx context.Context, before time.Time) (removed int, err error)
}

// Sweep is b's Sweep. A backend that is no Sweeper has nothing to remove.
func Sweep(ctx context.Context, b Backend, before time.Time) (removed int, err error) {
	if s, ok := b.(Sweeper); ok {
		return s.Sweep(ctx, before)
	}
	return 0, nil
}
