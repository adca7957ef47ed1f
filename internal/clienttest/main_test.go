package clienttest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (status int) {
	var err error
	if work, err = os.MkdirTemp("", "clienttest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	status = m.Run()
	for p, s := range sharedGateways {
		if s.g == nil {
			continue
		}
		if err := checkShared(s.g); err != nil {
			fmt.Fprintf(os.Stderr, "the gateway of %s that all clients shared: %v\n", p, err)
			status = 1
		}
	}
	if err := stopServers(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
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
