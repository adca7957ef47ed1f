package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/workers"
)

func askReady(h *readiness, target string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w.Code, w.Body.String()
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := &readiness{log: slog.New(slog.NewTextHandler(&log, nil))}
		if code, body := askReady(h, "/readyz?verbose"); code != 503 || body != "starting failed\nnot ready\n" {
			t.Errorf("starting: %d %q", code, body)
		}
		var broken error
		asked := 0
		backend := blobs.Health{Name: "far"}
		h.begin([]engine.Check{
			{Name: "store", Do: func(context.Context) error { asked++; return nil }},
			{Name: "keys", Do: func(ctx context.Context) error {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("a check without a deadline")
				}
				return broken
			}},
		}, func() []blobs.Health { return []blobs.Health{backend} })
		if code, body := askReady(h, "/readyz"); code != 200 || body != "ready\n" {
			t.Errorf("ready: %d %q", code, body)
		}
		broken = errors.New("disk /secret/path is gone")
		if code, _ := askReady(h, "/readyz"); code != 200 || asked != 1 {
			t.Errorf("asked %d times within %s, status %d", asked, readyFor, code)
		}
		time.Sleep(readyFor)
		code, body := askReady(h, "/readyz?verbose")
		if code != 503 || body != "store ok\nkeys failed\nbackend far ok\nnot ready\n" {
			t.Errorf("broken: %d %q", code, body)
		}
		if !strings.Contains(log.String(), "/secret/path") {
			t.Errorf("the cause is not in the log: %s", log.String())
		}
		broken = nil
		time.Sleep(readyFor)
		if code, _ := askReady(h, "/readyz"); code != 200 {
			t.Errorf("mended: %d", code)
		}
		// A backend that is away is shown, but does not make the gateway
		// unready.
		for state, health := range map[string]blobs.Health{
			"away": {Name: "far", Away: true}, "disagrees with the store": {Name: "far", Away: true, Disagrees: true},
		} {
			backend = health
			if code, body := askReady(h, "/readyz?verbose"); code != 200 || body != "store ok\nkeys ok\nbackend far "+state+"\nready\n" {
				t.Errorf("%s: %d %q", state, code, body)
			}
		}
		h.drain()
		if code, body := askReady(h, "/readyz?verbose"); code != 503 || body != "draining failed\nnot ready\n" {
			t.Errorf("draining: %d %q", code, body)
		}
	})
}

// Checks run at once, each with its own deadline. A check that hangs and
// ignores its deadline fails alone, within the wait of a balancer, and is not
// started again and again.
func TestReadinessOfWhatHangs(t *testing.T) {
	const balancer = 3 * time.Second // timeout check of deploy/haproxy
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := &readiness{log: slog.New(slog.DiscardHandler)}
			thaw, begun := make(chan struct{}), 0
			frozen := func(ctx context.Context) error {
				if deaf {
					ctx = context.WithoutCancel(ctx)
				}
				select {
				case <-thaw:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			h.begin([]engine.Check{
				{Name: "store", Do: func(ctx context.Context) error { begun++; return frozen(ctx) }},
				{Name: "another", Do: frozen},
				{Name: "keys", Do: func(context.Context) error { return nil }},
			}, func() []blobs.Health { return nil })
			for range 3 {
				began := time.Now()
				code, body := askReady(h, "/readyz?verbose")
				if code != 503 || body != "store failed\nanother failed\nkeys ok\nnot ready\n" || time.Since(began) >= balancer {
					t.Errorf("%d %q after %v", code, body, time.Since(began))
				}
				time.Sleep(readyFor)
			}
			if deaf && begun != 1 {
				t.Errorf("a check that hangs was begun %d times", begun)
			}
			close(thaw)
			synctest.Wait()
			if code, _ := askReady(h, "/readyz"); code != 200 {
				t.Errorf("thawed: %d", code)
			}
		})
	}
}

func TestOperatorHandler(t *testing.T) {
	m := newMetrics()
	m.Request(api.Observation{Operation: "PutObject", Status: 200, Duration: time.Second, BytesIn: 7, BytesOut: -1})
	m.Request(api.Observation{Status: 403, Code: "AccessDenied"})
	m.Step(workers.Collector, time.Second, blobs.ErrStoreRolledBack)
	m.Panic(workers.Heartbeat)
	m.Collected(blobs.CollectReport{Condemned: 1, Deleted: 2, Swept: 3, Expired: 4, Doubtful: 5})
	m.watchHealth(func() []blobs.Health {
		return []blobs.Health{{Name: "east", Away: true, Disagrees: true, Doubtful: 6, Unanswered: 7}, {Name: "west"}}
	})
	h := operatorHandler(m, &readiness{log: slog.New(slog.DiscardHandler)})
	get := func(method, target string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w.Code, w.Body.String()
	}
	_, text := get("GET", "/metrics")
	for _, want := range []string{
		`sanctum_requests_total{code="",operation="PutObject",status="200"} 1`,
		`sanctum_requests_total{code="AccessDenied",operation="unknown",status="403"} 1`,
		`sanctum_request_duration_seconds_sum{operation="PutObject"} 1`,
		`sanctum_request_body_bytes_total{operation="PutObject"} 7`,
		`sanctum_requests_in_flight 0`,
		`sanctum_collector_refused 1`,
		`sanctum_worker_steps_total{result="error",worker="collector"} 1`,
		`sanctum_worker_panics_total{worker="heartbeat"} 1`,
		`sanctum_collector_condemned_blobs_total 1`,
		`sanctum_collector_deleted_blobs_total 2`,
		`sanctum_collector_swept_rows_total 3`,
		`sanctum_collector_expired_uploads_total 4`,
		`sanctum_collector_doubtful_blobs_total 5`,
		`sanctum_backend_up{backend="east"} 0`,
		`sanctum_backend_up{backend="west"} 1`,
		`sanctum_backend_disagrees{backend="east"} 1`,
		`sanctum_backend_disagrees{backend="west"} 0`,
		`sanctum_backend_doubtful_blobs{backend="east"} 6`,
		`sanctum_backend_unanswered_blobs{backend="east"} 7`,
		`sanctum_build_info{`, `go_goroutines `, `process_cpu_seconds_total `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, c := range []struct {
		method, target string
		status         int
	}{{"GET", "/livez", 200}, {"HEAD", "/livez", 200}, {"GET", "/readyz", 503}, {"GET", "/", 404}, {"GET", "/livez/", 404}, {"POST", "/metrics", 405}} {
		if code, _ := get(c.method, c.target); code != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, code, c.status)
		}
	}
}

func TestNotifySystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := notifySystemd("READY=1"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := l.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notifySystemd("READY=1"); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
}
