//go:build linux

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// A module is the source of a suite, had from the Go proxy.
type module struct {
	Path, Version string
	Dir           string // in the module cache: read only
}

// fetch downloads a module, unless the module cache has it.
func fetch(ctx context.Context, path, version string) (module, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path+"@"+version)
	cmd.Dir = os.TempDir() // outside of this module, whose go.sum it is no part of
	cmd.Env = goEnv()
	out, err := cmd.Output()
	var m struct{ Path, Version, Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); jsonErr != nil || m.Dir == "" {
		return module{}, fmt.Errorf("download %s@%s: %v %s", path, version, err, m.Error)
	}
	return module{m.Path, m.Version, m.Dir}, nil
}

// goEnv is for go commands within another module.
func goEnv() []string {
	return append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
}

// build builds a program of the module after edit has changed a copy of it, and
// returns its path. args are go's: what to do and with which packages. A program
// that was built from the same sources is used again; edition says what else
// the program depends on.
func (m module) build(ctx context.Context, name string, edition []byte, edit func(dir string) error, args ...string) (string, error) {
	root, err := servers.Repository()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "bin", "conformance")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	sum := sha256.Sum256(slices.Concat([]byte(fmt.Sprint(m.Path, m.Version, args)), edition))
	target := filepath.Join(bin, name+"-"+m.Version+"-"+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	dir, err := os.MkdirTemp(bin, name+"-source-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(m.Dir)); err != nil {
		return "", err
	}
	if err := edit(dir); err != nil {
		return "", err
	}
	made := filepath.Join(dir, "program")
	verb, rest := args[0:1], args[1:]
	if args[0] == "test" {
		verb, rest = args[0:2], args[2:]
	}
	cmd := exec.CommandContext(ctx, "go", slices.Concat(verb, []string{"-trimpath", "-o", made}, rest)...)
	cmd.Dir, cmd.Env = dir, goEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the tests of %s@%s: %w\n%s", m.Path, m.Version, err, out)
	}
	return target, os.Rename(made, target)
}

// substitute replaces old in a file, where it must occur exactly so many times.
func substitute(file, old, new string, times int) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if n := bytes.Count(b, []byte(old)); n != times {
		return fmt.Errorf("%s has %q %d times instead of %d: it is not the source this was written for", filepath.Base(file), old, n, times)
	}
	return os.WriteFile(file, bytes.ReplaceAll(b, []byte(old), []byte(new)), 0o600)
}
