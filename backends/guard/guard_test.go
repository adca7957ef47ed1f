package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/internal/faults"
)

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend { return New(mem.New(), Options{}) })
}

// The contract holds over a backend that fails now and then, never twice in a
// row, in all that the Guard makes up for.
func TestContractOverFaults(t *testing.T) {
	const spacing, each = 97, 4
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		plan := faults.NewPlan(1)
		for k := range each {
			for _, op := range []faults.Op{faults.OpGet, faults.OpRead, faults.OpStat, faults.OpDelete, faults.OpList, faults.OpNext} {
				plan.Add(faults.Rule{Op: op, N: 1 + k*spacing, Err: backends.ErrUnavailable})
			}
		}
		return New(faults.Backend(mem.New(), plan), Options{})
	})
}

// guarded is a Guard over mem over a plan.
func guarded(o Options, rules ...faults.Rule) (*Guard, *faults.Plan) {
	plan := faults.NewPlan(1, rules...)
	return New(faults.Backend(mem.New(), plan), o), plan
}

func mustPut(t *testing.T, b backends.Backend, data string) backends.BlobID {
	t.Helper()
	id := backends.NewBlobID()
	if err := b.Put(t.Context(), id, strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	return id
}

// nth are rules that fail the given calls of op.
func nth(op faults.Op, err error, calls ...int) (rules []faults.Rule) {
	for _, n := range calls {
		rules = append(rules, faults.Rule{Op: op, N: n, Err: err})
	}
	return rules
}

func TestRetries(t *testing.T) {
	stat := func(ctx context.Context, g *Guard, id backends.BlobID) error { _, err := g.Stat(ctx, id); return err }
	get := func(ctx context.Context, g *Guard, id backends.BlobID) error {
		rc, err := g.Get(ctx, id, 0, -1)
		if err == nil {
			err = rc.Close()
		}
		return err
	}
	del := func(ctx context.Context, g *Guard, id backends.BlobID) error { return g.Delete(ctx, id) }
	check := func(ctx context.Context, g *Guard, _ backends.BlobID) error { return g.Check(ctx) }
	put := func(ctx context.Context, g *Guard, _ backends.BlobID) error {
		return g.Put(ctx, backends.NewBlobID(), strings.NewReader("x"), 1)
	}
	for _, c := range []struct {
		op    faults.Op
		call  func(context.Context, *Guard, backends.BlobID) error
		when  faults.When
		err   error
		fails int // calls that fail
		calls int // calls that are made
	}{
		{faults.OpStat, stat, faults.Before, backends.ErrUnavailable, 3, 4},
		{faults.OpStat, stat, faults.Before, backends.ErrThrottled, 3, 4},
		{faults.OpStat, stat, faults.After, backends.ErrUnavailable, 3, 4},
		{faults.OpStat, stat, faults.Before, backends.ErrUnavailable, 9, 4},
		{faults.OpGet, get, faults.After, backends.ErrUnavailable, 3, 4},
		{faults.OpDelete, del, faults.After, backends.ErrUnavailable, 3, 4},
		{faults.OpCheck, check, faults.Before, backends.ErrUnavailable, 1, 1},
		{faults.OpPut, put, faults.Before, backends.ErrUnavailable, 3, 4}, // the body is untouched
		{faults.OpPut, put, faults.After, backends.ErrUnavailable, 1, 1},
		{faults.OpStat, stat, faults.Before, backends.ErrNotFound, 1, 1},
		{faults.OpStat, stat, faults.Before, backends.ErrDenied, 1, 1},
		{faults.OpGet, get, faults.Before, backends.ErrCorrupt, 1, 1},
		{faults.OpDelete, del, faults.Before, backends.ErrReadOnly, 1, 1},
		{faults.OpStat, stat, faults.Before, io.ErrUnexpectedEOF, 1, 1},
		{faults.OpStat, stat, faults.Before, faults.ErrInjected, 1, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			g, plan := guarded(Options{})
			id := mustPut(t, g, "body")
			before := plan.Calls(c.op)
			for n := range c.fails {
				plan.Add(faults.Rule{Op: c.op, When: c.when, N: n + 1, Err: c.err})
			}
			err := c.call(t.Context(), g, id)
			if wantErr := c.fails >= c.calls; (err != nil) != wantErr || wantErr && !errors.Is(err, c.err) {
				t.Errorf("%s %s %v %d times: %v", c.op, c.when, c.err, c.fails, err)
			}
			if n := plan.Calls(c.op) - before; n != c.calls {
				t.Errorf("%s %s %v %d times: %d calls, want %d", c.op, c.when, c.err, c.fails, n, c.calls)
			}
			if s := g.Stats(); s.Retries != uint64(c.calls-1) || s.InFlight != 0 {
				t.Errorf("%s %s: %d retries counted, %d in flight", c.op, c.when, s.Retries, s.InFlight)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		after   time.Duration
		retried bool
	}{{2 * time.Second, true}, {MaxPatience, true}, {MaxPatience + 1, false}, {time.Hour, false}} {
		synctest.Test(t, func(t *testing.T) {
			g, _ := guarded(Options{}, nth(faults.OpStat, &backends.Throttled{After: c.after}, 1)...)
			id := mustPut(t, g, "body")
			began := time.Now()
			_, err := g.Stat(t.Context(), id)
			took := time.Since(began)
			if c.retried && (err != nil || took < c.after || took > c.after+RetryBase) {
				t.Errorf("asked to wait %v: took %v, %v", c.after, took, err)
			}
			var th *backends.Throttled
			if !c.retried && (took > 0 || !errors.As(err, &th) || th.After != c.after) {
				t.Errorf("asked to wait %v: took %v, %v", c.after, took, err)
			}
		})
	}
}

// However long an outage lasts, retries add a fifth and the savings.
func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1000
		g, plan := guarded(Options{}, faults.Rule{Op: faults.OpStat, Err: backends.ErrThrottled})
		for range calls {
			if _, err := g.Stat(t.Context(), backends.NewBlobID()); !errors.Is(err, backends.ErrThrottled) {
				t.Fatal(err)
			}
		}
		made := plan.Calls(faults.OpStat)
		if most := int(calls*(1+BudgetRatio)) + BudgetBurst; made > most || made < most-MaxAttempts {
			t.Errorf("%d attempts for %d calls, want close to %d", made, calls, most)
		}
		if s := g.Stats(); s.Calls[Stat][Throttled] != calls || int(s.Retries) != made-calls || s.Breaker != Closed {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestCallerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := guarded(Options{}, faults.Rule{Op: faults.OpStat, Err: &backends.Throttled{After: MaxPatience}})
		why := errors.New("the client hung up")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		began := time.Now()
		_, err := g.Stat(ctx, backends.NewBlobID())
		if !errors.Is(err, why) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// Wherever a body breaks off, and with whatever error, the bytes are right.
func TestBodiesAreResumed(t *testing.T) {
	data := strings.Repeat("0123456789", 10)
	for _, cause := range []error{backends.ErrUnavailable, backends.ErrThrottled, io.ErrUnexpectedEOF, syscall.ECONNRESET} {
		for _, r := range [][2]int64{{0, -1}, {0, 100}, {7, 50}, {99, 1}, {99, -1}} {
			for first := 1; first <= 12; first++ { // the Read that fails, and some after it
				synctest.Test(t, func(t *testing.T) {
					g, plan := guarded(Options{})
					id := mustPut(t, g, data)
					for n := range MaxResumes {
						plan.Add(faults.Rule{Op: faults.OpRead, N: first + 2*n, Err: cause})
					}
					want := data[r[0]:]
					if r[1] >= 0 {
						want = want[:r[1]]
					}
					rc, err := g.Get(t.Context(), id, r[0], r[1])
					if err != nil {
						t.Fatal(err)
					}
					got, err := readTens(rc)
					if string(got) != want || err != nil || rc.Close() != nil {
						t.Errorf("%v at read %d of %v: %q, %v", cause, first, r, got, err)
					}
					if s := g.Stats(); s.Calls[Read][OK] != 1 || s.InFlight != 0 {
						t.Errorf("stats: %+v", s)
					}
				})
			}
		}
	}
}

// breaking is a backend whose readers break off after so many bytes.
type breaking struct {
	backends.Backend
	after int64
}

func (b breaking) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	rc, err := b.Backend.Get(ctx, id, off, n)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(rc, b.after), unavailable{}), rc}, nil
}

type unavailable struct{}

func (unavailable) Read([]byte) (int, error) { return 0, backends.ErrUnavailable }

// A large body is read to its end however often the connection breaks, as long as
// it gets on in between. One that hardly does is given up.
func TestLargeBodiesGetOn(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 30*Headway/16)
	for after, whole := range map[int64]bool{Headway: true, Headway + 5: true, Headway / 2: false} {
		synctest.Test(t, func(t *testing.T) {
			g := New(breaking{mem.New(), after}, Options{})
			id := backends.NewBlobID()
			if err := g.Put(t.Context(), id, bytes.NewReader(data), int64(len(data))); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				rc, err := g.Get(t.Context(), id, 0, int64(len(data)))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(rc)
				rc.Close()
				if whole != (err == nil && bytes.Equal(got, data)) {
					t.Errorf("breaks after %d bytes: %d bytes of %d, %v", after, len(got), len(data), err)
				}
			}
		})
	}
}

// readTens reads ten bytes at a time.
func readTens(r io.Reader) (all []byte, err error) {
	buf := make([]byte, 10)
	for {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func TestBodiesAreGivenUp(t *testing.T) {
	for _, c := range []struct {
		err  error
		asks int // Gets in all
	}{{backends.ErrUnavailable, 1 + MaxResumes}, {backends.ErrCorrupt, 1}, {faults.ErrInjected, 1}} {
		synctest.Test(t, func(t *testing.T) {
			g, plan := guarded(Options{}, faults.Rule{Op: faults.OpRead, Err: c.err})
			id := mustPut(t, g, "body")
			rc, err := g.Get(t.Context(), id, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer rc.Close()
			for range 2 { // the error stays
				if n, err := rc.Read(make([]byte, 9)); n > 0 || !errors.Is(err, c.err) {
					t.Errorf("%d bytes, %v", n, err)
				}
			}
			if n := plan.Calls(faults.OpGet); n != c.asks {
				t.Errorf("%v: %d Gets, want %d", c.err, n, c.asks)
			}
			if s := g.Stats(); s.Calls[Read][resultOf(c.err)] != 1 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// late is a backend whose readers find out at the end that a blob is short.
type late struct {
	backends.Backend
	gets int
}

func (l *late) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	l.gets++
	rc, err := l.Backend.Get(ctx, id, off, -1)
	if err != nil || n < 0 {
		return rc, err
	}
	return backends.Exactly(rc, n), nil
}

func TestShortBlob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &late{Backend: mem.New()}
		g := New(l, Options{})
		id := mustPut(t, g, "0123456789")
		rc, err := g.Get(t.Context(), id, 3, 100)
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		if got, err := io.ReadAll(rc); string(got) != "3456789" || !errors.Is(err, io.ErrUnexpectedEOF) || l.gets != 2 {
			t.Errorf("%q, %v, with %d Gets", got, err, l.gets)
		}
	})
}

func TestListGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, plan := guarded(Options{})
		var want []backends.BlobID
		for range 40 {
			want = append(want, mustPut(t, g, "x"))
		}
		slices.SortFunc(want, backends.BlobID.Compare)
		for _, n := range []int{1, 2, 3, 10, 11, 15, 20, 25, 30, 35, 40, 45} { // never MaxAttempts at one place, and more than BreakerFailures
			plan.Add(faults.Rule{Op: faults.OpNext, N: n, Err: backends.ErrUnavailable})
		}
		plan.Add(faults.Rule{Op: faults.OpList, When: faults.After, N: 1, Err: backends.ErrThrottled})
		var got []backends.BlobID
		for info, err := range g.List(t.Context(), backends.BlobID{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, info.ID)
			time.Sleep(time.Hour) // the caller's time is its own
		}
		if !slices.Equal(got, want) || g.Stats().Breaker != Closed {
			t.Errorf("%d blobs, want %d; the breaker is %v", len(got), len(want), g.Stats().Breaker)
		}
		plan.Add(faults.Rule{Op: faults.OpNext, Err: backends.ErrUnavailable})
		var last error
		for _, last = range g.List(t.Context(), backends.BlobID{}) {
		}
		if !errors.Is(last, backends.ErrUnavailable) {
			t.Errorf("a listing without end: %v", last)
		}
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := guarded(Options{MaxConcurrent: 2})
		id := mustPut(t, g, "body")
		var open []io.ReadCloser
		for range 2 {
			rc, err := g.Get(t.Context(), id, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, rc)
		}
		began := time.Now()
		if _, err := g.Stat(t.Context(), id); !errors.Is(err, backends.ErrThrottled) || time.Since(began) != DefaultQueueTimeout {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		time.AfterFunc(time.Second, func() { open[0].Close(); open[0].Close() })
		began = time.Now()
		if _, err := g.Stat(t.Context(), id); err != nil || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		open[1].Close()
		if s := g.Stats(); s.InFlight != 0 || s.Calls[Stat] != [NumResults]uint64{OK: 1, Throttled: 1} {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestPutPassesEveryByte(t *testing.T) {
	g, _ := guarded(Options{})
	data := bytes.Repeat([]byte("0123456789"), 1000)
	id := backends.NewBlobID()
	if err := g.Put(t.Context(), id, iotest.HalfReader(bytes.NewReader(data)), -1); err != nil {
		t.Fatal(err)
	}
	rc, err := g.Get(t.Context(), id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if got, err := io.ReadAll(rc); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestNamesForMetrics(t *testing.T) {
	seen := make(map[string]bool)
	for op := range NumOps {
		seen["op "+Op(op).String()] = true
	}
	for r := range NumResults {
		seen["result "+Result(r).String()] = true
	}
	for _, s := range []State{Closed, Open, HalfOpen} {
		seen["state "+fmt.Sprint(s)] = true
	}
	if len(seen) != NumOps+NumResults+3 {
		t.Errorf("names repeat: %v", seen)
	}
}
