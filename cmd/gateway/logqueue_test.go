package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/sigv4"
)

// reader accepts output, or stalls, or refuses it.
type reader struct {
	mu   sync.Mutex
	gate sync.Mutex // held while the reader stalls
	text bytes.Buffer
	err  error
}

func (r *reader) Write(p []byte) (int, error) {
	r.gate.Lock()
	defer r.gate.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	return r.text.Write(p)
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// eventuallyTrue waits for an effect of the queue's own goroutine.
func eventuallyTrue(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(startWait); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

type line struct {
	Level, Msg string
	N, Lines   int
}

func linesOf(t *testing.T, text string) (all []line) {
	t.Helper()
	for s := range strings.Lines(text) {
		var l line
		if err := json.Unmarshal([]byte(s), &l); err != nil {
			t.Fatalf("%v in %q", err, s)
		}
		all = append(all, l)
	}
	return all
}

// A writer of the log never waits for a stalled reader. A line without room is
// dropped and counted, and reported when the reader continues. The other lines
// arrive whole and in order.
func TestLogQueueStalledReader(t *testing.T) {
	r := &reader{}
	log, q := newQueuedLogger(r, "json", new(slog.LevelVar))
	r.gate.Lock()
	filler := strings.Repeat("x", 1000)
	const many = 4*maxLogQueue/1000 + 1
	for n := range many {
		log.Info("one", "n", n, "filler", filler)
	}
	dropped := int(q.dropped())
	if room := many - dropped; dropped == 0 || room*1000 > 2*maxLogQueue || room*1100 < maxLogQueue {
		t.Errorf("%d of %d lines were dropped", dropped, many)
	}
	if q.close(time.Millisecond) {
		t.Error("the queue says that it was written")
	}
	r.gate.Unlock()
	if !q.close(startWait) {
		t.Fatal("the queue is never empty")
	}
	all := linesOf(t, r.text.String())
	told, last := 0, -1
	for _, l := range all {
		switch {
		case l.Msg == "one" && l.N > last:
			last = l.N
		case l.Level == "WARN" && l.Lines > 0:
			told += l.Lines
		default:
			t.Fatalf("%+v after %d", l, last)
		}
	}
	if told != dropped || int(q.dropped()) != dropped {
		t.Errorf("%d lines are said to be dropped, %d were", told, dropped)
	}
	log.Info("after the end")
	if int(q.dropped()) != dropped+1 {
		t.Error("a line that came after the end is not counted")
	}
}

// A reader that is gone costs counted lines and nothing else.
func TestLogQueueFailedReader(t *testing.T) {
	r := &reader{err: syscall.EPIPE}
	log, q := newQueuedLogger(r, "json", new(slog.LevelVar))
	for n := range 10 {
		log.Info("one", "n", n)
	}
	eventuallyTrue(t, "lines that nobody takes are not counted", func() bool { return q.dropped() == 10 })
	r.fail(nil)
	log.Info("taken")
	if !q.close(startWait) {
		t.Fatal("the queue is never empty")
	}
	all := linesOf(t, r.text.String())
	if len(all) != 2 || all[0].Msg != "taken" || all[1].Lines != 10 {
		t.Errorf("%+v", all)
	}
}

// piped is a gateway with a pipe for its log.
type piped struct {
	cmd *exec.Cmd
	log *os.File // the reading end of the pipe
	s3  string
}

func serveInto(t *testing.T) *piped {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &piped{cmd: exec.Command(program), log: r}
	s.cmd.Args = []string{"gateway", "serve", "--data", filepath.Join(t.TempDir(), "data"),
		"--s3", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}
	s.cmd.Env = []string{"SANCTUM_ACCESS_KEY=LOGTESTACCESSKEY0000", "SANCTUM_SECRET_KEY=log-test-secret-key-0123456789abcdefgh"}
	s.cmd.Stderr = w
	if err := errors.Join(s.cmd.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); s.cmd.Process.Kill(); s.cmd.Wait() })
	for lines := bufio.NewReader(r); s.s3 == ""; {
		text, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var entry struct{ Msg, S3 string }
		if json.Unmarshal([]byte(text), &entry) == nil && entry.Msg == "serving" {
			s.s3 = entry.S3
		}
	}
	return s
}

// requests sends requests, each with a long line in the log.
func (s *piped) requests(t *testing.T, n int) {
	t.Helper()
	client := &http.Client{Timeout: startWait}
	defer client.CloseIdleConnections()
	for range n {
		req, err := http.NewRequest(http.MethodHead, s.s3+"/no-such-bucket", nil)
		if err != nil {
			t.Fatal(err)
		}
		err = sigv4.Sign(req, "LOGTESTACCESSKEY0000", "log-test-secret-key-0123456789abcdefgh", defaultRegion, "s3",
			sigv4.PayloadHash(nil), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Fatal(resp.Status)
		}
	}
}

// end sends SIGTERM and expects a clean end.
func (s *piped) end(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	case <-time.After(startWait):
		t.Error("the process does not end")
	}
}

// A stalled reader of the log, such as a full journal, blocks neither requests
// nor the end.
func TestServeWithStalledLog(t *testing.T) {
	t.Parallel()
	s := serveInto(t)
	s.requests(t, 1000) // a pipe has room for 64 KiB
	s.end(t)
}

// A reader that is gone does not kill the gateway.
func TestServeWithDeadLog(t *testing.T) {
	t.Parallel()
	s := serveInto(t)
	s.log.Close()
	s.requests(t, 50)
	s.end(t)
}
