//go:build linux

package topology

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// Build builds the gateway as it is shipped, without cgo.
func Build(ctx context.Context, path string) error {
	root, err := servers.Repository()
	if err != nil {
		return err
	}
	if err := noteSources(root); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/gateway")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return nil
}

// noteSources looks at every source file of the product. go test repeats the
// result of an earlier run unless a file has changed that the test itself has
// looked at; what the compiler reads for it does not count.
func noteSources(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		name := e.Name()
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "bin" || name == "testdata"):
			return fs.SkipDir
		case e.IsDir() || strings.HasSuffix(name, "_test.go") || !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".sql") && name != "go.mod":
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}
