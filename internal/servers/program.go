//go:build linux

package servers

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"syscall"
)

// A GoProgram is a server that is had by go install.
type GoProgram struct {
	Package string // of its main
	Version string // exact
}

// The servers in Go, at the versions that the tests were written against.
// scripts/setup.sh installs the same through `go run ./internal/servers/install`.
var (
	Versitygw = GoProgram{"github.com/versity/versitygw/cmd/versitygw", "v1.8.0"}
	FakeGCS   = GoProgram{"github.com/fsouza/fake-gcs-server", "v1.56.1"}
)

// Name is the program's file name.
func (g GoProgram) Name() string { return path.Base(g.Package) }

// Path returns the program's path, after installing it where this version is not
// there yet, which takes a minute or more. Of several processes that ask at
// once, one installs.
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
	if info, err := buildinfo.ReadFile(target); err == nil && info.Main.Version == g.Version {
		return target, nil
	}
	install := exec.CommandContext(ctx, "go", "install", g.Package+"@"+g.Version)
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install %s@%s: %w\n%s", g.Package, g.Version, err, out)
	}
	return target, nil
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
