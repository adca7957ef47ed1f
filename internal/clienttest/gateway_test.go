package clienttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/topology"
)

// The root credential of every gateway in these tests.
const (
	accessKey = "CLIENTTESTACCESSKEY0"
	secretKey = "clienttest/secret+key=0123456789abcdefgh"
	region    = "us-east-1"
)

const (
	startTimeout = 60 * time.Second // from exec to ready, on a busy machine
	stopTimeout  = 60 * time.Second // from SIGTERM to the end
	logTail      = 12               // lines shown after a failure
)

// work is a folder that lasts as long as the package's tests.
var work string

// gatewayBinary builds cmd/gateway once.
var gatewayBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(work, "gateway")
	return path, topology.Build(context.Background(), path)
})

// gateway is one run of the process. Its log goes to a file, which later runs
// over the same folder continue.
type gateway struct {
	dir     string // --data
	log     string // path
	s3      string // http://host:port
	metrics string

	env  []string // beside the defaults
	cmd  *exec.Cmd
	done chan error // the result of Wait, once
}

// launch starts a gateway on free ports and returns when it is ready. extra are
// further environment variables.
func launch(dir, log string, extra ...string) (*gateway, error) {
	path, err := gatewayBinary()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	before, err := out.Stat()
	if err != nil {
		return nil, err
	}
	g := &gateway{dir: dir, log: log, env: extra, done: make(chan error, 1)}
	g.cmd = exec.Command(path, "serve", "--data", dir, "--s3", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
	g.cmd.Env = append([]string{"HOME=" + work, "SANCTUM_ACCESS_KEY=" + accessKey, "SANCTUM_SECRET_KEY=" + secretKey}, extra...)
	g.cmd.Stdout, g.cmd.Stderr = out, out
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { g.done <- g.cmd.Wait() }()
	if err := g.awaitReady(before.Size()); err != nil {
		g.kill()
		return nil, fmt.Errorf("%w\n%s", err, g.tail())
	}
	return g, nil
}

// awaitReady learns the addresses from the log, beginning at offset, and asks
// /readyz until it agrees.
func (g *gateway) awaitReady(offset int64) error {
	deadline := time.Now().Add(startTimeout)
	for ; time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-g.done:
			g.done <- err
			return fmt.Errorf("the gateway ended before it was ready: %v", err)
		default:
		}
		if g.s3 == "" && !g.readAddresses(offset) {
			continue
		}
		resp, err := http.Get(g.metrics + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("the gateway was not ready after %s", startTimeout)
}

func (g *gateway) readAddresses(offset int64) bool {
	text, err := os.ReadFile(g.log)
	if err != nil {
		return false
	}
	for line := range bytes.Lines(text[offset:]) {
		var entry struct{ Msg, S3, Metrics string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			g.s3, g.metrics = entry.S3, entry.Metrics
			return true
		}
	}
	return false
}

// stop sends SIGTERM and demands exit status 0.
func (g *gateway) stop() error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-g.done:
		g.done <- err
		if err != nil {
			return fmt.Errorf("after SIGTERM: %w\n%s", err, g.tail())
		}
		return nil
	case <-time.After(stopTimeout):
		g.kill()
		return fmt.Errorf("still there %s after SIGTERM\n%s", stopTimeout, g.tail())
	}
}

// kill is kill -9. It returns when the process is gone.
func (g *gateway) kill() {
	g.cmd.Process.Kill()
	g.done <- <-g.done
}

// tail is the end of the log.
func (g *gateway) tail() string {
	f, err := os.Open(g.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var last []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if last = append(last, s.Text()); len(last) > logTail {
			last = last[1:]
		}
	}
	return "the end of the gateway's log:\n" + strings.Join(last, "\n")
}

// serverErrors are the log's lines about answers of 500 and above, but for 501,
// which is the answer to what is not implemented, and about panics.
func (g *gateway) serverErrors() (lines []string, err error) {
	text, err := os.ReadFile(g.log)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var entry struct {
			Msg, Level string
			Status     int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			lines = append(lines, "no JSON: "+line)
		} else if entry.Status >= 500 && entry.Status != http.StatusNotImplemented || entry.Level == "ERROR" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// start launches a gateway of the test's own and stops it at the end.
func start(t *testing.T, extra ...string) *gateway {
	t.Helper()
	dir := t.TempDir()
	return restart(t, filepath.Join(dir, "data"), filepath.Join(dir, "gateway.log"), extra...)
}

// restart is start over a folder that a gateway has left.
func restart(t *testing.T, dir, log string, extra ...string) *gateway {
	t.Helper()
	g, err := launch(dir, log, extra...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if g.cmd.ProcessState == nil {
			if err := g.stop(); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Log(g.tail())
		}
	})
	return g
}
