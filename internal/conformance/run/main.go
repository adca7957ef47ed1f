//go:build linux

// Command run holds a gateway against the S3 test suites of other projects and
// against the list of meant differences. Its exit status is 1 if they disagree.
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
	"strings"
	"syscall"

	"github.com/sanctum-storage/gateway/internal/conformance"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// divergences is the document with the list, from the module's root.
const divergences = "docs/s3-divergences.md"

var errDiffers = errors.New("the gateway differs from what " + divergences + " says")

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	filter := flag.String("run", "", "only tests whose suite/group/name matches this `expression`")
	suites := flag.String("suite", "", "only these suites, separated by commas: "+strings.Join(conformance.Suites(), ", "))
	workers := flag.Int("p", 3, "tests at once")
	verbose := flag.Bool("v", false, "print a line for each test")
	show := flag.Bool("show", false, "print all that tests print, requests and answers where they can, and the gateways' logs")
	failures := flag.String("failures", "", "write what failed, a line each, to this `file`")
	flag.Parse()

	list, err := readList()
	if err != nil {
		return err
	}
	o := conformance.Options{Workers: *workers}
	if *suites != "" {
		o.Suites = strings.Split(*suites, ",")
	}
	if *filter != "" {
		if o.Filter, err = regexp.Compile(*filter); err != nil {
			return err
		}
	}
	if *verbose {
		o.Verbose = os.Stdout
	}
	if *show {
		o.Show = os.Stdout
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if o.Dir, err = os.MkdirTemp("", "sanctum-conformance-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	result, err := conformance.Start(ctx, o)
	if err != nil {
		return err
	}
	return tell(result, list, *failures)
}

func readList() ([]conformance.Divergence, error) {
	root, err := servers.Repository()
	if err != nil {
		return nil, err
	}
	document, err := os.ReadFile(filepath.Join(root, divergences))
	if err != nil {
		return nil, err
	}
	list, err := conformance.ParseDivergences(string(document))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", divergences, err)
	}
	return list, nil
}

// tell prints the outcome. One that is not as listed is an error.
func tell(result *conformance.Run, list []conformance.Divergence, failures string) error {
	if err := conformance.WriteTable(os.Stdout, result, list); err != nil {
		return err
	}
	if failures != "" {
		f, err := os.Create(failures)
		if err != nil {
			return err
		}
		if err := errors.Join(conformance.WriteFailures(f, result, list), f.Close()); err != nil {
			return err
		}
	}
	fmt.Println()
	v := conformance.Judge(result, list)
	v.Write(os.Stdout)
	if !v.OK() {
		return errDiffers
	}
	return nil
}
