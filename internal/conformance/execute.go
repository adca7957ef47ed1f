//go:build linux

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// killDelay is how long a killed test's descendants may hold its output.
const killDelay = 2 * time.Second

// notInTime is how the explanation of a killed test begins.
const notInTime = "not done within its time limit"

// execute runs a test in the folder dir until it ends or the context does, and
// returns the end of its output.
func execute(ctx context.Context, dir string, env []string, program string, args ...string) (out []byte, took time.Duration, err error) {
	start := time.Now()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, env...)
	var end lastBytes
	cmd.Stdout, cmd.Stderr = &end, &end
	cmd.WaitDelay = killDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf(notInTime+", after %s", time.Since(start).Round(time.Second))
	}
	return end.Bytes(), time.Since(start), err
}

// lastBytes keeps the last maxOutput bytes or somewhat more.
type lastBytes struct{ bytes.Buffer }

func (l *lastBytes) Write(p []byte) (int, error) {
	if l.Len() > 2*maxOutput {
		l.Next(l.Len() - maxOutput)
	}
	return l.Buffer.Write(p)
}

// crash says in a line why a test ended without a verdict: its panic and the
// suite's own line where that arose, or the end of the output.
func crash(out []byte, exit error) string {
	text := strings.TrimSpace(string(out))
	detail := ""
	if i := strings.Index(text, "panic: "); i >= 0 {
		detail, _, _ = strings.Cut(text[i:], "\n")
		if at := panicOrigin(text[i:]); at != "" {
			detail += " at " + at
		}
	} else {
		lines := strings.Split(text, "\n")
		detail = strings.Join(lines[max(0, len(lines)-3):], " ")
	}
	if exit != nil && !strings.HasPrefix(detail, "panic: ") {
		detail = fmt.Sprintf("%v: %s", exit, detail)
	}
	return detail
}

// panicOrigin is the first line of the stack that belongs to a suite and not to
// the runtime or to a library: file.go:12.
func panicOrigin(stack string) string {
	for line := range strings.Lines(stack) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, "/tests/integration/") && !strings.Contains(line, "functional_tests.go:") {
			continue
		}
		line, _, _ = strings.Cut(line, " ")
		return line[strings.LastIndexByte(line, '/')+1:]
	}
	return ""
}
