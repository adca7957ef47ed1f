//go:build linux

package conformance

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	before = "# Title\n\n| what | why |\n|---|---|\n| other | table |\n\n"
	header = "| suite | tests | why |\n|---|:--|---|\n"
)

func TestParseDivergences(t *testing.T) {
	list, err := ParseDivergences(before + header +
		"| versitygw | `PutBucketWebsite_*`, `GetObject_x` | websites are absent |\n" +
		"| rclone | `TestIntegration/*/Hash` | no reason but this |\n\nMore text.\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Line != 9 || list[0].Why != "websites are absent" || len(list[0].Names) != 2 {
		t.Fatalf("read %+v", list)
	}
	for name, want := range map[Test]bool{
		{suiteVersitygw, "g", "PutBucketWebsite_long"}:     true,
		{suiteVersitygw, "g", "GetObject_x"}:               true,
		{suiteVersitygw, "g", "GetObject_xy"}:              false,
		{suiteMinioGo, "g", "GetObject_x"}:                 false,
		{suiteRclone, "g", "TestIntegration/Fs/File/Hash"}: true,
	} {
		if got := listed(list, name); got != want {
			t.Errorf("%s is listed: %v, want %v", name, got, want)
		}
	}
}

// A row that would excuse nothing, or anything, is refused.
func TestParseDivergencesRefuses(t *testing.T) {
	for name, document := range map[string]string{
		"no table":       before,
		"two tables":     before + header + "\n" + header,
		"unknown suite":  header + "| s3-tests | `a` | b |\n",
		"no reason":      header + "| minio-go | `a` | |\n",
		"no names":       header + "| minio-go | | b |\n",
		"bare names":     header + "| minio-go | a | b |\n",
		"bad pattern":    header + "| minio-go | `a[` | b |\n",
		"too many cells": header + "| minio-go | `a` | b | c |\n",
		"name beside it": header + "| minio-go | `a` and b | c |\n",
	} {
		if list, err := ParseDivergences(document); err == nil {
			t.Errorf("%s: read as %+v", name, list)
		}
	}
}

func TestDocumentIsReadable(t *testing.T) {
	document, err := os.ReadFile("../../docs/s3-divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseDivergences(string(document)); err != nil {
		t.Error(err)
	}
}

// A run agrees with the list only if exactly the listed tests fail.
func TestJudge(t *testing.T) {
	result := func(name string, o Outcome) Result {
		return Result{Test: Test{suiteVersitygw, "g", name}, Outcome: o}
	}
	many := []Result{result("absent", Failed), result("text", MessageOnly), result("lacks", Skipped)}
	for range 40 {
		many = append(many, result("fine", Passed))
	}
	list := []Divergence{{Suite: suiteVersitygw, Names: []string{"absent"}, Why: "w", Line: 7}}
	run := func(results ...Result) *Run {
		return &Run{Whole: true, Suites: []SuiteRun{{suiteVersitygw, 0.95, 3}}, Results: results}
	}
	if v := Judge(run(many...), list); !v.OK() || v.Shares[0].Passed != 41 || v.Shares[0].Total != 42 {
		t.Errorf("as listed: %+v", v)
	}
	for name, c := range map[string]struct {
		run  *Run
		list []Divergence
		says string
	}{
		"failed":  {run(slices.Concat(many, []Result{result("broken", Failed)})...), list, "FAILED, not listed    versitygw/g/broken"},
		"passed":  {run(slices.Concat(many[1:], []Result{result("absent", Passed)})...), list, "PASSED, but listed    versitygw/g/absent"},
		"message": {run(slices.Concat(many[1:], []Result{result("absent", MessageOnly)})...), list, "PASSED, but listed    versitygw/g/absent"},
		"stale":   {run(many[1:]...), list, "LISTED, but no test   absent (line 7)"},
		"too few": {run(many[0], many[1], many[5]), list, "versitygw: 2 of 3 passed, 66.7 %; 3 tests that need its own admin API were left out; less than 95 %"},
		"no list": {run(many...), nil, "FAILED, not listed    versitygw/g/absent"},
	} {
		v := Judge(c.run, c.list)
		var said strings.Builder
		v.Write(&said)
		if v.OK() || !strings.Contains(said.String(), c.says) {
			t.Errorf("%s: ok %v\n%s", name, v.OK(), said.String())
		}
	}
	part := run(many[0], many[1])
	part.Whole = false
	if v := Judge(part, append(list, Divergence{Suite: suiteVersitygw, Names: []string{"elsewhere"}})); !v.OK() {
		t.Errorf("a part of the tests, as listed: %+v", v)
	}
}

// The file of failures tells each that did not pass outright, and how.
func TestWriteFailures(t *testing.T) {
	result := func(name string, o Outcome, detail string) Result {
		return Result{Test: Test{suiteVersitygw, "g", name}, Outcome: o, Detail: detail}
	}
	run := &Run{Results: []Result{
		result("fine", Passed, ""),
		result("lacks", Skipped, "no"),
		result("text", MessageOnly, "m"),
		result("meant", Failed, "d"),
		result("other", Failed, "expected 1"),
		result("lock", Failed, "failed to create a bucket: x"),
		result("end", Failed, "failed to delete the bucket: y"),
		result("nil", Failed, "panic: z"),
		result("slow", Failed, notInTime+": RUN"),
	}}
	var got strings.Builder
	if err := WriteFailures(&got, run, []Divergence{{Suite: suiteVersitygw, Names: []string{"meant"}}}); err != nil {
		t.Fatal(err)
	}
	want := "versitygw/g/text\tmessage only\tm\nversitygw/g/meant\tlisted\td\nversitygw/g/other\tfailed\texpected 1\n" +
		"versitygw/g/lock\tset-up\tfailed to create a bucket: x\nversitygw/g/end\tonly cleaning up failed\tfailed to delete the bucket: y\n" +
		"versitygw/g/nil\tpanic\tpanic: z\nversitygw/g/slow\ttime limit\t" + notInTime + ": RUN\n"
	if got.String() != want {
		t.Errorf("%s\nwant\n%s", got.String(), want)
	}
}
