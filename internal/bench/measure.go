//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// warmup is how much of a turn each lane runs before anything counts.
const warmup = 4

// row is one line of the report: the same work done in several lanes, by turns.
type row struct {
	name    string
	unit    unit
	clients int
	size    int64         // bytes of payload in a request; 0: none
	most    int64         // requests of a turn at most; 0: no limit
	rounds  int           // 0: as the flags say
	turn    time.Duration // 0: as the flags say
	split   int           // turns that a round is divided into; 0: one
	writes  bool          // leaves something for the disk to do
}

// request is one request of any client, the nth of its lane; the number of
// another row or of the warm-up may be the same or below 0.
type request func(ctx context.Context, n int64) error

// lane does a row's work in one place.
type lane struct {
	name    string
	process *servers.Process // nil: nobody's processor time and memory count
	do      request
	// turn does a whole turn in place of do, where another program has the
	// clients. It returns how many requests there were, and how many a second.
	turn func(ctx context.Context, d time.Duration) (n int64, rate float64, err error)
	// ready is done before a turn, and beside during it, until its context ends;
	// neither is measured. May be nil.
	ready  func(ctx context.Context) error
	beside func(ctx context.Context) error
	// tidy undoes what a turn wrote. May be nil.
	tidy func(ctx context.Context) error
}

// result is what was measured of one row.
type result struct {
	Group   string
	Pair    [2]string // names of the lanes that are compared
	Row     string
	Unit    unit
	Clients int
	Size    int64 `json:",omitempty"`
	Lanes   []laneResult
}

type laneResult struct {
	Lane     string
	Rates    []float64 // requests a second, of each round
	Rate     float64   // their median
	Latency  float64   `json:",omitempty"` // the median of all requests, in milliseconds
	Requests int64
	CPU      float64 `json:",omitempty"` // the server's seconds during its turns
	Peak     int64   `json:",omitempty"` // the server's resident bytes at most

	next      atomic.Int64
	latencies []time.Duration
}

func (r result) lane(name string) *laneResult {
	for i := range r.Lanes {
		if r.Lanes[i].Lane == name {
			return &r.Lanes[i]
		}
	}
	return nil
}

// measure lets the lanes of a row take turns, in changing order.
func (b *bench) measure(ctx context.Context, r row, lanes []lane) (result, error) {
	progress("%s", r.name)
	out := result{Row: r.name, Unit: r.unit, Clients: r.clients, Size: r.size, Lanes: make([]laneResult, len(lanes))}
	rounds, turn := b.rounds, b.turn
	if r.rounds > 0 {
		rounds = min(rounds, r.rounds)
	}
	if r.turn > 0 {
		turn = min(turn, r.turn)
	}
	if r.split > 0 {
		rounds, turn = rounds*r.split, turn/time.Duration(r.split)
	}
	for i, l := range lanes {
		out.Lanes[i].Lane = l.name
		if l.process != nil {
			l.process.ResetPeak()
		}
		var warm laneResult
		warm.next.Store(-1 << 40) // keys of its own
		if err := b.turnOf(ctx, r, l, &warm, turn/warmup); err != nil {
			return out, fmt.Errorf("%s, %s: %w", r.name, l.name, err)
		}
	}
	for round := range rounds {
		for i := range lanes {
			if round%2 == 1 {
				i = len(lanes) - 1 - i
			}
			if err := b.turnOf(ctx, r, lanes[i], &out.Lanes[i], turn); err != nil {
				return out, fmt.Errorf("%s, %s: %w", r.name, lanes[i].name, err)
			}
		}
	}
	for i, l := range lanes {
		if err := out.Lanes[i].settle(l.process); err != nil {
			return out, err
		}
	}
	return out, nil
}

// turnOf runs one lane for a while. Data that it left in the system's
// memory is written out after it, so that no lane pays for another's.
func (b *bench) turnOf(ctx context.Context, r row, l lane, out *laneResult, d time.Duration) error {
	if l.ready != nil {
		if err := l.ready(ctx); err != nil {
			return err
		}
	}
	before, err := cpuOf(l.process)
	if err != nil {
		return err
	}
	n, rate, err := l.run(ctx, r, out, d)
	if err != nil {
		return err
	}
	after, err := cpuOf(l.process)
	if err != nil {
		return err
	}
	out.Rates = append(out.Rates, rate)
	out.Requests += n
	out.CPU += (after - before).Seconds()
	if l.tidy != nil {
		if err := l.tidy(ctx); err != nil {
			return err
		}
	}
	if r.writes {
		return b.flush()
	}
	return nil
}

// run does a turn's requests.
func (l lane) run(ctx context.Context, r row, out *laneResult, d time.Duration) (n int64, rate float64, err error) {
	if l.turn != nil {
		return l.turn(ctx, d)
	}
	if l.beside != nil {
		ctx2, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- l.beside(ctx2) }()
		defer func() {
			cancel()
			err = errors.Join(err, <-done)
		}()
	}
	began := time.Now()
	n, err = l.work(ctx, r, out, began.Add(d))
	return n, float64(n) / time.Since(began).Seconds(), err
}

// work lets the row's clients send one request after the other until the time is
// up, at least one each, and returns how many there were.
func (l lane) work(ctx context.Context, r row, out *laneResult, until time.Time) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first := out.next.Load()
	latencies := make([][]time.Duration, r.clients)
	var wg sync.WaitGroup
	for worker := range r.clients {
		wg.Go(func() {
			for {
				n := out.next.Add(1) - 1
				if r.most > 0 && n-first >= r.most {
					return
				}
				began := time.Now()
				if err := l.do(ctx, n); err != nil {
					cancel(err)
					return
				}
				now := time.Now()
				latencies[worker] = append(latencies[worker], now.Sub(began))
				if now.After(until) {
					return
				}
			}
		})
	}
	wg.Wait()
	all := slices.Concat(latencies...)
	out.latencies = append(out.latencies, all...)
	return int64(len(all)), context.Cause(ctx)
}

// settle computes what stands for all rounds.
func (l *laneResult) settle(p *servers.Process) (err error) {
	l.Rate = median(l.Rates)
	if len(l.latencies) > 0 {
		l.Latency = median(l.latencies).Seconds() * 1000
	} else if l.Rate > 0 {
		l.Latency = 1000 / l.Rate
	}
	if p != nil {
		l.Peak, err = p.Peak()
	}
	return err
}

// besides is a lane's speed of another's: the median over the pairs of turns that followed
// each other. If the machine is busy for a while, both turns of a pair are slow.
func (l *laneResult) besides(other *laneResult) float64 {
	ratios := make([]float64, min(len(l.Rates), len(other.Rates)))
	for i := range ratios {
		ratios[i] = l.Rates[i] / other.Rates[i]
	}
	return median(ratios)
}

// median of at least one value.
func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

func cpuOf(p *servers.Process) (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	return p.CPU()
}

// flush writes the file system's dirty pages out.
func (b *bench) flush() error {
	f, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
