package fair

import (
	"math/rand/v2"
	"testing"
)

// greedy takes as much as possible for a party.
func greedy(p *Pool[string], party string) (n int) {
	for p.Take(party) {
		n++
	}
	return n
}

func TestPool(t *testing.T) {
	for _, c := range []struct {
		size, alone, second int // the share of a greedy party alone, and of another one after it
	}{
		{0, 1, 0}, {1, 1, 0}, {4, 3, 1}, {32, 24, 2}, {128, 96, 8},
	} {
		p := New[string](c.size)
		if n := greedy(p, "a"); n != c.alone {
			t.Errorf("of %d places one party takes %d, want %d", c.size, n, c.alone)
		}
		if n := greedy(p, "b"); n != c.second {
			t.Errorf("of %d places the second takes %d, want %d", c.size, n, c.second)
		}
		for range c.alone {
			p.Give("a")
		}
		for range c.second {
			p.Give("b")
		}
		if len(p.held) != 0 || p.taken != 0 {
			t.Errorf("of %d places %d are not given back, by %d", c.size, p.taken, len(p.held))
		}
		if n := greedy(p, "c"); n != c.alone {
			t.Errorf("after all were given back, of %d places one takes %d", c.size, n)
		}
	}
}

// A party that holds nothing gets a place, after any actions of three greedy
// parties.
func TestPoolLeavesRoom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	p := New[string](64)
	held := map[string]int{}
	for range 20_000 {
		party := string(rune('a' + r.IntN(3)))
		if r.IntN(3) > 0 {
			if p.Take(party) {
				held[party]++
			}
		} else if held[party] > 0 {
			p.Give(party)
			held[party]--
		}
		if !p.Take("new") {
			t.Fatalf("seed %d: no place for a new party beside %v", seed, held)
		}
		p.Give("new")
	}
}

func TestGiveWithoutTake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a place that was not taken was given back")
		}
	}()
	New[string](2).Give("a")
}

// A party that takes many at once leaves as much to others as one that takes
// them singly. A party that holds nothing gets what is free, even if it is more
// than a share.
func TestTakeMany(t *testing.T) {
	p := New[string](64 << 20)
	const unit = 5 << 20 // more than a share
	n := 0
	for p.TakeMany("a", unit) {
		n++
	}
	if n != 48/5 {
		t.Errorf("one party takes %d times 5 of 64, want %d", n, 48/5)
	}
	if !p.TakeMany("b", unit) || p.TakeMany("b", unit) {
		t.Error("another party has one document, and no second of the reserve")
	}
	if !p.TakeMany("c", 1<<20) || !p.TakeMany("c", 3<<20) || p.TakeMany("c", 1<<20) {
		t.Error("small ones go up to a share")
	}
	if p.TakeMany("d", 64<<20) {
		t.Error("took more than there is")
	}
	p.GiveMany("a", n*unit)
	p.GiveMany("b", unit)
	p.GiveMany("c", 4<<20)
	if len(p.held) != 0 || p.taken != 0 {
		t.Errorf("%d are not given back, by %d", p.taken, len(p.held))
	}
}
