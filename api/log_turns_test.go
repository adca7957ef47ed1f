package api_test

import (
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// slowLogs has a tenant with the logs of three buckets, and another with that of
// one. The hook runs before each write to the backend.
func slowLogs(t *testing.T, hook func(pass func(time.Duration))) (*gatewaytest.Gateway, func(time.Duration)) {
	t.Helper()
	var mu sync.Mutex
	now := time.Date(2030, 1, 15, 0, 0, 0, 0, time.UTC)
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	plan := faults.NewPlan(1)
	g := gatewaytest.Start(t, gatewaytest.Options{Backend: faults.Backend(mem.New(), plan), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	alice, bob := g.User(t, "alice"), g.User(t, "bob")
	put := func(c accounts.Credential, target string, body []byte) {
		t.Helper()
		if res := g.Do(t, c, "PUT", target, body); res.Status != 200 {
			t.Fatalf("PUT %s: %d %s", target, res.Status, res.Body)
		}
	}
	put(alice, "/logs-of-alice", nil)
	put(bob, "/logs-of-bob", nil)
	for name, of := range map[string]accounts.Credential{"alice-1": alice, "alice-2": alice, "alice-3": alice, "bob-1": bob} {
		put(of, "/"+name, nil)
		put(of, "/"+name+"?logging", loggingInto("logs-of-"+name[:len(name)-2], ""))
		g.Do(t, of, "HEAD", "/"+name, nil)
	}
	put(bob, "/logs-of-bob/first", []byte("x")) // the backend's markers are written before it
	plan.Add(faults.Rule{Op: faults.OpPut, Hook: func() { hook(pass) }})
	return g, pass
}

// An owner whose logs take long to write has a bounded time in a delivery. The
// remaining logs are due at the next one, and none is lost.
func TestSlowLogsHaveATurn(t *testing.T) {
	g, pass := slowLogs(t, func(pass func(time.Duration)) { pass(time.Minute) })
	pass(api.LogInterval)
	for i, objects := range []int{2, 1, 1, 0} {
		r, err := g.API.DeliverLogs(t.Context(), false)
		if err != nil || r.Objects != objects || r.Dropped != 0 {
			t.Errorf("delivery %d: %+v, %v; want %d objects", i, r, err, objects)
		}
	}
}

// While an object of one owner is written, one of another owner is, and no
// second one of the first.
func TestLogsOfOwnersAreWrittenSideBySide(t *testing.T) {
	var mu sync.Mutex
	var once sync.Once
	running, most := 0, 0
	both := make(chan struct{})
	g, _ := slowLogs(t, func(func(time.Duration)) {
		mu.Lock()
		running++
		if most = max(most, running); running == 2 {
			once.Do(func() { close(both) })
		}
		mu.Unlock()
		select {
		case <-both:
		case <-time.After(5 * time.Second): // nobody else came
		}
		mu.Lock()
		running--
		mu.Unlock()
	})
	r, err := g.API.DeliverLogs(t.Context(), true)
	if err != nil || r.Objects != 4 {
		t.Fatalf("%+v, %v; want 4 objects", r, err)
	}
	if most != 2 {
		t.Errorf("%d objects were written at the same time, want one of each owner", most)
	}
}
