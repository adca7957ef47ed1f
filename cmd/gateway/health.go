package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
)

const (
	// readyTimeout bounds each check. All checks run at once, so this bounds
	// the answer as well: balancers give up after 3 seconds, and would see a
	// timeout in place of the reason.
	readyTimeout = 2 * time.Second
	// readyFor is how long an answer is reused. The checks write to the disk,
	// and frequent probes must not become a load.
	readyFor = 2 * time.Second
	// healthTimeout bounds the health command.
	healthTimeout = 10 * time.Second
	maxHealthBody = 64 << 10
)

// readiness answers /readyz.
type readiness struct {
	log      *slog.Logger
	draining atomic.Bool

	mu      sync.Mutex
	checks  []engine.Check // none while starting
	health  func() []blobs.Health
	running map[string]*atomic.Bool // checks that have not ended, by name
	last    []result
	checked time.Time
}

// result is one line of an answer.
type result struct {
	name, state string
	ok          bool // true also for results that do not affect readiness
}

// outcome is the result of a check. The cause of a failure is not part of it,
// because anyone may ask for it.
func outcome(name string, err error) result {
	if err != nil {
		return result{name, "failed", false}
	}
	return result{name, "ok", true}
}

// begin ends the state of starting. From now on the checks decide whether the
// process is ready. health is shown to those who ask for it, but a backend that
// is away does not make the gateway unready: requests for other backends still
// work.
func (h *readiness) begin(checks []engine.Check, health func() []blobs.Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks, h.health, h.running = checks, health, make(map[string]*atomic.Bool)
	for _, c := range checks {
		h.running[c.Name] = new(atomic.Bool)
	}
}

// drain makes the process unready for good.
func (h *readiness) drain() { h.draining.Store(true) }

// results runs the checks, or repeats an answer that is fresh enough. The cause
// of a failure goes to the log only.
func (h *readiness) results(ctx context.Context) []result {
	if h.draining.Load() {
		return []result{{"draining", "failed", false}}
	}
	// The lock is held during the checks, so that concurrent probes share one run.
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.checks == nil:
		return []result{{"starting", "failed", false}}
	case h.last == nil || time.Since(h.checked) >= readyFor:
		// Later probes share the result, so the end of this one must not cancel
		// it.
		h.last = h.check(context.WithoutCancel(ctx))
		h.checked = time.Now()
	}
	all := slices.Clone(h.last)
	for _, b := range h.health() {
		state := "ok"
		switch {
		case b.Disagrees:
			state = "disagrees with the store"
		case b.Away:
			state = "away"
		}
		all = append(all, result{"backend " + b.Name, state, true})
	}
	return all
}

// check runs all checks at once, each for readyTimeout at most. A check that
// does not end has failed, and is not started again before it ends. So a
// hanging disk costs one goroutine, not one for each probe.
func (h *readiness) check(ctx context.Context) []result {
	all := make([]result, len(h.checks))
	var checking sync.WaitGroup
	for i, c := range h.checks {
		running := h.running[c.Name]
		if running.Swap(true) {
			all[i] = outcome(c.Name, errHangs)
			continue
		}
		checking.Go(func() { all[i] = h.checkOne(ctx, c, running) })
	}
	checking.Wait()
	return all
}

// errHangs is the result of a check that is still running since an earlier
// probe.
var errHangs = errors.New("it does not answer")

// checkOne runs one check in a goroutine of its own, because a check that waits
// for a disk does not notice the end of ctx.
func (h *readiness) checkOne(ctx context.Context, c engine.Check, running *atomic.Bool) result {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	// Buffered, so that a late answer does not keep the goroutine.
	answered := make(chan error, 1)
	go func() {
		err := c.Do(ctx)
		// Also if nobody waits any more: the next probe may start the check again.
		running.Store(false)
		answered <- err
	}()
	var err error
	select {
	case err = <-answered:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		h.log.Warn("not ready", "check", c.Name, "error", err)
	}
	return outcome(c.Name, err)
}

// ServeHTTP answers 200 or 503. With ?verbose it writes one line for each check
// and each backend.
func (h *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var lines strings.Builder
	ready := true
	for _, res := range h.results(r.Context()) {
		ready = ready && res.ok
		fmt.Fprintf(&lines, "%s %s\n", res.name, res.state)
	}
	if !r.URL.Query().Has("verbose") {
		lines.Reset()
	}
	status := http.StatusOK
	if ready {
		lines.WriteString("ready\n")
	} else {
		status = http.StatusServiceUnavailable
		lines.WriteString("not ready\n")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, lines.String())
}

// operatorHandler serves metrics and health. They have a listener of their own,
// where no bucket can have their names.
func operatorHandler(m *metrics, h *readiness) http.Handler {
	scrape := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		case r.URL.Path == "/metrics":
			scrape.ServeHTTP(w, r)
		case r.URL.Path == "/livez":
			io.WriteString(w, "alive\n")
		case r.URL.Path == "/readyz":
			h.ServeHTTP(w, r)
		default:
			http.Error(w, "the paths are /metrics, /livez and /readyz", http.StatusNotFound)
		}
	})
}

// healthCommand is for images without a shell, whose health check must be a
// command.
func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running server whether it is ready: exit status 0 or 1",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, environment())
			if err != nil {
				return usage(err)
			}
			return failed(askHealth(cmd.Context(), cmd.OutOrStdout(), c.MetricsAddress))
		},
	}
	addSettingFlags(cmd, forHealth)
	return cmd
}

// askHealth prints the answer of /readyz. It returns an error unless the server
// is ready.
func askHealth(ctx context.Context, w io.Writer, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz?verbose", nil)
	if err != nil {
		return err
	}
	// This transport uses no proxy of the environment, and RoundTrip follows no
	// redirect.
	resp, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: check that the server is running and that this is its --metrics address (%w)", addr, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, io.LimitReader(resp.Body, maxHealthBody)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New("the server is not ready")
	}
	return nil
}
