package workers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/reseal"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/rotate"
)

// script is a Steps that answers from a list, and then with zero values.
type script struct {
	mu       sync.Mutex
	collects []func() (blobs.CollectReport, error)
	at       []time.Duration // when Collect was called, since the start
	beats    int
	moves    int
	folds    int // calls of FoldUsage, of which the first unfolded leave more to do
	unfolded int
	checked  map[string]int // calls of CheckBackend
	// expires are answers of lifecycles, and expiredAt the times of the calls.
	expires   []lifecycle.Report
	expireErr error // of each of these
	expiredAt []time.Duration
	start     time.Time
}

func (s *script) Collect(context.Context) (blobs.CollectReport, error) {
	s.mu.Lock()
	f := func() (blobs.CollectReport, error) { return blobs.CollectReport{}, nil }
	s.at = append(s.at, time.Since(s.start))
	if len(s.collects) > 0 {
		f, s.collects = s.collects[0], s.collects[1:]
	}
	s.mu.Unlock()
	return f()
}

func (s *script) Move(context.Context) (blobs.MoveReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves++
	return blobs.MoveReport{}, nil
}

// lifecycles are the steps of a script.
type lifecycles struct{ *script }

func (s lifecycles) Step(context.Context) (lifecycle.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expiredAt = append(s.expiredAt, time.Since(s.start))
	if len(s.expires) == 0 {
		return lifecycle.Report{}, nil
	}
	r := s.expires[0]
	s.expires = s.expires[1:]
	return r, s.expireErr
}

// resealing is that of a store that is sealed whole.
type resealing struct{}

func (resealing) Step(context.Context) (reseal.Report, error) { return reseal.Report{}, nil }

// inventories has no due list.
type inventories struct{}

func (inventories) Step(context.Context) (inventory.Report, error) { return inventory.Report{}, nil }

func (s *script) BackendNames() []string { return []string{"far", "near"} }

func (s *script) CheckBackend(ctx context.Context, name string) error {
	s.mu.Lock()
	if s.checked == nil {
		s.checked = make(map[string]int)
	}
	s.checked[name]++
	s.mu.Unlock()
	if name == "far" { // it is frozen
		<-ctx.Done()
	}
	return errors.New("away")
}

func (s *script) Beat(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats++
	return nil
}

func (s *script) FoldUsage(context.Context) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folds++
	return s.folds <= s.unfolded, nil
}

// tally counts the calls of an Observer.
type tally struct {
	mu                            sync.Mutex
	steps, failed, panics, passes int
	expired                       int
}

func (c *tally) Step(worker string, _ time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if worker != Collector {
		return
	}
	c.steps++
	if err != nil {
		c.failed++
	}
}
func (c *tally) Panic(string)               { c.mu.Lock(); c.panics++; c.mu.Unlock() }
func (c *tally) Expired(r lifecycle.Report) { c.mu.Lock(); c.expired += r.Expired; c.mu.Unlock() }
func (c *tally) Logged(int, int)            {}
func (c *tally) Listed(inventory.Report)    {}
func (c *tally) Resealed(reseal.Report)     {}
func (c *tally) Rewrapped(rewrap.Report)    {}
func (c *tally) Renewed(rotate.Report)      {}
func (c *tally) Collected(blobs.CollectReport) {
	c.mu.Lock()
	c.passes++
	c.mu.Unlock()
}

// runFor runs workers in a bubble of simulated time.
func runFor(t *testing.T, d time.Duration, s *script) *tally {
	t.Helper()
	counted := &tally{}
	s.start = time.Now()
	w := Start(t.Context(), Config{Engine: s, Blobs: s, Resealing: resealing{}, Lifecycles: lifecycles{s},
		Inventories: inventories{}, CollectInterval: time.Minute, Observe: counted})
	time.Sleep(d)
	w.Stop()
	return counted
}

func TestPaceAndBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		c := runFor(t, time.Hour, s)
		if n := len(s.at); n < 54 || n > 68 {
			t.Errorf("%d passes in an hour at one a minute", n)
		}
		if s.beats < 650 || s.beats > 801 {
			t.Errorf("%d beats in an hour at one in five seconds", s.beats)
		}
		if s.moves < 210 || s.moves > 270 {
			t.Errorf("%d looks for a backend to drain in an hour at one in 15 seconds", s.moves)
		}
		if far, near := s.checked["far"], s.checked["near"]; far != 1 || near < 320 || near > 400 {
			t.Errorf("a frozen backend was asked %d times, and another %d times in an hour at one in ten seconds", far, near)
		}
		if c.failed != 0 || c.passes != len(s.at) {
			t.Errorf("observed %d passes, %d failures; want %d, 0", c.passes, c.failed, len(s.at))
		}
		even := true
		for i := 2; i < len(s.at); i++ {
			even = even && s.at[i]-s.at[i-1] == s.at[1]-s.at[0]
		}
		if even {
			t.Error("the pauses have no jitter")
		}
	})
}

func TestBacklogIsWorkedOffAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := func() (blobs.CollectReport, error) { return blobs.CollectReport{Deleted: 1, More: true}, nil }
		s := &script{collects: []func() (blobs.CollectReport, error){more, more, more, more}}
		runFor(t, 10*time.Second, s)
		if len(s.at) != 5 {
			t.Errorf("%d passes within 10 s, want 4 with a backlog and one without", len(s.at))
		}
	})
}

// Usage is added up while a pass of the collector lasts, as slow deletions make it.
func TestUsageIsFoldedBesideASlowCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{unfolded: 100}
		s.collects = append(s.collects, func() (blobs.CollectReport, error) {
			time.Sleep(time.Hour)
			return blobs.CollectReport{}, nil
		})
		runFor(t, time.Minute, s)
		if s.folds < 101 {
			t.Errorf("%d steps in a minute, want 100 with a backlog and some without", s.folds)
		}
	})
}

func TestFailureIsNotABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := func() (blobs.CollectReport, error) {
			return blobs.CollectReport{Deleted: 1}, blobs.ErrStoreRolledBack
		}
		s := &script{collects: []func() (blobs.CollectReport, error){refused, refused, refused}}
		c := runFor(t, 10*time.Second, s)
		if len(s.at) != 1 {
			t.Errorf("%d passes within 10 s of a refusal, want 1", len(s.at))
		}
		if c.passes != 1 || c.failed != 1 {
			t.Errorf("observed %d passes, %d failures; want the pass and its error", c.passes, c.failed)
		}
	})
}

// An unavailable backend, or a blob that cannot be deleted, does not delay the
// rest of a backlog.
func TestBacklogBesideAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := func() (blobs.CollectReport, error) {
			return blobs.CollectReport{Deleted: 1, More: true}, errors.New("a backend is away")
		}
		s := &script{collects: []func() (blobs.CollectReport, error){more, more, more, more}}
		var lines bytes.Buffer
		s.start = time.Now()
		w := Start(t.Context(), Config{Engine: s, Blobs: s, Resealing: resealing{}, CollectInterval: time.Minute, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		time.Sleep(10 * time.Second)
		w.Stop()
		if len(s.at) != 5 {
			t.Errorf("%d passes within 10 s, want 4 with a backlog and one without", len(s.at))
		}
		if n := strings.Count(lines.String(), "a backend is away"); n != 1 {
			t.Errorf("%d lines of the log, want 1", n)
		}
	})
}

func TestFailuresBackOffAndRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func() (blobs.CollectReport, error) { return blobs.CollectReport{}, errors.New("disk on fire") }
		s := &script{}
		for range 5 {
			s.collects = append(s.collects, fail)
		}
		c := runFor(t, time.Hour, s)
		if c.failed != 5 {
			t.Fatalf("observed %d failures, want 5", c.failed)
		}
		if first, fifth := s.at[1]-s.at[0], s.at[5]-s.at[4]; fifth < 3*first {
			t.Errorf("pause after one failure %s, after five %s: does not grow", first, fifth)
		}
		if last := s.at[len(s.at)-1] - s.at[len(s.at)-2]; last > 2*time.Minute {
			t.Errorf("pause %s long after the last failure", last)
		}
	})
}

func TestPanicIsCountedAndSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{collects: []func() (blobs.CollectReport, error){func() (blobs.CollectReport, error) { panic("a defect") }}}
		c := runFor(t, 10*time.Minute, s)
		if c.panics != 1 || c.failed != 1 {
			t.Errorf("observed %d panics, %d failures; want 1, 1", c.panics, c.failed)
		}
		if c.passes == 0 {
			t.Error("the worker did not go on after the panic")
		}
	})
}

func TestStopInterruptsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &blocking{entered: make(chan struct{})}
		counted := &tally{}
		w := Start(t.Context(), Config{Engine: s, Blobs: s, Resealing: resealing{}, Observe: counted})
		<-s.entered
		w.Stop()
		if !s.left {
			t.Error("Stop returned while a step was under way")
		}
		if counted.failed != 0 {
			t.Error("an interrupted step counts as failed")
		}
		w.Stop()
	})
}

// blocking is a Steps whose Collect lasts until it is interrupted.
type blocking struct {
	entered chan struct{}
	left    bool
}

func (b *blocking) BackendNames() []string { return nil }

func (b *blocking) CheckBackend(context.Context, string) error { return nil }

func (b *blocking) Collect(ctx context.Context) (blobs.CollectReport, error) {
	close(b.entered)
	<-ctx.Done()
	time.Sleep(time.Second)
	b.left = true
	return blobs.CollectReport{}, ctx.Err()
}
func (b *blocking) FoldUsage(context.Context) (bool, error)        { return false, nil }
func (b *blocking) Move(context.Context) (blobs.MoveReport, error) { return blobs.MoveReport{}, nil }
func (b *blocking) Beat(context.Context) error                     { return nil }

// A failed step of one tenant's turn does not delay other tenants' turns.
func TestLifecycleGoesOnBesideFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{expireErr: errors.New("a bucket's rules cannot be read")}
		for range 10 {
			s.expires = append(s.expires, lifecycle.Report{More: true})
		}
		runFor(t, time.Minute, s)
		if n := len(s.expiredAt); n != 11 {
			t.Errorf("%d steps in a minute, want 11", n)
		}
	})
}

// Lifecycles keep their rate of rows per second, and a removal counts as twenty
// rows.
func TestLifecycleRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		for range 10 {
			s.expires = append(s.expires, lifecycle.Report{Rows: 1000, Expired: 200, More: true})
		}
		c := runFor(t, 4*time.Minute, s)
		// 10 steps of 5,000 rows at 2,500 a second, and one that found nothing more.
		if n, last := len(s.expiredAt), s.expiredAt[len(s.expiredAt)-1]; n != 11 || last < 18*time.Second || last > 22*time.Second {
			t.Errorf("%d steps, the last after %v", n, last)
		}
		if c.expired != 2000 {
			t.Errorf("the observer saw %d", c.expired)
		}
	})
}

// Logs that cannot be written do not delay the deliveries of others' logs.
func TestLogsGoOnBesideFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, calls := &script{}, 0
		w := Start(t.Context(), Config{Engine: s, Blobs: s, DeliverLogs: func(context.Context) (int, int, error) {
			calls++
			return 0, 0, errors.New("the target's policy denies it")
		}})
		time.Sleep(time.Hour)
		w.Stop()
		if calls < 320 || calls > 400 {
			t.Errorf("%d deliveries in an hour at one in ten seconds", calls)
		}
	})
}
