//go:build linux

package servers

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// A GoProgram is a program that the go command builds from source.
type GoProgram struct {
	Package string // of its main
	Version string // exact
	// Module is the module of Package, for programs that go install cannot build:
	// because its go.mod has replace directives, or because Tests is set. It is
	// built in its own folder.
	Module string
	// Tests makes the program that of Package's tests.
	Tests bool
}

// The servers in Go, at the versions that the tests were written against.
// scripts/setup.sh installs the same through `go run ./internal/servers/install`.
var (
	Versitygw = GoProgram{Package: "github.com/versity/versitygw/cmd/versitygw", Version: "v1.8.0"}
	FakeGCS   = GoProgram{Package: "github.com/fsouza/fake-gcs-server", Version: "v1.56.1"}
)

// Name is the program's file name.
func (g GoProgram) Name() string {
	if g.Tests {
		return path.Base(g.Package) + ".test"
	}
	return path.Base(g.Package)
}

// Path returns the program's path, and installs this version first if it is
// missing, which takes a minute or more. If several processes ask at once, one
// installs.
func (g GoProgram) Path(ctx context.Context) (string, error) {
	dir, err := programs()
	if err != nil {
		return "", err
	}
	target := filepath.Join(dir, g.Name())
	lock, err := os.OpenFile(target+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and gives the lock back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if g.Module != "" {
		return target, g.build(ctx, target)
	}
	if info, err := buildinfo.ReadFile(target); err == nil && info.Main.Version == g.Version {
		return target, nil
	}
	if out, err := goCommand(ctx, "", "install", g.Package+"@"+g.Version); err != nil {
		return "", fmt.Errorf("install %s@%s: %w\n%s", g.Package, g.Version, err, out)
	}
	return target, nil
}

// build builds a program with a Module. A program that is built in a folder does
// not know its version, so the version is in a file beside it.
func (g GoProgram) build(ctx context.Context, target string) error {
	stamp := target + ".version"
	if have, err := os.ReadFile(stamp); err == nil && string(have) == g.Version {
		if _, err := os.Stat(target); err == nil {
			return nil
		}
	}
	out, err := goCommand(ctx, "", "mod", "download", "-json", g.Module+"@"+g.Version)
	var source struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &source)
	}
	if err != nil {
		return fmt.Errorf("download %s@%s: %w\n%s", g.Module, g.Version, err, out)
	}
	command := []string{"build"}
	if g.Tests {
		command = []string{"test", "-c"}
	}
	command = append(command, "-trimpath", "-buildvcs=false", "-o", target, "."+strings.TrimPrefix(g.Package, g.Module))
	if out, err := goCommand(ctx, source.Dir, command...); err != nil {
		return fmt.Errorf("build %s@%s: %w\n%s", g.Package, g.Version, err, out)
	}
	return os.WriteFile(stamp, []byte(g.Version), 0o644)
}

// goCommand runs the go command in a folder, in that of the programs when it is
// empty, and returns its output, or what it said of its failure.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	if cmd.Dir = dir; dir == "" {
		cmd.Dir = bin
	}
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return append(out.Bytes(), errs.Bytes()...), err
	}
	return out.Bytes(), nil
}

// programs is the folder of installed servers: bin/servers of the module.
func programs() (string, error) {
	root, err := Repository()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "servers")
	return dir, os.MkdirAll(dir, 0o755)
}

// Repository is the folder of the module's go.mod.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}
