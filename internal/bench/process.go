//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
	// clockTicks is USER_HZ, the unit of times in /proc: 100 on every
	// architecture that Go runs on.
	clockTicks = 100
	// logTail is how much of a server's log is shown when it fails, in bytes.
	logTail = 2000
)

// process is a server under measurement.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when it has ended
}

// startProcess runs a server whose output goes to a file. It must be called on
// a thread that lives as long as the program.
func startProcess(name, logPath string, env []string, program string, args ...string) (*process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, log: log, done: make(chan struct{})}
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // an interrupt at the terminal is for this program, which then stops the server
		Pdeathsig: syscall.SIGKILL,
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is told by its log
		close(p.done)
	}()
	return p, nil
}

// ready waits until probe succeeds.
func (p *process) ready(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at its start: %s", p.name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w; its log ends: %s", p.name, err, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) tail() string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-logTail):]))
}

// stop ends the server, by force if it takes long.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only where it has ended
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return p.log.Close()
}

// cpu is the processor time used so far, in all threads, user and system.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s has ended: %s", p.name, p.tail())
	}
	// The name of the program, in brackets, may hold anything; after it the
	// fields count from 3, and user and system time are 14 and 15.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", p.cmd.Process.Pid, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / clockTicks), errors.Join(err1, err2)
}

// resetPeak makes the memory in use now the peak. Where the kernel does not
// allow that, the peak is that of the process's whole life.
func (p *process) resetPeak() {
	const resetHighWater = "5" // see proc_pid_clear_refs(5)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte(resetHighWater), 0)
}

// peak is the most memory that was resident since resetPeak, in bytes.
func (p *process) peak() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s has ended: %s", p.name, p.tail())
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.cmd.Process.Pid)
}
