//go:build linux

// Package conformance runs the S3 test suites of other projects against a
// gateway: versitygw's, the functional tests of minio-go, and those of rclone's
// S3 backend. Their sources come through the Go proxy at the versions named here,
// their tests are read from those sources, and each is run in a process of its
// own. A difference that is meant is listed in docs/s3-divergences.md; every
// other failure fails the run, and so does a listed test that passes. The product
// never imports it.
package conformance

import (
	"context"
	"time"
)

// A Test is one test of a suite. Group and Name are the suite's own words.
type Test struct {
	Suite, Group, Name string
}

// String is what a filter is matched against.
func (t Test) String() string { return t.Suite + "/" + t.Group + "/" + t.Name }

// Outcome says how a test ended.
type Outcome int

const (
	Failed      Outcome = iota
	Passed              // every assertion holds
	MessageOnly         // all that differs is the text of messages: codes and statuses are right
	Skipped             // by the test itself, because it lacks something
)

// String is the outcome as reports print it.
func (o Outcome) String() string {
	return [...]string{"failed", "passed", "message only", "skipped"}[o]
}

// OK reports whether the outcome counts as passed.
func (o Outcome) OK() bool { return o == Passed || o == MessageOnly }

// A Result is how one test ended.
type Result struct {
	Test
	Outcome Outcome
	Detail  string // what was wanted and what was got, in the suite's words; empty: passed
	Took    time.Duration
	Output  []byte // the end of what the process printed that ran it, for one of its results
}

// A job runs in one process and has the results of one test or more.
type job struct {
	tests []Test        // what is known of them before; a filter chooses by them
	limit time.Duration // after which it is killed and has failed
	on    kind          // of the gateway that it needs
	run   func(ctx context.Context, program string, g *gateway, dir string) []Result
}

// kind is what a gateway is asked for beside its default settings.
type kind struct {
	tls      bool // it serves https
	version2 bool // it takes Signature Version 2
}

// A suite is a list of tests and the program that has them.
type suite struct {
	name     string
	build    func(context.Context) (program string, err error)
	jobs     []job
	minShare float64 // of its tests that must pass, listed or not
	leftOut  int     // tests that cannot be run against another server
}

// Names of the suites.
const (
	suiteVersitygw = "versitygw"
	suiteMinioGo   = "minio-go"
	suiteRclone    = "rclone"
)

// Suites are the names of all suites.
func Suites() []string { return []string{suiteVersitygw, suiteMinioGo, suiteRclone} }

const (
	// testLimit is how long one test may take on a machine that does much else.
	testLimit = 2 * time.Minute
	// longLimit is that of tests that move much data, and of whole suites.
	longLimit = 10 * time.Minute
	// maxDetail is how much of a test's explanation is kept, in bytes.
	maxDetail = 600
	// maxOutput is how much of the end of a test's output is kept, in bytes.
	maxOutput = 1 << 20
)
