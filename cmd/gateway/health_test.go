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
		h.begin([]engine.Check{
			{Name: "store", Do: func(context.Context) error { asked++; return nil }},
			{Name: "backend", Do: func(ctx context.Context) error {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("a check without a deadline")
				}
				return broken
			}},
		})
		if code, body := askReady(h, "/readyz"); code != 200 || body != "ready\n" {
			t.Errorf("ready: %d %q", code, body)
		}
		broken = errors.New("disk /secret/path is gone")
		if code, _ := askReady(h, "/readyz"); code != 200 || asked != 1 {
			t.Errorf("asked %d times within %s, status %d", asked, readyFor, code)
		}
		time.Sleep(readyFor)
		code, body := askReady(h, "/readyz?verbose")
		if code != 503 || body != "store ok\nbackend failed\nnot ready\n" {
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
		h.drain()
		if code, body := askReady(h, "/readyz?verbose"); code != 503 || body != "draining failed\nnot ready\n" {
			t.Errorf("draining: %d %q", code, body)
		}
	})
}

func TestOperatorHandler(t *testing.T) {
	m := newMetrics()
	m.Request(api.Observation{Operation: "PutObject", Status: 200, Duration: time.Second, BytesIn: 7, BytesOut: -1})
	m.Request(api.Observation{Status: 403, Code: "AccessDenied"})
	m.Step(workers.Collector, time.Second, engine.ErrStoreRolledBack)
	m.Panic(workers.Heartbeat)
	m.Collected(engine.CollectReport{Condemned: 1, Deleted: 2, Swept: 3, Expired: 4, Doubtful: 5})
	m.watchHealth(func() []engine.Health {
		return []engine.Health{{Name: "east", Disagrees: true, Doubtful: 6}, {Name: "west"}}
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
		`sanctum_backend_disagrees{backend="east"} 1`,
		`sanctum_backend_disagrees{backend="west"} 0`,
		`sanctum_backend_doubtful_blobs{backend="east"} 6`,
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
