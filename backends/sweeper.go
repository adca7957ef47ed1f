package backends

import (
	"context"
	"time"
)

// Sweeper is a Backend where an interrupted Put leaves invisible remains that cost
// money: the parts of an upload that was never completed.
type Sweeper interface {
	// Sweep removes the remains of Puts that began before the given time, by the
	// backend's clock, and returns how many it removed. A Put that is still in
	// progress after so long fails without further harm; the caller chooses a time
	// that no Put takes. A failed removal does not stop the others, and is in the
	// error.
	Sweep(ctx context.Context, before time.Time) (removed int, err error)
}

// Sweep calls b's Sweep. A backend that is no Sweeper has nothing to remove.
func Sweep(ctx context.Context, b Backend, before time.Time) (removed int, err error) {
	if s, ok := b.(Sweeper); ok {
		return s.Sweep(ctx, before)
	}
	return 0, nil
}
