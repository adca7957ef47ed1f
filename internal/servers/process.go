//go:build linux

// Package servers runs the real programs that tests and benchmarks need beside the
// gateway: databases, S3 servers, proxies, load balancers. It finds or installs
// them, starts them on free loopback ports, waits until they answer, and ends
// exactly those that it started. The product never imports it.
package servers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// StartTimeout bounds the time from exec to the first answer, on a machine
	// that does much else.
	StartTimeout = 60 * time.Second
	// StopTimeout is how long a program may take to end before it is killed.
	StopTimeout = 20 * time.Second
	// probePause lies between two tries to reach a program that starts.
	probePause = 20 * time.Millisecond
	// logTail is how much of a program's log is shown when it fails, in bytes.
	logTail = 2000
)

// Spec says what to run.
type Spec struct {
	Name    string // for messages
	Program string // path, or a name in PATH
	Args    []string
	Env     []string // beside PATH and HOME, which are this process's
	Dir     string   // working directory; empty: this process's
	Log     string   // file that takes its output; it is continued
	// UID and GID, when not zero, are those of the program, where this process
	// is root: PostgreSQL refuses to run as root.
	UID, GID uint32
	// Stop is the signal that ends it in order; zero: SIGTERM.
	Stop syscall.Signal
}

// Process is a running program. It dies with the thread that started it, so that a
// killed test run leaves none behind. Methods are safe for concurrent use.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; set before done is closed
}

// Start runs a program. It does not wait for it: see Ready.
func Start(s Spec) (*Process, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &Process{spec: s, done: make(chan struct{})}
	p.cmd = exec.Command(s.Program, s.Args...)
	p.cmd.Dir = s.Dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, s.Env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // an interrupt at the terminal is for the tests, which then stop the program
		Pdeathsig: syscall.SIGKILL,
	}
	if s.UID != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: s.UID, Gid: s.GID}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Ready waits until probe succeeds, at most StartTimeout.
func (p *Process) Ready(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at its start: %v; its log ends: %s", p.spec.Name, p.err, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w; its log ends: %s", p.spec.Name, err, p.Tail())
		case <-time.After(probePause):
		}
	}
}

// Stop ends the program in order, and kills it if that takes longer than
// StopTimeout, which is an error. Err tells how the program ended otherwise.
// Stopping an ended program is no error.
func (p *Process) Stop() error {
	end := p.spec.Stop
	if end == 0 {
		end = syscall.SIGTERM
	}
	_ = p.cmd.Process.Signal(end) // fails only where it has ended
	select {
	case <-p.done:
		return nil
	case <-time.After(StopTimeout):
		p.Kill()
		return fmt.Errorf("%s was still there %s after %v; its log ends: %s", p.spec.Name, StopTimeout, end, p.Tail())
	}
}

// Kill is kill -9 of the program and whatever it started in its process group.
// It returns when the program is gone.
func (p *Process) Kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Signal sends a signal to the program: SIGSTOP and SIGCONT pause it.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the program ended: nil after exit status 0, or while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Tail is the end of the log.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.spec.Log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-logTail):]))
}

// Answers is a probe that succeeds when something accepts connections at the
// TCP address.
func Answers(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// AnswersOK is a probe that succeeds when the URL answers with 200.
func AnswersOK(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	}
}

// FreeAddresses are n different loopback addresses that nobody listens on at the
// moment.
func FreeAddresses(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
