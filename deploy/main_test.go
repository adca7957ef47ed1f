//go:build linux

// Package deploy has tests of what is in this folder, and nothing else: that
// every setting, metric and path that the files name exists in the gateway.
package deploy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/internal/containers"
	"github.com/sanctum-storage/gateway/internal/topology"
)

// root is the module's folder, from this one.
const root = ".."

// gateway is the path of the program, built once.
var gateway string

func TestMain(m *testing.M) {
	containers.Enter()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gateway = filepath.Join(dir, "gateway")
	if err := topology.Build(context.Background(), gateway); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// checkConfig lets the gateway judge an environment: a name that is no setting,
// a value that is not one, and settings that contradict one another are errors.
func checkConfig(t *testing.T, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gateway, "config", "check")
	cmd.Env = append([]string{}, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("config check: %v\n%s", err, out)
	}
}

// read is the text of a file of the module.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
