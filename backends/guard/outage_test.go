package guard

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/internal/faults"
)

// flaky is a backend that can be away: refusing at once, or hanging until the
// call's context ends.
type flaky struct {
	backends.Backend
	away, hangs atomic.Bool
	calls       atomic.Int64
}

// newFlaky is away from the start, or not.
func newFlaky(away, hangs bool) *flaky {
	f := &flaky{Backend: mem.New()}
	f.away.Store(away)
	f.hangs.Store(hangs)
	return f
}

func (f *flaky) fault(ctx context.Context) error {
	f.calls.Add(1)
	switch {
	case !f.away.Load():
		return nil
	case f.hangs.Load():
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return backends.ErrUnavailable
}

func (f *flaky) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	return f.Backend.Put(ctx, id, r, size)
}

func (f *flaky) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if err := f.fault(ctx); err != nil {
		return nil, err
	}
	rc, err := f.Backend.Get(ctx, id, off, n)
	return &flakyReader{rc, f, ctx}, err
}

type flakyReader struct {
	io.ReadCloser
	f   *flaky
	ctx context.Context
}

func (r *flakyReader) Read(p []byte) (int, error) {
	if r.f.away.Load() {
		if err := r.f.fault(r.ctx); err != nil {
			return 0, err
		}
	}
	return r.ReadCloser.Read(p)
}

func (f *flaky) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if err := f.fault(ctx); err != nil {
		return backends.Info{}, err
	}
	return f.Backend.Stat(ctx, id)
}

func (f *flaky) Delete(ctx context.Context, ids ...backends.BlobID) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	return f.Backend.Delete(ctx, ids...)
}

func (f *flaky) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := f.fault(ctx); err != nil {
			yield(backends.Info{}, err)
			return
		}
		f.Backend.List(ctx, after)(yield)
	}
}

func (f *flaky) Check(ctx context.Context) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	return f.Backend.Check(ctx)
}

// kinds of calls that may be the one that probes.
var kinds = map[string]func(context.Context, *Guard, backends.BlobID) error{
	"stat": func(ctx context.Context, g *Guard, id backends.BlobID) error { _, err := g.Stat(ctx, id); return err },
	"delete": func(ctx context.Context, g *Guard, _ backends.BlobID) error {
		return g.Delete(ctx, backends.NewBlobID())
	},
	"check": func(ctx context.Context, g *Guard, _ backends.BlobID) error { return g.Check(ctx) },
	"put": func(ctx context.Context, g *Guard, _ backends.BlobID) error {
		return g.Put(ctx, backends.NewBlobID(), strings.NewReader("x"), 1)
	},
	"get": func(ctx context.Context, g *Guard, id backends.BlobID) error {
		rc, err := g.Get(ctx, id, 0, -1)
		if err == nil {
			defer rc.Close()
			_, err = io.ReadAll(rc)
		}
		return err
	},
	"list": func(ctx context.Context, g *Guard, _ backends.BlobID) (err error) {
		for _, err = range g.List(ctx, backends.BlobID{}) {
			if err != nil {
				return err
			}
		}
		return nil
	},
}

// Whatever is asked, however the backend was away and for how long: while it is,
// it is hardly asked, and RecoveryBound after it has healed every call succeeds,
// with nothing done but calls, one a second, that do not wait for one another.
func TestRecovery(t *testing.T) {
	for name, call := range kinds {
		for _, hangs := range []bool{false, true} {
			for _, outage := range []time.Duration{20 * time.Second, 61 * time.Second, 10 * time.Minute} {
				synctest.Test(t, func(t *testing.T) {
					f := newFlaky(false, hangs)
					g := New(f, Options{})
					id := mustPut(t, g, "body")
					before := f.calls.Load()
					f.away.Store(true)
					ask := func(during time.Duration) {
						for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(time.Second) {
							go call(t.Context(), g, id) // ends within the bubble
						}
					}
					ask(outage)
					asked := int(f.calls.Load() - before)
					if most := BreakerFailures*12 + int(outage/(CoolDownMax/2)) + int(outage/ProbeGap); asked > most {
						t.Errorf("%s, hanging %v: asked %d times in %v, want at most %d", name, hangs, asked, outage, most)
					}
					f.away.Store(false)
					ask(RecoveryBound)
					if err := call(t.Context(), g, id); err != nil || g.Stats().Breaker != Closed {
						t.Errorf("%s, hanging %v, away for %v: after %v the breaker is %v, %v", name, hangs, outage, RecoveryBound, g.Stats().Breaker, err)
					}
				})
			}
		}
	}
}

func TestBreakerOpensAndFailsFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(true, false)
		g := New(f, Options{})
		for g.Stats().Breaker == Closed {
			if err := g.Check(t.Context()); !errors.Is(err, backends.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if f.calls.Load() != BreakerFailures {
			t.Errorf("it opened after %d failures, want %d", f.calls.Load(), BreakerFailures)
		}
		began := time.Now()
		for range 100 {
			if _, err := g.Stat(t.Context(), backends.NewBlobID()); !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrThrottled) {
				t.Fatal(err)
			}
		}
		if s := g.Stats(); f.calls.Load() != BreakerFailures || time.Since(began) > 0 || s.Refused != 100 || s.Calls[Stat][Unavailable] != 100 {
			t.Errorf("open: %d calls, %v, %+v", f.calls.Load()-BreakerFailures, time.Since(began), s)
		}
		time.Sleep(CoolDownMin)
		f.hangs.Store(true) // the probe is out: nobody else is let through
		go g.Check(t.Context())
		synctest.Wait()
		if _, err := g.Stat(t.Context(), backends.NewBlobID()); err == nil || f.calls.Load() != BreakerFailures+1 || g.Stats().Breaker != HalfOpen {
			t.Errorf("beside a probe: %v, %d calls", err, f.calls.Load())
		}
		time.Sleep(DefaultTimeout)
		synctest.Wait()
		if g.Stats().Breaker != Open {
			t.Errorf("after a failed probe: %v", g.Stats().Breaker)
		}
	})
}

// Bodies that all break at once say that the backend is away before anybody asks
// for the rest.
func TestBodiesOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(false, false)
		g := New(f, Options{})
		id := mustPut(t, g, "body")
		before := f.calls.Load()
		var readers []io.ReadCloser
		for range BreakerFailures {
			rc, err := g.Get(t.Context(), id, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, rc)
		}
		f.away.Store(true)
		for _, rc := range readers {
			go func() {
				defer rc.Close()
				if _, err := io.ReadAll(rc); !errors.Is(err, backends.ErrUnavailable) {
					t.Errorf("a body from a backend that is away: %v", err)
				}
			}()
		}
		time.Sleep(time.Minute)
		asked := f.calls.Load() - before - 2*BreakerFailures // beyond the Gets and the Reads that broke
		if asked > 0 || g.Stats().Breaker != Open {
			t.Errorf("the breaker is %v, and the backend was asked %d more times", g.Stats().Breaker, asked)
		}
	})
}

// A probe that its caller calls off says nothing, and does not block the next.
func TestProbeCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(true, false)
		g := New(f, Options{})
		for g.Stats().Breaker == Closed {
			g.Check(t.Context())
		}
		time.Sleep(CoolDownMin)
		f.hangs.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if err := g.Check(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		f.away.Store(false)
		if err := g.Check(t.Context()); err != nil || g.Stats().Breaker != Closed {
			t.Errorf("%v, %v", err, g.Stats().Breaker)
		}
	})
}

// Answers of a backend that is there do not open the breaker, and neither does
// a caller that goes away.
func TestAnswersAreNoOutage(t *testing.T) {
	for _, cause := range []error{backends.ErrNotFound, backends.ErrExists, backends.ErrDenied, backends.ErrCorrupt, backends.ErrFull,
		backends.ErrReadOnly, backends.ErrSize, &backends.Throttled{After: time.Hour}, io.ErrUnexpectedEOF, faults.ErrInjected, context.Canceled} {
		g, _ := guarded(Options{}, faults.Rule{Op: faults.OpStat, Err: cause})
		for range 10 * BreakerFailures {
			if _, err := g.Stat(t.Context(), backends.NewBlobID()); !errors.Is(err, cause) {
				t.Fatal(err)
			}
		}
		if s := g.Stats().Breaker; s != Closed {
			t.Errorf("%v: %v", cause, s)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		g := New(newFlaky(true, true), Options{})
		for range 10 * BreakerFailures {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := g.Stat(ctx, backends.NewBlobID()); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, backends.ErrUnavailable) {
				t.Fatal(err)
			}
			cancel()
		}
		if s := g.Stats(); s.Breaker != Closed || s.Calls[Stat][Canceled] != 10*BreakerFailures {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestTimeouts(t *testing.T) {
	o := Options{Timeout: time.Second, DeleteTimeout: 2 * time.Second, StallTimeout: 4 * time.Second}
	for name, limit := range map[string]time.Duration{
		"stat": o.Timeout, "check": o.Timeout, "list": o.Timeout, "delete": o.DeleteTimeout, "get": o.Timeout, "put": o.StallTimeout,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlaky(true, true)
			g := New(f, o)
			began := time.Now()
			err := kinds[name](t.Context(), g, backends.NewBlobID())
			if !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || f.calls.Load() != 1 {
				t.Errorf("%s: %d attempts, %v", name, f.calls.Load(), err)
			}
			if took := time.Since(began); took != limit {
				t.Errorf("%s took %v, want %v", name, took, limit)
			}
		})
	}
}

// A call whose first attempt fails late is tried again, and takes twice the timeout at
// the most.
func TestCallIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(true, true)
		g := New(f, Options{})
		began := time.Now()
		err := g.retry(t.Context(), idempotent, func(ctx context.Context) error {
			if f.calls.Add(1) == 1 {
				time.Sleep(DefaultTimeout - RetryBase)
				return backends.ErrUnavailable
			}
			return g.within(ctx, g.opts.Timeout, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		})
		if took := time.Since(began); !errors.Is(err, backends.ErrUnavailable) || f.calls.Load() != 2 || took > 2*DefaultTimeout {
			t.Errorf("%d attempts in %v: %v", f.calls.Load(), took, err)
		}
	})
}

// A backend that answers nothing is left alone before the first call has run out of
// time, and is used again when it answers.
func TestSilenceOpensTheBreaker(t *testing.T) {
	for _, name := range []string{"stat", "check", "list", "get", "put"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlaky(true, true)
			g := New(f, Options{})
			for range BreakerFailures {
				go kinds[name](t.Context(), g, backends.NewBlobID())
			}
			time.Sleep(DefaultTimeout/2 - 1)
			synctest.Wait()
			if s := g.Stats(); s.Breaker != Closed || s.InFlight != BreakerFailures {
				t.Errorf("%s: before it is overdue: %+v", name, s)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if s := g.Stats(); s.Breaker != Open || s.InFlight != BreakerFailures {
				t.Errorf("%s: of a silent backend it is %v with %d calls under way", name, s.Breaker, s.InFlight)
			}
			began := time.Now()
			if err := kinds[name](t.Context(), g, backends.NewBlobID()); !errors.Is(err, backends.ErrUnavailable) || time.Since(began) != 0 {
				t.Errorf("%s: another call: %v after %v", name, err, time.Since(began))
			}
			f.away.Store(false)
			time.Sleep(RecoveryBound)
			if err := g.Check(t.Context()); err != nil || g.Stats().Breaker != Closed {
				t.Errorf("%s: it answers again: %v, %v", name, err, g.Stats().Breaker)
			}
			if n := g.silence.overdue.Load(); n != 0 {
				t.Errorf("%s: %d calls are overdue that have ended", name, n)
			}
		})
	}
}

// A backend that answers something, or takes what it is sent, is not silent, however many wait.
func TestSlowIsNotSilent(t *testing.T) {
	for name, c := range map[string]struct {
		others bool // somebody is answered now and then
		body   bool // uploads that crawl, and get on
	}{"others are answered": {true, false}, "uploads get on": {false, true}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlaky(false, false)
			g := New(f, Options{})
			waits := make(chan struct{})
			if c.body {
				g.b = crawling{f.Backend}
			}
			for range 3 * BreakerFailures {
				go func() {
					if c.body {
						g.Put(t.Context(), backends.NewBlobID(), io.LimitReader(zeros{}, 20), 20)
						return
					}
					g.within(t.Context(), time.Hour, func(context.Context) error { <-waits; return nil })
				}()
			}
			for range 20 {
				time.Sleep(DefaultTimeout / 4)
				if c.others {
					g.Stat(t.Context(), backends.NewBlobID())
				}
				synctest.Wait()
				if s := g.Stats().Breaker; s != Closed {
					t.Fatalf("%s: it is %v", name, s)
				}
			}
			close(waits)
			time.Sleep(time.Minute) // all end
		})
	}
}

// Long bodies that end at once are on their way for a while, which is no silence.
func TestUploadsThatEndAtOnceAreNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(settling{newFlaky(false, false).Backend}, Options{})
		ended := make(chan error)
		for range 3 * BreakerFailures {
			go func() { ended <- g.Put(t.Context(), backends.NewBlobID(), io.LimitReader(zeros{}, Pace), Pace) }()
		}
		time.Sleep(DefaultTimeout - 1)
		synctest.Wait()
		if s := g.Stats(); s.Breaker != Closed || s.InFlight != 3*BreakerFailures {
			t.Errorf("while they are on their way: %+v", s)
		}
		if _, err := g.Stat(t.Context(), backends.NewBlobID()); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("another call: %v", err)
		}
		for range 3 * BreakerFailures {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		for range BreakerFailures { // short ones are there at once
			go func() { ended <- g.Put(t.Context(), backends.NewBlobID(), io.LimitReader(zeros{}, 1<<10), 1<<10) }()
		}
		time.Sleep(DefaultTimeout/2 + time.Millisecond)
		synctest.Wait()
		if s := g.Stats(); s.Breaker != Open {
			t.Errorf("short ones that are not answered: %+v", s)
		}
		for range BreakerFailures {
			<-ended
		}
	})
}

// settling answers an upload a while after its body ended.
type settling struct{ backends.Backend }

func (s settling) Put(_ context.Context, _ backends.BlobID, r io.Reader, _ int64) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	time.Sleep(DefaultTimeout)
	return nil
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// crawling takes one byte of a body after another, with a pause between that is less
// than silence.
type crawling struct{ backends.Backend }

func (c crawling) Put(_ context.Context, _ backends.BlobID, r io.Reader, _ int64) error {
	for {
		if _, err := r.Read(make([]byte, 1)); err != nil {
			return nil
		}
		time.Sleep(DefaultTimeout / 3)
	}
}

func TestStalledBodyIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky(false, false)
		g := New(f, Options{})
		id := mustPut(t, g, "0123456789")
		rc, err := g.Get(t.Context(), id, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		if _, err := io.ReadFull(rc, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // a slow client is not a stalled backend
		f.away.Store(true)
		f.hangs.Store(true)
		began := time.Now()
		time.AfterFunc(DefaultStallTimeout/2, func() { f.away.Store(false) }) // too late for the Read under way
		rest, err := io.ReadAll(rc)
		if string(rest) != "456789" || err != nil || time.Since(began) < DefaultStallTimeout || g.Stats().Resumes != 1 {
			t.Errorf("%q, %v, after %v with %d resumes", rest, err, time.Since(began), g.Stats().Resumes)
		}
	})
}

// slow takes its time for each byte.
type slow struct {
	io.Reader
	pause time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.Reader.Read(p[:1])
}

// stuck reads a body to its end, or not at all, and then hangs.
type stuck struct {
	backends.Backend
	reads bool
}

func (s stuck) Put(ctx context.Context, _ backends.BlobID, r io.Reader, _ int64) error {
	if s.reads {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
	} else if _, err := r.Read(make([]byte, 1)); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestPutClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := slow{strings.NewReader("0123456789"), time.Hour}
		if err := New(mem.New(), Options{}).Put(t.Context(), backends.NewBlobID(), body, 10); err != nil {
			t.Errorf("a slow client was cut off: %v", err)
		}
	})
	for _, c := range []struct {
		reads bool
		limit time.Duration
	}{{true, 2 * DefaultTimeout}, {false, DefaultStallTimeout}} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := New(stuck{mem.New(), c.reads}, Options{}).Put(t.Context(), backends.NewBlobID(), strings.NewReader("0123456789"), 10)
			if !errors.Is(err, backends.ErrUnavailable) || time.Since(began) < c.limit || time.Since(began) > c.limit+time.Millisecond {
				t.Errorf("stuck, all read %v: after %v: %v", c.reads, time.Since(began), err)
			}
		})
	}
}
