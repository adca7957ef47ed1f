//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	defaultRounds   = 5
	defaultTurn     = time.Second
	quickRounds     = 2
	quickTurn       = 300 * time.Millisecond
	defaultDeadline = 15 * time.Minute
	manyKeys        = 1_000_000
	someKeys        = 100_000
	fewKeys         = 10_000
)

// options are what the flags say.
type options struct {
	only     *regexp.Regexp
	rounds   int
	turn     time.Duration // of one lane in one round
	keys     int           // of the largest bucket
	dir      string        // where the temporary folder is made
	json     bool
	write    bool
	deadline time.Duration
}

func parseFlags() (options, error) {
	o := options{rounds: defaultRounds, turn: defaultTurn, keys: manyKeys}
	only := flag.String("only", "", "measure only the rows whose names match this `regexp`")
	quick := flag.Bool("quick", false, "short turns and a tenth of the keys: to see that it runs")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds of which the median is taken (default 5)")
	flag.StringVar(&o.dir, "dir", "", "folder on the `disk` to measure, with 8 GiB free (default .tools)")
	flag.BoolVar(&o.json, "json", false, "print JSON instead of tables")
	flag.BoolVar(&o.write, "write", false, "also put the tables into docs/performance.md")
	flag.DurationVar(&o.deadline, "deadline", defaultDeadline, "give up after this long")
	flag.Parse()
	if *quick {
		o.turn, o.keys = quickTurn, manyKeys/10
	}
	switch {
	case flag.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.rounds < 0:
		return o, errors.New("there cannot be fewer than no rounds")
	case o.write && (*quick || *only != ""):
		return o, errors.New("-write is for whole runs, without -quick and -only")
	case o.rounds == 0 && *quick:
		o.rounds = quickRounds
	case o.rounds == 0:
		o.rounds = defaultRounds
	}
	var err error
	o.only, err = regexp.Compile(*only)
	return o, err
}

// main stays on the process's first thread: the servers are bound to the life of
// the thread that started them, so that nothing is left running even when this
// program is killed.
func main() {
	runtime.LockOSThread()
	o, err := parseFlags()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, o.deadline)
	err = run(ctx, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything that is asked for and reports it. All it makes lies
// in one temporary folder, which is gone when it returns.
func run(ctx context.Context, o options) (err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	tools := filepath.Join(root, ".tools")
	if o.dir == "" {
		o.dir = tools
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{options: o, dir: dir}
	if err := os.Mkdir(filepath.Join(dir, diskFolder), 0o755); err != nil {
		return err
	}
	if err := b.programs(ctx, root, filepath.Join(tools, "bin")); err != nil {
		return err
	}
	rep := report{Machine: describeMachine(b)}
	for _, g := range b.groups() {
		results, err := b.measureGroup(ctx, g)
		if err != nil {
			return err
		}
		rep.Results = append(rep.Results, results...)
	}
	if len(rep.Results) == 0 {
		return errors.New("no row has a name that matches -only")
	}
	rep.judge()
	return rep.publish(o, filepath.Join(root, "docs", "performance.md"))
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module's folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// progress goes to standard error, so that standard output holds the report only.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
