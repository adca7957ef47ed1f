//go:build linux

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const suiteSource = `package integration

func TestFullFlow(ts *TestState) {
	TestPuts(ts)
	if !ts.conf.versioningEnabled && !ts.conf.azureTests {
		TestUnversioned(ts)
	}
	if (ts.conf.versioningEnabled) {
		TestVersioning(ts)
	} else {
		ts.Run(Never)
	}
}
func TestPuts(ts *TestState) { ts.Run(Put_a); ts.Sync(Put_user); ts.Run(Put_a) }
func TestUnversioned(ts *TestState) { ts.Run(Never) }
func TestVersioning(ts *TestState) { ts.Run(Version_a) }
func Put_user(s *S3Conf) error { return makeUser(s) }
func makeUser(s *S3Conf) error { return execCommand() }
func execCommand() error { return nil }
func Put_a(s *S3Conf) error { return nil }
`

func sourceOf(t *testing.T, text string) *source {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "group.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := parseSource(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The list has what the suite would run with versioning, in its order, each once.
func TestVersitygwList(t *testing.T) {
	src := sourceOf(t, suiteSource)
	got, err := versitygwList(src)
	if err != nil {
		t.Fatal(err)
	}
	want := []called{{"TestPuts", "Put_a"}, {"TestPuts", "Put_user"}, {"TestVersioning", "Version_a"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	foreign := src.reaches("execCommand")
	if !foreign["Put_user"] || foreign["Put_a"] {
		t.Errorf("reach execCommand: %v", foreign)
	}
}

// A test that the reading cannot place ends it.
func TestVersitygwListLosesNothing(t *testing.T) {
	for name, text := range map[string]string{
		"condition": strings.Replace(suiteSource, "!ts.conf.versioningEnabled &&", "ts.conf.unknown &&", 1),
		"loop":      strings.Replace(suiteSource, "TestPuts(ts)\n", "for range 3 { TestPuts(ts) }\n", 1),
		"missing":   strings.Replace(suiteSource, "func TestVersioning", "func TestOther", 1),
	} {
		if got, err := versitygwList(sourceOf(t, text)); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMinioGoList(t *testing.T) {
	src := sourceOf(t, `package main

func main() {
	setUp()
	tls, kms := false, true
	if env("KMS") == "" {
		kms = true
	}
	if isFullMode() {
		testA()
		if tls {
			testSSEC()
		}
		if kms {
			testKMS()
		}
	} else {
		testLittle()
	}
}
`)
	for https, want := range map[bool][]called{
		false: {{"main", "testA"}, {"main", "testKMS"}},
		true:  {{"main", "testA"}, {"main", "testSSEC"}, {"main", "testKMS"}},
	} {
		if got, err := minioGoList(src, https); err != nil || !slices.Equal(got, want) {
			t.Errorf("TLS %v: %v, %v; want %v", https, got, err, want)
		}
	}
}
