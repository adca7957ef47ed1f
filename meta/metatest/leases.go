package metatest

import (
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

func testLeases(f *fixture) {
	seen, err := f.s.Lease(f.ctx, "sweep")
	f.ok(err)
	same(f, seen, meta.Lease{Name: "sweep"})
	if _, err := f.s.TakeLease(f.ctx, seen, meta.ID{}); err == nil {
		f.Fatal("nobody took a lease")
	}
	ann, bob := meta.NewID(), meta.NewID()
	first, err := f.s.TakeLease(f.ctx, seen, ann)
	f.ok(err)
	if first.Name != "sweep" || first.Holder != ann || first.Fence <= 0 {
		f.Fatalf("took %+v", first)
	}
	got, err := f.s.Lease(f.ctx, "sweep")
	f.ok(err)
	same(f, got, first)
	_, err = f.s.TakeLease(f.ctx, seen, bob) // its former state
	f.is(err, meta.ErrConflict)
	other, err := f.s.Lease(f.ctx, "Sweep")
	f.ok(err)
	same(f, other, meta.Lease{Name: "Sweep"})

	// A process that sees the holder's beat unchanged takes the lease, and the
	// holder learns of it by the fence.
	second, err := f.s.TakeLease(f.ctx, first, bob)
	f.ok(err)
	if second.Holder != bob || second.Fence <= first.Fence {
		f.Fatalf("took %+v after %+v", second, first)
	}
	_, err = f.s.TakeLease(f.ctx, first, ann)
	f.is(err, meta.ErrConflict)
	for _, not := range []meta.Lease{first, {Name: "sweep", Holder: ann, Fence: second.Fence}, {Name: "no such lease", Holder: ann, Fence: 1}} {
		f.ok(f.s.DropLease(f.ctx, not))
	}
	got, err = f.s.Lease(f.ctx, "sweep")
	f.ok(err)
	same(f, got, second)

	// A dropped lease is free, and no fence is reused.
	f.ok(f.s.DropLease(f.ctx, second))
	free, err := f.s.Lease(f.ctx, "sweep")
	f.ok(err)
	if !free.Holder.IsZero() || free.Fence < second.Fence {
		f.Fatalf("after the drop it is %+v", free)
	}
	third, err := f.s.TakeLease(f.ctx, free, bob)
	f.ok(err)
	again, err := f.s.TakeLease(f.ctx, third, bob) // its own
	f.ok(err)
	if third.Fence <= second.Fence || again.Fence <= third.Fence {
		f.Fatalf("fences are %d, %d and %d", second.Fence, third.Fence, again.Fence)
	}
	_, err = f.s.TakeLease(f.ctx, second, ann)
	f.is(err, meta.ErrConflict)
}

// Of several takers that saw the same lease, one gets it, whether it is new, held
// or free.
func testLeaseRaced(f *fixture) {
	for round := range 6 {
		seen, err := f.s.Lease(f.ctx, "sweep")
		f.ok(err)
		const takers = 8
		var taken [takers]meta.Lease
		var errs [takers]error
		together(takers, func(i int) { taken[i], errs[i] = f.s.TakeLease(f.ctx, seen, meta.NewID()) })
		won := 0
		for i, err := range errs {
			if errors.Is(err, meta.ErrConflict) {
				continue
			}
			f.ok(err)
			won++
			got, err := f.s.Lease(f.ctx, "sweep")
			f.ok(err)
			same(f, got, taken[i])
			if round%2 == 1 {
				f.ok(f.s.DropLease(f.ctx, got))
			}
		}
		if won != 1 {
			f.Fatalf("%d took the lease", won)
		}
	}
}
