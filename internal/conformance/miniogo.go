//go:build linux

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

const (
	minioGo     = "github.com/minio/minio-go/v7"
	minioGoFile = "functional_tests.go"
)

// minioGoSuite is the full mode of minio-go's functional tests, of the version that
// go.mod names: over plain HTTP, and those that it has for TLS over that.
func minioGoSuite(ctx context.Context) (*suite, error) {
	version, err := requiredVersion(minioGo)
	if err != nil {
		return nil, err
	}
	m, err := fetch(ctx, minioGo, version)
	if err != nil {
		return nil, err
	}
	src, err := parseSource(filepath.Join(m.Dir, minioGoFile))
	if err != nil {
		return nil, err
	}
	plain, err := minioGoList(src, false)
	if err != nil {
		return nil, err
	}
	found, err := minioGoList(src, true)
	if err != nil {
		return nil, err
	}
	s := &suite{name: suiteMinioGo, build: func(ctx context.Context) (string, error) { return minioGoProgram(ctx, m, found) }}
	for _, f := range found {
		t := Test{suiteMinioGo, minioGoGroup(f.name), f.name}
		s.jobs = append(s.jobs, job{tests: []Test{t}, limit: longLimit, on: kind{tls: !slices.Contains(plain, f), version2: true}, run: func(ctx context.Context, program string, g *gateway, dir string) []Result {
			return []Result{runMinioGo(ctx, program, g, dir, t)}
		}})
	}
	return s, nil
}

// minioGoProgram builds a program whose argument is the name of a test.
func minioGoProgram(ctx context.Context, m module, found []called) (string, error) {
	var main bytes.Buffer
	main.WriteString(minioGoMain)
	for _, f := range found {
		fmt.Fprintf(&main, "\t%q: %s,\n", f.name, f.name)
	}
	main.WriteString("}\n")
	return m.build(ctx, suiteMinioGo, main.Bytes(), func(dir string) error {
		if err := substitute(filepath.Join(dir, minioGoFile), "\nfunc main() {\n", "\nfunc all() {\n", 1); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "one_main.go"), main.Bytes(), 0o600)
	}, "build", minioGoFile, "one_main.go") // without the tag mint, which would have it be part of the library
}

// requiredVersion is the version of a library that this program is built with.
func requiredVersion(path string) (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", errors.New("this program does not know what it is built with")
	}
	for _, d := range info.Deps {
		if d.Path == path {
			return d.Version, nil
		}
	}
	return "", fmt.Errorf("this program is not built with %s", path)
}

// minioGoList reads which tests main runs in full mode, with SSE-S3, and with or
// without TLS.
func minioGoList(src *source, tls bool) ([]called, error) {
	r := &reading{source: src, truth: map[string]bool{"isFullMode()": true, "tls": tls, "kms": true}}
	r.kind = func(c *ast.CallExpr) (name string, isTest, isGroup bool) {
		fn, ok := c.Fun.(*ast.Ident)
		if !ok || len(c.Args) != 0 {
			return "", false, false
		}
		return fn.Name, strings.HasPrefix(fn.Name, "test"), false
	}
	return r.found, r.read("main")
}

// minioGoGroup sorts the tests, whose main has no groups, by what their names say.
func minioGoGroup(name string) string {
	for _, g := range []struct{ word, group string }{
		{"V2", "SigV2"}, {"SSE", "SSE"}, {"Encrypted", "SSE"}, {"Version", "versions"}, {"Checksum", "checksums"},
		{"Tagging", "tagging"}, {"Presigned", "presigned"}, {"Copy", "copies"}, {"Compose", "copies"},
		{"List", "lists"}, {"Remove", "deletions"}, {"Bucket", "buckets"}, {"Cors", "CORS"},
	} {
		if strings.Contains(name, g.word) {
			return g.group
		}
	}
	return "objects"
}

const minioGoMain = `//go:build mint

package main

import (
	"fmt"
	"log/slog"
	"os"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	tests[os.Args[1]]()
	fmt.Println("\n` + verdictMark + `it returned")
}

var tests = map[string]func(){
`

func runMinioGo(ctx context.Context, program string, g *gateway, dir string, t Test) Result {
	https := "0"
	if g.cert != "" {
		https = "1"
	}
	env := append(g.env(accessKey), "SERVER_ENDPOINT="+g.host(), "ACCESS_KEY="+accessKey, "SECRET_KEY="+secretKey,
		"ENABLE_HTTPS="+https, "ENABLE_KMS=1", "MINT_MODE=full")
	out, took, err := execute(ctx, dir, env, program, t.Name)
	outcome, detail := judgeMinioGo(out, err)
	return Result{t, outcome, detail, took, out}
}

// judgeMinioGo reads the test's log. A test has passed that returned and complained
// of nothing: not all of them say PASS. One that met 501 NotImplemented says NA and
// has failed here: what is absent must be listed.
func judgeMinioGo(out []byte, exit error) (Outcome, string) {
	for line := range bytes.Lines(out) {
		var entry struct{ Status, Alert, Message, Error, Function string }
		if json.Unmarshal(line, &entry) != nil {
			continue
		}
		switch entry.Status {
		case "FAIL":
			return Failed, strings.TrimSpace(entry.Message + ": " + entry.Error)
		case "NA":
			return Failed, fmt.Sprintf("not available: %s, in %s", entry.Alert, entry.Function)
		}
	}
	if exit != nil || !bytes.Contains(out, []byte("\n"+verdictMark)) {
		return Failed, crash(out, exit)
	}
	return Passed, ""
}
