package fair

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A free shared turn goes to the next party, however many requests of another
// came before, and no party has more than its width.
func TestSharedTurnsRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewSharedTurns[string](2, 3)
		var mu sync.Mutex
		order, leaves := "", []func(){}
		come := func(party string) {
			go func() {
				leave, err := turns.Enter(t.Context(), party)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order, leaves = order+party, append(leaves, leave)
				mu.Unlock()
			}()
			synctest.Wait()
		}
		for _, party := range []string{"a", "a", "a", "a", "b", "b", "c", "d"} {
			come(party)
		}
		if order != "aab" {
			t.Fatalf("%q have turns of three, two for each", order)
		}
		for n := 0; n < len(leaves); n++ {
			leaves[n]()
			synctest.Wait()
		}
		if order != "aababcda" { // the last of a, although it came fourth
			t.Errorf("turns were had in the order %q", order)
		}
		if turns.taken != 0 || len(turns.of) != 0 || len(turns.waiting) != 0 {
			t.Errorf("%d turns, %d parties and %d that wait are left", turns.taken, len(turns.of), len(turns.waiting))
		}
	})
}

// Parties come, wait, give up and leave in any order. No party has more than
// its width, all together have no more than the total, nobody waits while a
// turn is free for it, and nothing is left at the end.
func TestSharedTurnsAreNotLost(t *testing.T) {
	seed := rand.Uint64()
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 0))
		const width, most, parties = 3, 7, 6
		turns := NewSharedTurns[int](width, most)
		var mu sync.Mutex
		has, all, served, gone := [parties]int{}, 0, 0, 0
		for range 3000 {
			party, waits, works := r.IntN(parties)*r.IntN(2), time.Duration(r.IntN(100)), time.Duration(r.IntN(30))
			time.Sleep(time.Duration(r.IntN(5)))
			go func() {
				ctx, cancel := context.WithTimeoutCause(t.Context(), waits, errGone)
				defer cancel()
				leave, err := turns.Enter(ctx, party)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					if gone++; !errors.Is(err, errGone) {
						t.Errorf("seed %d: %v", seed, err)
					}
					return
				}
				has[party]++
				all++
				if served++; has[party] > width || all > most {
					t.Errorf("seed %d: %d of one party, %d of all", seed, has[party], all)
				}
				mu.Unlock()
				time.Sleep(works)
				mu.Lock()
				has[party]--
				all--
				leave()
			}()
			if r.IntN(50) == 0 {
				synctest.Wait()
				turns.mu.Lock()
				for party, q := range turns.of {
					if len(q.waiting) > 0 && q.taken < width && turns.taken < most {
						t.Errorf("seed %d: %d of party %v wait for nothing", seed, len(q.waiting), party)
					}
				}
				turns.mu.Unlock()
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if turns.taken != 0 || len(turns.of) != 0 || len(turns.waiting) != 0 {
			t.Errorf("seed %d: %d turns, %d parties and %d that wait are left", seed, turns.taken, len(turns.of), len(turns.waiting))
		}
		if served == 0 || gone == 0 {
			t.Errorf("seed %d: %d had turns and %d gave up", seed, served, gone)
		}
	})
}

var errGone = errors.New("gone")
