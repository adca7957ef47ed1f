//go:build clients

package clienttest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// The tests that libraries for Go have for their drivers of S3.
func TestObjstore(t *testing.T) { onEach(t, suite) }
func TestGoCloud(t *testing.T)  { onEach(t, suite) }

// suiteBinary builds the tests of the module of suites once.
var suiteBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(work, "suites")
	build := exec.Command("go", "test", "-c", "-o", path, ".")
	build.Dir = "suites"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the suites: %w\n%s", err, out)
	}
	return path, nil
})

// oneTest is the outcome of a test or of a part of one.
var oneTest = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)

// outcomes reads what a program of tests printed: how many passed, and what became
// of each of the others.
func outcomes(out string) (passed int, others []string) {
	for _, m := range oneTest.FindAllStringSubmatch(out, -1) {
		if m[1] == "PASS" {
			passed++
		} else {
			others = append(others, m[1]+": "+m[2])
		}
	}
	return passed, others
}

// quiet are the lines that tell nothing of a failure.
var quiet = regexp.MustCompile(`(?m)^(=== | *--- PASS).*\n`)

// leftOut are the parts that a library's own driver cannot do, by the words in which
// its test says so, with the reason.
var leftOut = map[string]string{
	"PUT URLs with content type not supported, skipping":                 "gocloud.dev signs no Content-Type, for its SDK did not",
	"PUT URLs with enforced absent content type not supported, skipping": "the same",
	"DELETE URLs not supported, skipping":                                "gocloud.dev signs no DELETE, for its SDK did not",
}

var oneLeftOut = regexp.MustCompile(`(?m)^ +\S+\.go:\d+: (.*skipping.*)`)

// suite runs the test of the suites that has this test's name. No part of it may
// be left out but those that leftOut has.
func suite(t *testing.T, g *gateway) {
	t.Parallel()
	path, err := suiteBinary()
	must(t, err)
	name, _, _ := strings.Cut(t.Name(), "/")
	p := newProgram(t, g, path).with("BUCKET=" + bucketName(t))
	stdout, stderr, err := p.try("", "-test.v", "-test.run", "^"+name+"$")
	passed, others := outcomes(stdout)
	for _, other := range others {
		t.Error(other)
	}
	for _, m := range oneLeftOut.FindAllStringSubmatch(stdout, -1) {
		if leftOut[m[1]] == "" {
			t.Errorf("left out: %s", m[1])
		}
	}
	if err != nil || passed == 0 {
		t.Errorf("%s: %d passed, %v\n%s%s", name, passed, err, last(quiet.ReplaceAllString(stdout, "")), last(stderr))
	}
}
