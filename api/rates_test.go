package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
)

// A tenant at its limit is told to slow down; others are not.
func TestRequestRate(t *testing.T) {
	g, alice, bob := shared(t, gatewaytest.Options{})
	if err := g.Engine.Accounts().SetLimits(t.Context(), alice.Tenant.ID, meta.Limits{Requests: 1}); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 20 {
		if res := g.Do(t, alice, "HEAD", "/bucket/open", nil); res.Status == 503 {
			refused++
			if res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		if res := g.Do(t, bob, "GET", "/", nil); res.Status != 200 {
			t.Fatalf("bob: %d %s", res.Status, res.Body)
		}
	}
	if refused == 0 {
		t.Error("20 requests at once passed a limit of one a second")
	}
}

// A tenant at its limit is refused before anything is looked up: the requested
// object need not exist.
func TestRefusedFirst(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	if err := g.Engine.Accounts().SetLimits(t.Context(), alice.Tenant.ID, meta.Limits{Requests: 1}); err != nil {
		t.Fatal(err)
	}
	var seen []int
	for range 20 {
		seen = append(seen, g.Do(t, alice, "GET", "/no-such-bucket/key", nil).Status)
	}
	if !slices.Contains(seen, 503) || slices.ContainsFunc(seen, func(status int) bool { return status != 503 && status != 404 }) {
		t.Errorf("answers beyond the limit: %v", seen)
	}
}

// putSlowly begins a PUT of four bytes. It lasts until end sends the rest and
// returns the status.
func putSlowly(t *testing.T, g *gatewaytest.Gateway, by accounts.Credential, path string) (end func() int) {
	t.Helper()
	pr, pw := io.Pipe()
	r, err := http.NewRequest("PUT", g.URL+path, pr)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 4
	// The body is requested when the request is carried out, and sent only
	// then.
	g.Client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	r.Header.Set("Expect", "100-continue")
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if err := sigv4.Sign(r, by.AccessKey, by.SecretKey, g.Region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		t.Fatal(err)
	}
	done := make(chan int, 1)
	go func() {
		res, err := g.Client.Do(r)
		if err != nil {
			done <- 0
			return
		}
		res.Body.Close()
		done <- res.StatusCode
	}()
	if _, err := pw.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	return func() int {
		if _, err := pw.Write([]byte("cd")); err != nil {
			t.Error(err)
		}
		pw.Close()
		return <-done
	}
}

// While the allowed number of requests is in progress, the next one is refused.
func TestConcurrentRequests(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	b, err := g.Engine.Buckets().Get(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Buckets().SetLimits(t.Context(), b, meta.Limits{Concurrent: 1}); err != nil {
		t.Fatal(err)
	}
	end := putSlowly(t, g, alice, "/bucket/slow")
	expect(t, "beyond the limit", g.Do(t, alice, "HEAD", "/bucket/open", nil), 503, "")
	if status := end(); status != 200 {
		t.Errorf("the first request ended with %d", status)
	}
	if res := g.Do(t, alice, "HEAD", "/bucket/open", nil); res.Status != 200 {
		t.Errorf("afterwards: %d", res.Status)
	}
}

// A request that is in progress while limits change counts until it ends, and
// no longer, for every party.
func TestLimitsChangeMeanwhile(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	b, err := g.Engine.Buckets().Get(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	user, err := g.Engine.Accounts().CreateIdentity(t.Context(), accounts.Identity{Tenant: alice.Tenant.ID, Kind: meta.IdentityUser, Name: "worker",
		Inline: []accounts.InlinePolicy{{Name: "all", Document: allowAll}}})
	if err != nil {
		t.Fatal(err)
	}
	worker, err := g.Engine.Accounts().CreateAccessKey(t.Context(), alice.Tenant, user.ID, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(meta.Limits) error{
		"tenant": func(l meta.Limits) error { return g.Engine.Accounts().SetLimits(t.Context(), alice.Tenant.ID, l) },
		"bucket": func(l meta.Limits) error { return g.Engine.Buckets().SetLimits(t.Context(), b, l) },
		"user": func(l meta.Limits) error {
			_, err := g.Engine.Accounts().ChangeIdentity(t.Context(), alice.Tenant.ID, meta.IdentityUser, "worker", func(i *accounts.Identity) error {
				i.Limits = l
				return nil
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			limit := func(l meta.Limits) {
				t.Helper()
				if err := set(l); err != nil {
					t.Fatal(err)
				}
			}
			want := func(what string, status int) {
				t.Helper()
				if res := g.Do(t, worker, "HEAD", "/bucket/open", nil); res.Status != status {
					t.Errorf("%s: %d, want %d", what, res.Status, status)
				}
			}
			limit(meta.Limits{Concurrent: 1})
			end := putSlowly(t, g, worker, "/bucket/slow")
			want("beside one that goes on", 503)
			limit(meta.Limits{Concurrent: 2})
			want("beside one, of two", 200)
			limit(meta.Limits{Concurrent: 1})
			want("beside one that began before the limits changed", 503)
			if status := end(); status != 200 {
				t.Errorf("the request that went on ended with %d", status)
			}
			want("beside none", 200)
			limit(meta.Limits{})
		})
	}
}

// settable is a clock that moves only by waiting.
type settable struct {
	mu     sync.Mutex
	t      time.Time
	waited time.Duration
}

func (c *settable) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *settable) wait(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t, c.waited = c.t.Add(d), c.waited+d
	return nil
}

func (c *settable) total() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waited
}

// Bodies pass neither faster nor slower than a limit allows, and whole. After
// the time that they took, the next may start at the same speed.
func TestBandwidth(t *testing.T) {
	c := &settable{t: time.Now()}
	g, alice, bob := shared(t, gatewaytest.Options{Now: c.now, Wait: c.wait})
	const perSecond = 1 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*perSecond/16)
	if err := g.Engine.Accounts().SetLimits(t.Context(), alice.Tenant.ID, meta.Limits{Upload: perSecond, Download: perSecond}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, method := range []string{"PUT", "GET"} {
			var body []byte
			if method == "PUT" {
				body = data
			}
			before := c.total()
			res := g.Do(t, alice, method, "/bucket/large", body)
			if res.Status != 200 {
				t.Fatalf("%s: %d %s", method, res.Status, res.Body)
			}
			// The first second's worth passes at once.
			if took := (c.total() - before).Round(time.Millisecond); took != 2*time.Second {
				t.Errorf("%s of three seconds' worth waited %s", method, took)
			}
			if method == "GET" && !bytes.Equal(res.Body, data) {
				t.Error("the body is another")
			}
		}
	}
	before := c.total()
	if res := g.Do(t, bob, "GET", "/", nil); res.Status != 200 || c.total() != before {
		t.Errorf("a tenant without limits: %d, waited %s", res.Status, c.total()-before)
	}
}

// When a client leaves while a limit holds its body back, the gateway does not
// wait on, and gives back what was counted for bytes that never passed.
func TestBandwidthGivenUp(t *testing.T) {
	c := &settable{t: time.Now()}
	held, ended := make(chan struct{}, 1), make(chan api.Observation, 100)
	var hold atomic.Bool
	g, alice, _ := shared(t, gatewaytest.Options{Now: c.now, Wait: func(ctx context.Context, d time.Duration) error {
		if !hold.CompareAndSwap(true, false) {
			return c.wait(ctx, d)
		}
		held <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}, Observe: func(o api.Observation) { ended <- o }})
	const perSecond = 1 << 20
	data := bytesOf(2 * perSecond)
	if res := g.Do(t, alice, "PUT", "/bucket/large", data); res.Status != 200 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	if err := g.Engine.Accounts().SetLimits(t.Context(), alice.Tenant.ID, meta.Limits{Download: perSecond}); err != nil {
		t.Fatal(err)
	}
	hold.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	r := g.Request(t, "GET", "/bucket/large", nil).WithContext(ctx)
	g.Sign(t, r, alice, nil)
	res, err := g.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-held
		cancel()
	}()
	if n, err := io.Copy(io.Discard, res.Body); !errors.Is(err, context.Canceled) || n > perSecond {
		t.Errorf("given up after %d bytes: %v", n, err)
	}
	res.Body.Close()
	for o := range ended {
		if o.Operation == "GetObject" {
			break
		}
	}
	c.wait(t.Context(), time.Second) // now a second's worth may pass again
	before := c.total()
	if res := g.Do(t, alice, "GET", "/bucket/large", nil); !bytes.Equal(res.Body, data) {
		t.Errorf("afterwards: %d, %d bytes", res.Status, len(res.Body))
	}
	if took := (c.total() - before).Round(time.Millisecond); took != time.Second {
		t.Errorf("two seconds' worth waited %s", took)
	}
}
