package faults

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/backends/mem"
)

func TestWrappersAddNothing(t *testing.T) {
	t.Run("Backend", func(t *testing.T) {
		backendtest.Run(t, func(*testing.T) backends.Backend { return Backend(mem.New(), NewPlan(1)) })
	})
	t.Run("Evil", func(t *testing.T) {
		backendtest.Run(t, func(*testing.T) backends.Backend { return NewEvil(mem.New(), 1) })
	})
}

// pattern runs n calls, each with Before and After, and notes how they end.
func pattern(p *Plan, op Op, n int) string {
	var out []byte
	for range n {
		switch {
		case p.Before(op) != nil:
			out = append(out, 'b')
		case p.After(op) != nil:
			out = append(out, 'a')
		default:
			out = append(out, '.')
		}
	}
	return string(out)
}

func TestPlan(t *testing.T) {
	for _, tc := range []struct {
		rules []Rule
		want  string
		fired int
	}{
		{nil, ".....", 0},
		{[]Rule{{Op: "Put", N: 1}}, "b....", 1},
		{[]Rule{{Op: "Put", N: 3}}, "..b..", 1},
		{[]Rule{{Op: "Put", N: 3, When: After}}, "..a..", 1},
		{[]Rule{{Op: "Put"}}, "bbbbb", 5},
		{[]Rule{{Op: "Get"}}, ".....", 0},
		{[]Rule{{N: 2}, {Op: Any, N: 4}}, ".b.b.", 2},
		{[]Rule{{Op: "Put", N: 1}, {Op: "Put", N: 1, When: After}}, "ba...", 2},
		{[]Rule{{Op: "Put", Hook: func() {}}}, ".....", 5},
		{[]Rule{{Op: "Put", N: 2, Hook: func() {}, Err: io.EOF}}, ".b...", 1},
	} {
		p := NewPlan(1, tc.rules...)
		if got := pattern(p, "Put", 5); got != tc.want || p.Fired() != tc.fired || p.Calls("Put") != 5 || p.Calls(Any) != 5 {
			t.Errorf("%v: %s, fired %d; want %s, %d", tc.rules, got, p.Fired(), tc.want, tc.fired)
		}
		p.Clear()
		if got := pattern(p, "Put", 3); got != "..." {
			t.Errorf("%v after Clear: %s", tc.rules, got)
		}
	}
}

func TestNilPlanLetsAllPass(t *testing.T) {
	var p *Plan
	if got := pattern(p, "Put", 3); got != "..." || p.Fired() != 0 || p.Calls(Any) != 0 {
		t.Errorf("%s, fired %d, calls %d", got, p.Fired(), p.Calls(Any))
	}
}

func TestPlanErrors(t *testing.T) {
	if err := NewPlan(1, Rule{}).Before("Put"); !errors.Is(err, ErrInjected) {
		t.Errorf("default error: %v", err)
	}
	if err := NewPlan(1, Rule{Err: io.EOF, When: After}).After("Put"); !errors.Is(err, io.EOF) {
		t.Errorf("chosen error: %v", err)
	}
}

func TestChanceFollowsTheSeed(t *testing.T) {
	run := func(seed uint64) string { return pattern(NewPlan(seed, Rule{Op: "Put", Chance: 0.3}), "Put", 200) }
	first := run(7)
	if first != run(7) {
		t.Error("one seed gave two histories")
	}
	if first == run(8) {
		t.Error("two seeds gave one history")
	}
	if n := bytes.Count([]byte(first), []byte("b")); n < 30 || n > 90 {
		t.Errorf("%d of 200 calls failed, want about 60", n)
	}
}

func TestSweepMeetsEveryCall(t *testing.T) {
	var got []string
	met, err := Sweep(1, "Put", nil, func(_ Rule, p *Plan) { got = append(got, pattern(p, "Put", 2)) })
	if want := []string{"b.", ".b", "..", "a.", ".a", ".."}; err != nil || met != 4 || !slices.Equal(got, want) {
		t.Errorf("met %d, %v: %v, want %v", met, err, got, want)
	}
	_, err = Sweep(1, "Put", nil, func(_ Rule, p *Plan) {
		for p.Fired() == 0 {
			pattern(p, "Put", 1)
		}
	})
	if err == nil {
		t.Error("a sweep without end was not noticed")
	}
}

func TestBackendBeforeAndAfter(t *testing.T) {
	for _, when := range []When{Before, After} {
		inner := mem.New()
		b := Backend(inner, NewPlan(1, Rule{Op: OpPut, N: 1, When: when}, Rule{Op: OpDelete, N: 1, When: when}))
		id := backends.NewBlobID()
		if err := b.Put(t.Context(), id, bytes.NewReader([]byte("x")), 1); !errors.Is(err, ErrInjected) {
			t.Fatalf("Put: %v", err)
		}
		if _, err := inner.Stat(t.Context(), id); (err == nil) != (when == After) {
			t.Errorf("%v: the Put had the wrong effect: %v", when, err)
		}
		if when == Before {
			inner.Put(t.Context(), id, bytes.NewReader([]byte("x")), 1)
		}
		if err := b.Delete(t.Context(), id); !errors.Is(err, ErrInjected) {
			t.Fatalf("Delete: %v", err)
		}
		if _, err := inner.Stat(t.Context(), id); (err == nil) != (when == Before) {
			t.Errorf("%v: the Delete had the wrong effect: %v", when, err)
		}
	}
}

func TestEveryBackendCallCanFail(t *testing.T) {
	for _, op := range []Op{OpPut, OpGet, OpRead, OpStat, OpDelete, OpList, OpNext, OpCheck} {
		plan := NewPlan(1)
		b := Backend(mem.New(), plan)
		id := backends.NewBlobID()
		if err := b.Put(t.Context(), id, bytes.NewReader([]byte("x")), 1); err != nil {
			t.Fatal(err)
		}
		plan.Add(Rule{Op: op})
		failed := []Op{}
		note := func(at Op, err error) {
			if errors.Is(err, ErrInjected) {
				failed = append(failed, at)
			}
		}
		note(OpPut, b.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(nil), 0))
		if rc, err := b.Get(t.Context(), id, 0, -1); err != nil {
			note(OpGet, err)
		} else {
			_, err = io.ReadAll(rc)
			note(OpRead, err)
			rc.Close()
		}
		_, err := b.Stat(t.Context(), id)
		note(OpStat, err)
		for _, err := range b.List(t.Context(), backends.BlobID{}) {
			note(op, err)
		}
		note(OpCheck, b.Check(t.Context()))
		note(OpDelete, b.Delete(t.Context(), id))
		if !slices.Equal(failed, []Op{op}) {
			t.Errorf("a rule for %s failed %v", op, failed)
		}
	}
}

// TestHookInterleaves holds one Put at its end while another call passes.
func TestHookInterleaves(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	b := Backend(mem.New(), NewPlan(1, Rule{Op: OpPut, N: 1, When: After, Hook: func() { close(reached); <-release }}))
	id, done := backends.NewBlobID(), make(chan error)
	go func() { done <- b.Put(t.Context(), id, bytes.NewReader([]byte("x")), 1) }()
	<-reached
	if _, err := b.Stat(t.Context(), id); err != nil {
		t.Errorf("Stat while Put is held after its effect: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the held Put: %v", err)
	}
}
