//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/internal/topology"
)

// Options say what to run and how.
type Options struct {
	Dir     string         // for gateways and tests; must exist, and is the caller's to remove
	Suites  []string       // their names; empty: all
	Filter  *regexp.Regexp // of suite/group/test; nil: every test
	Workers int            // tests at once, each with a gateway of its own
	Verbose io.Writer      // takes a line for each test; nil: none
	Show    io.Writer      // takes all that tests and gateways print; nil: none
}

// maxLineSaid is how long a line of Verbose may be, in bytes.
const maxLineSaid = 400

// A Run is what came of it. Of results, each suite's are in its own order.
type Run struct {
	Whole   bool // nothing was filtered out
	Suites  []SuiteRun
	Results []Result
}

// A SuiteRun is one suite of a run.
type SuiteRun struct {
	Name     string
	MinShare float64 // of its tests that must pass
	LeftOut  int     // tests that need another server's own API
}

// Start builds the gateway and the suites and runs the tests. No test is run a
// second time. An error means that there is no result to speak of.
func Start(ctx context.Context, o Options) (*Run, error) {
	gateway := filepath.Join(o.Dir, "gateway")
	if err := topology.Build(ctx, gateway); err != nil {
		return nil, err
	}
	run := &Run{Whole: o.Filter == nil && len(o.Suites) == 0}
	var jobs []built
	for _, name := range Suites() {
		if len(o.Suites) != 0 && !slices.Contains(o.Suites, name) {
			continue
		}
		s, err := prepare(ctx, name)
		if err != nil {
			return nil, err
		}
		chosen := o.choose(s.jobs)
		if len(chosen) == 0 {
			continue
		}
		program, err := s.build(ctx)
		if err != nil {
			return nil, err
		}
		run.Suites = append(run.Suites, SuiteRun{s.name, s.minShare, s.leftOut})
		for _, j := range chosen {
			jobs = append(jobs, built{j, program})
		}
	}
	if len(jobs) == 0 {
		return nil, errors.New("no test has such a name")
	}
	r := &runner{Options: o, binary: gateway, results: make([][]Result, len(jobs))}
	if err := r.all(ctx, jobs); err != nil {
		return nil, err
	}
	run.Results = slices.Concat(r.results...)
	return run, nil
}

// choose are the jobs that the filter lets pass.
func (o Options) choose(jobs []job) (chosen []job) {
	for _, j := range jobs {
		if o.Filter == nil || slices.ContainsFunc(j.tests, func(t Test) bool { return o.Filter.MatchString(t.String()) }) {
			chosen = append(chosen, j)
		}
	}
	return chosen
}

// A built job has its program.
type built struct {
	job
	program string
}

func prepare(ctx context.Context, name string) (*suite, error) {
	switch name {
	case suiteVersitygw:
		return versitygwSuite(ctx)
	case suiteMinioGo:
		return minioGoSuite(ctx)
	default:
		return rcloneSuite(ctx)
	}
}

// runner hands jobs to workers.
type runner struct {
	Options
	binary  string
	results [][]Result // of each job
	mu      sync.Mutex // for Verbose and Show
}

func (r *runner) all(ctx context.Context, jobs []built) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The slowest kind comes last in the list and is begun first, so that no worker
	// is left alone with it.
	order := make(chan int, len(jobs))
	for i := len(jobs) - 1; i >= 0; i-- {
		order <- i
	}
	close(order)
	var workers sync.WaitGroup
	for range max(1, r.Workers) {
		workers.Go(func() {
			if err := r.work(ctx, jobs, order); err != nil {
				cancel(err)
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// work runs jobs one after the other. A gateway serves until a test fails or
// leaves something behind: what follows must not suffer for it.
func (r *runner) work(ctx context.Context, jobs []built, order <-chan int) (err error) {
	var g *gateway
	defer func() {
		if g != nil {
			err = errors.Join(err, g.end())
		}
	}()
	for i := range order {
		if ctx.Err() != nil {
			return nil
		}
		on := jobs[i].on
		if g != nil && on != g.kind {
			if err := g.end(); err != nil {
				return err
			}
			g = nil
		}
		if g == nil {
			if g, err = startGateway(ctx, r.binary, r.Dir, on); err != nil {
				return err
			}
		}
		r.results[i], err = r.one(ctx, jobs[i], g)
		if err != nil {
			return err
		}
		if anyFailed(r.results[i]) || !g.untouched(ctx) {
			if err := g.end(); err != nil {
				return err
			}
			g = nil
		}
	}
	return nil
}

// one runs a job in a fresh folder.
func (r *runner) one(ctx context.Context, j built, g *gateway) ([]Result, error) {
	dir, err := os.MkdirTemp(r.Dir, "test-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, j.limit)
	defer cancel()
	g.show = r.Show != nil
	results := j.run(ctx, j.program, g, dir)
	news := g.news()
	said := g.complaints(news)
	for i := range results {
		if results[i].Outcome == Failed && said != "" {
			results[i].Detail += " [gateway: " + said + "]"
			said = "" // several results of one process: which it belongs to is not known
		}
		results[i].Detail = oneLine(results[i].Detail, maxDetail)
		r.say(results[i], news)
	}
	return results, os.RemoveAll(dir)
}

// say tells the one who watches about a result. log is the gateway's.
func (r *runner) say(result Result, log []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Show != nil && result.Output != nil {
		fmt.Fprintf(r.Show, "=== %s\n%s\n--- the gateway's log\n%s\n", result.Test, result.Output, log)
	}
	if r.Verbose != nil {
		fmt.Fprintf(r.Verbose, "%-12s %6s  %s  %s\n", result.Outcome, result.Took.Round(10*time.Millisecond), result.Test,
			oneLine(result.Detail, maxLineSaid))
	}
}
