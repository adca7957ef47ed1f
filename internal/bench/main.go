//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
)

const (
	defaultRounds   = 5
	defaultTurn     = time.Second
	quickRounds     = 2
	quickTurn       = 300 * time.Millisecond
	defaultDeadline = 30 * time.Minute
	manyKeys        = 1_000_000
	someKeys        = 100_000
	fewKeys         = 10_000
)

// options are what the flags say.
type options struct {
	only     *regexp.Regexp
	named    []string // groups
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
	named := flag.String("groups", strings.Join(groupNames, ","), "measure only these `groups`")
	quick := flag.Bool("quick", false, "short turns and a tenth of the keys: to see that it runs")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds of which the median is taken (default 5)")
	flag.StringVar(&o.dir, "dir", "", "folder on the `disk` to measure, with 8 GiB free (default .tools)")
	flag.BoolVar(&o.json, "json", false, "print JSON instead of tables")
	flag.BoolVar(&o.write, "write", false, "also put the tables into docs/performance.md")
	flag.DurationVar(&o.deadline, "deadline", defaultDeadline, "give up after this long")
	flag.Parse()
	for name := range strings.SplitSeq(*named, ",") {
		if !slices.Contains(groupNames, name) {
			return o, fmt.Errorf("-groups: there is no group %q; there are %s", name, strings.Join(groupNames, ", "))
		}
		o.named = append(o.named, name)
	}
	if *quick {
		o.turn, o.keys = quickTurn, manyKeys/10
	}
	switch {
	case flag.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.rounds < 0:
		return o, errors.New("there cannot be fewer than no rounds")
	case o.write && (*quick || *only != "" || len(o.named) < len(groupNames)):
		return o, errors.New("-write is for whole runs, without -quick, -only and -groups")
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
	root, err := servers.Repository()
	if err != nil {
		return err
	}
	if o.dir == "" {
		o.dir = filepath.Join(root, ".tools")
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// PostgreSQL, which may run as a user of its own, has to pass through.
	if err := errors.Join(os.Chmod(dir, 0o711), os.Mkdir(filepath.Join(dir, diskFolder), 0o755)); err != nil {
		return err
	}
	b := &bench{options: o, dir: dir}
	if err := b.programs(ctx, root); err != nil {
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
		return errors.New("no row of these groups has a name that matches -only")
	}
	rep.judge()
	return rep.publish(o, filepath.Join(root, "docs", "performance.md"))
}

// progress goes to standard error, so that standard output holds the report only.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
