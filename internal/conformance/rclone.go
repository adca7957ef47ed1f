//go:build linux

package conformance

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
)

const rcloneRemote = "TestS3Sanctum"

// rcloneSuite is the integration test of rclone's S3 backend with a remote of the
// provider Other. Its parts build on each other, so they run in one process.
func rcloneSuite(ctx context.Context) (*suite, error) {
	m, err := fetch(ctx, servers.Rclone.Package, servers.Rclone.Version)
	if err != nil {
		return nil, err
	}
	whole := Test{suiteRclone, "s3", "TestIntegration"}
	run := func(ctx context.Context, program string, g *gateway, dir string) []Result {
		// The test looks for rclone's tree above its working directory, and there for
		// the servers that it could start; this remote needs none.
		if err := os.MkdirAll(filepath.Join(dir, "fstest", "testserver", "init.d"), 0o700); err != nil {
			return []Result{{Test: whole, Detail: err.Error()}}
		}
		variable := "RCLONE_CONFIG_" + strings.ToUpper(rcloneRemote) + "_"
		env := []string{
			variable + "TYPE=s3",
			variable + "PROVIDER=Other",
			// It presumes of AWS, and not of Other, that a bucket of one's own is told
			// from a bucket of somebody else.
			variable + "USE_ALREADY_EXISTS=true",
			variable + "ENDPOINT=" + g.url,
			variable + "REGION=" + region,
			variable + "ACCESS_KEY_ID=" + accessKey,
			variable + "SECRET_ACCESS_KEY=" + secretKey,
		}
		out, took, err := execute(ctx, dir, env, program,
			"-test.v", "-test.run=^"+whole.Name+"$", "-remote="+rcloneRemote+":")
		results := judgeGoTest(whole, out)
		if len(results) == 0 || err != nil && !anyFailed(results) {
			results = append(results, Result{whole, Failed, crash(out, err), took, nil})
		}
		results[0].Output = out
		return results
	}
	build := func(ctx context.Context) (string, error) {
		asItIs := func(string) error { return nil }
		return m.build(ctx, suiteRclone, nil, asItIs, "test", "-c", "./backend/s3")
	}
	return &suite{name: suiteRclone, build: build, jobs: []job{{tests: []Test{whole}, limit: longLimit, run: run}}}, nil
}

func anyFailed(results []Result) bool {
	for _, r := range results {
		if r.Outcome == Failed {
			return true
		}
	}
	return false
}

var (
	goTestStart = regexp.MustCompile(`^=== (?:RUN|NAME|CONT) +(\S+)`)
	goTestEnd   = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \(([0-9.]+s)\)`)
)

// judgeGoTest reads the output of go test -v. Each test without tests of its own
// is one result, and so is one that failed although none of its own did.
func judgeGoTest(whole Test, out []byte) (results []Result) {
	said := make(map[string][]string)
	parent := make(map[string]bool)
	current := ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 2*maxOutput)
	for lines.Scan() {
		line := lines.Text()
		if m := goTestStart.FindStringSubmatch(line); m != nil {
			current = m[1]
			for i := range current {
				if current[i] == '/' {
					parent[current[:i]] = true
				}
			}
			continue
		}
		m := goTestEnd.FindStringSubmatch(line)
		if m == nil {
			said[current] = append(said[current], strings.TrimSpace(line))
			continue
		}
		current = m[2]
		if r := goTestResult(whole, m, said[current]); r.Outcome == Failed || !parent[r.Name] {
			results = append(results, r)
		}
	}
	// A parent is told after its children or before them, as the version of Go has it.
	failed := make(map[string]bool) // tests that hold one that failed
	for _, r := range results {
		for i := range r.Name {
			if r.Outcome == Failed && r.Name[i] == '/' {
				failed[r.Name[:i]] = true
			}
		}
	}
	kept := results[:0]
	for _, r := range results {
		if !failed[r.Name] {
			kept = append(kept, r)
		}
	}
	return kept
}

// goTestResult is that of one line that tells a test's end.
func goTestResult(whole Test, end, said []string) Result {
	took, _ := time.ParseDuration(end[3]) // the expression lets nothing else pass
	r := Result{Test: Test{whole.Suite, whole.Group, end[2]}, Took: took}
	if end[1] == "PASS" {
		r.Outcome = Passed
		return r
	}
	r.Detail = strings.Join(said, " ")
	if _, why, ok := strings.Cut(r.Detail, "Error:"); ok {
		r.Detail = why
	}
	if end[1] == "SKIP" {
		r.Outcome = Skipped
	}
	return r
}
