package clienttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// shared is the gateway that all clients use at once, each in buckets of its own.
var shared struct {
	once sync.Once
	g    *gateway
	err  error
}

// sharedGateway starts the shared gateway when it is first needed.
func sharedGateway(t *testing.T) *gateway {
	t.Helper()
	shared.once.Do(func() {
		shared.g, shared.err = launch(filepath.Join(work, "shared"), filepath.Join(work, "shared.log"))
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(shared.g.tail())
		}
	})
	return shared.g
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (status int) {
	var err error
	if work, err = os.MkdirTemp("", "clienttest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	status = m.Run()
	if shared.g == nil {
		return status
	}
	if err := checkShared(shared.g); err != nil {
		fmt.Fprintln(os.Stderr, "the gateway that all clients shared:", err)
		return 1
	}
	return status
}

// checkShared looks at what all clients together left behind: the gateway was
// never at fault, ends when told to, and its folder is whole.
func checkShared(g *gateway) error {
	stopped := g.stop()
	if stopped != nil {
		return stopped
	}
	lines, err := g.serverErrors()
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		return fmt.Errorf("%d lines in its log tell of its own failures:\n%s", len(lines), strings.Join(lines[:min(len(lines), 20)], ""))
	}
	report, err := g.fsck("--deep")
	if err != nil {
		return err
	}
	if !report.Clean {
		return fmt.Errorf("fsck: %+v", report)
	}
	return nil
}
