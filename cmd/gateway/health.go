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
	// readyTimeout bounds each check, all of which run at once. Balancers give up after
	// 3 seconds, and would call a gateway dead that wants to say what is wrong.
	readyTimeout = 2 * time.Second
	// readyFor is how long an answer is reused: the checks write to the disk,
	// and probes must not become a load.
	readyFor = 2 * time.Second
	// healthTimeout is for the health command.
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
	ok          bool // or of no matter: the gateway is ready all the same
}

func outcome(name string, err error) result {
	if err != nil {
		return result{name, "failed", false}
	}
	return result{name, "ok", true}
}

// begin makes the process ready as far as the checks are. What health says of backends
// is told to those who ask for it, and is no condition.
func (h *readiness) begin(checks []engine.Check, health func() []blobs.Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks, h.health, h.running = checks, health, make(map[string]*atomic.Bool)
	for _, c := range checks {
		h.running[c.Name] = new(atomic.Bool)
	}
}

// drain makes the process not ready for good.
func (h *readiness) drain() { h.draining.Store(true) }

// results runs the checks, or repeats an answer that is fresh enough. A cause
// goes to the log and not to whoever asks.
func (h *readiness) results(ctx context.Context) []result {
	if h.draining.Load() {
		return []result{{"draining", "failed", false}}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.checks == nil:
		return []result{{"starting", "failed", false}}
	case h.last == nil || time.Since(h.checked) >= readyFor:
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

// check runs all checks at once, each for readyTimeout at most. One that does not end
// has failed, and is not begun again before it has.
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

// errHangs: a check of before has not ended.
var errHangs = errors.New("it does not answer")

func (h *readiness) checkOne(ctx context.Context, c engine.Check, running *atomic.Bool) result {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		err := c.Do(ctx)
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

// ServeHTTP answers 200 or 503; with ?verbose one line for each check and each backend.
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

// operatorHandler serves metrics and health on a listener of its own, where no
// bucket can be in the way.
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
			http.Error(w, "there is /metrics, /livez and /readyz", http.StatusNotFound)
		}
	})
}

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

// askHealth prints what /readyz says.
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
	resp, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("no answer from %s; is the server running, and is this its --metrics address? %w", addr, err)
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
