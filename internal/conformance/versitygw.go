//go:build linux

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"strings"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// versitygwTests is where the module has its suite.
const versitygwTests = "tests/integration"

// versitygwSuite is what `versitygw test full-flow --versioning-enabled` runs,
// except the tests that call versitygw's own admin command, which makes users
// through an API that is no part of S3.
//
// The program is not versitygw's own: that has no commands for some tests of the
// full flow, ends a test at the first message whose text differs, and tells what
// happened in coloured prose. Here a generated main calls the same functions.
func versitygwSuite(ctx context.Context) (*suite, error) {
	path, _, _ := strings.Cut(servers.Versitygw.Package, "/cmd/")
	m, err := fetch(ctx, path, servers.Versitygw.Version)
	if err != nil {
		return nil, err
	}
	src, err := parseSource(filepath.Join(m.Dir, versitygwTests, "*.go"))
	if err != nil {
		return nil, err
	}
	found, err := versitygwList(src)
	if err != nil {
		return nil, err
	}
	s := &suite{name: suiteVersitygw, minShare: 0.94}
	foreign := src.reaches("execCommand")
	var tests []Test
	for _, f := range found {
		if foreign[f.name] {
			s.leftOut++
			continue
		}
		tests = append(tests, Test{suiteVersitygw, strings.TrimPrefix(f.by, "Test"), f.name})
	}
	s.build = func(ctx context.Context) (string, error) { return versitygwProgram(ctx, m, tests) }
	for _, t := range tests {
		s.jobs = append(s.jobs, job{tests: []Test{t}, limit: testLimit, run: func(ctx context.Context, program string, g *gateway, dir string) []Result {
			return []Result{runVersitygw(ctx, program, g, dir, t)}
		}})
	}
	return s, nil
}

// versitygwList reads which tests the full flow has where versioning is enabled.
func versitygwList(src *source) ([]called, error) {
	r := &reading{source: src, truth: map[string]bool{
		"ts.conf.versioningEnabled": true,
		"ts.conf.azureTests":        false,
		"ts.conf.windowsTests":      false,
		"ts.conf.sidecarTests":      false,
	}}
	r.kind = func(c *ast.CallExpr) (name string, isTest, isGroup bool) {
		if len(c.Args) != 1 {
			return "", false, false
		}
		arg, ok := c.Args[0].(*ast.Ident)
		if !ok {
			return "", false, false
		}
		switch fn := c.Fun.(type) {
		case *ast.SelectorExpr: // ts.Run(Test), ts.Sync(Test)
			isRun := fn.Sel.Name == "Run" || fn.Sel.Name == "Sync"
			return arg.Name, isRun, false
		case *ast.Ident: // TestGroup(ts)
			return fn.Name, false, arg.Name == "ts" && strings.HasPrefix(fn.Name, "Test")
		}
		return "", false, false
	}
	return r.found, r.read("TestFullFlow")
}

// versitygwProgram builds a program whose argument is the name of a test.
func versitygwProgram(ctx context.Context, m module, tests []Test) (string, error) {
	var main bytes.Buffer
	main.WriteString(versitygwMain)
	main.WriteString("\nvar tests = integration.IntTests{\n")
	for _, t := range tests {
		fmt.Fprintf(&main, "\t%q: integration.%s,\n", t.Name, t.Name)
	}
	main.WriteString("}\n")
	edition := fmt.Append(nil, main.String(), versitygwMessages, versitygwChecks, versitygwBypass)
	return m.build(ctx, suiteVersitygw, edition, func(dir string) error {
		err := os.WriteFile(filepath.Join(dir, versitygwTests, "messages.go"), []byte(versitygwMessages), 0o600)
		if err != nil {
			return err
		}
		checks := filepath.Join(dir, versitygwTests, "utils.go")
		for _, got := range versitygwChecks {
			if err := substitute(checks, got+" != apiErr.Description {", "MessageDiffers("+got+", apiErr.Description) {", 1); err != nil {
				return err
			}
		}
		if err := substitute(checks, versitygwBypass, "BypassGovernanceRetention: bypassIn(s3client, bucket),", 1); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, "tests", "one"), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "tests", "one", "main.go"), main.Bytes(), 0o600)
	}, "build", "./tests/one")
}

// versitygwChecks are the messages that the suite compares with what it wants.
var versitygwChecks = []string{"received.Message", "ae.ErrorMessage()"}

// versitygwBypass is what the suite says when it empties a bucket after a test. AWS
// refuses it where objects cannot be locked.
const versitygwBypass = "BypassGovernanceRetention: aws.Bool(true),"

// versitygwMessages notes messages that differ and lets the test go on, so that
// what follows in it is checked as well.
const versitygwMessages = `package integration

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// bypassIn asks to override retentions in a bucket that may have some.
func bypassIn(client *s3.Client, bucket *string) *bool {
	_, err := client.GetObjectLockConfiguration(context.Background(), &s3.GetObjectLockConfigurationInput{Bucket: bucket})
	if err != nil {
		return nil
	}
	return aws.Bool(true)
}

var (
	messagesMu sync.Mutex
	Messages   []string
)

func MessageDiffers(got, want string) bool {
	if got != want {
		messagesMu.Lock()
		defer messagesMu.Unlock()
		Messages = append(Messages, fmt.Sprintf("message: wanted %q, got %q", want, got))
	}
	return false
}
`

// verdictMark begins the line by which the program says how the test ended.
const verdictMark = "conformance verdict: "

const versitygwMain = `package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/versity/versitygw/tests/integration"
)

func main() {
	options := []integration.Option{
		integration.WithAccess(os.Getenv("AWS_ACCESS_KEY_ID")),
		integration.WithSecret(os.Getenv("AWS_SECRET_ACCESS_KEY")),
		integration.WithRegion(os.Getenv("AWS_REGION")),
		integration.WithEndpoint(os.Getenv("ENDPOINT")),
		integration.WithVersioningEnabled(),
	}
	if os.Getenv("SHOW") != "" {
		options = append(options, integration.WithDebug())
	}
	s := integration.NewS3Conf(options...)
	verdict := make(map[string]any)
	if err := tests[os.Args[1]](s); err != nil {
		verdict["Error"] = err.Error()
	}
	verdict["Passed"] = integration.PassCount.Load()
	verdict["Failed"] = integration.FailCount.Load()
	verdict["Skipped"] = integration.SkipCount.Load()
	verdict["Messages"] = integration.Messages
	line, err := json.Marshal(verdict)
	if err != nil {
		panic(err)
	}
	fmt.Printf("\n` + verdictMark + `%s\n", line)
}
`

func runVersitygw(ctx context.Context, program string, g *gateway, dir string, t Test) Result {
	out, took, err := execute(ctx, dir, append(g.env(g.owner), "ENDPOINT="+g.url), program, t.Name)
	outcome, detail := judgeVersitygw(out, err)
	return Result{t, outcome, strings.TrimPrefix(detail, t.Name+": "), took, out}
}

// judgeVersitygw reads the verdict at the end of a test's output. Without one,
// the test has panicked or was killed.
func judgeVersitygw(out []byte, exit error) (Outcome, string) {
	_, line, found := bytes.Cut(out, []byte("\n"+verdictMark))
	if !found || exit != nil {
		return Failed, crash(out, exit)
	}
	var v struct {
		Error                   string
		Passed, Failed, Skipped int
		Messages                []string
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return Failed, fmt.Sprintf("unreadable verdict %q", line)
	}
	switch {
	case v.Error != "":
		return Failed, v.Error
	case v.Failed != 0:
		return Failed, crash(out, exit)
	case v.Skipped != 0:
		return Skipped, ""
	case v.Passed == 0:
		return Failed, "the test did not say that it passed"
	case len(v.Messages) != 0:
		return MessageOnly, strings.Join(v.Messages, "; ")
	}
	return Passed, ""
}
