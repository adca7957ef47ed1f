//go:build linux && clients

package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/sigv4"
)

// fireWithin is how long an alert may take to fire once there is reason to.
const fireWithin = 90 * time.Second

// alerting is a Prometheus with our rules, in a faster time, and what it watches.
type alerting struct {
	t          *testing.T
	dir        string
	prometheus *servers.Prometheus
	all        []string // names of the rules
	fired      map[string]bool
}

var (
	holdFor = regexp.MustCompile(`for: \w+`)
	windows = regexp.MustCompile(`\[\d+m\]`)
	named   = regexp.MustCompile(`alert: (\w+)`)
)

func startAlerting(t *testing.T, dir string, targets ...string) *alerting {
	t.Helper()
	a := &alerting{t: t, dir: dir, fired: make(map[string]bool)}
	rules := read(t, "deploy/prometheus/alerts.yml")
	for _, m := range named.FindAllStringSubmatch(rules, -1) {
		a.all = append(a.all, m[1])
	}
	rules = windows.ReplaceAllString(holdFor.ReplaceAllString(rules, "for: 1s"), "[10s]")
	config := "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yml]\nscrape_configs:\n" +
		"  - job_name: sanctum\n    static_configs: [{targets: [" + strings.Join(targets, ", ") + "]}]\n"
	for name, text := range map[string]string{"alerts.yml": rules, "prometheus.yml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	var err error
	if a.prometheus, err = servers.StartPrometheus(t.Context(), filepath.Join(dir, "prometheus.yml"), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.prometheus.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// look takes note of the alerts that fire.
func (a *alerting) look() {
	a.t.Helper()
	resp, err := http.Get(a.prometheus.URL + "/api/v1/alerts")
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		a.t.Fatal(err)
	}
	for _, alert := range answer.Data.Alerts {
		if alert.State == "firing" {
			a.fired[alert.Labels["alertname"]] = true
		}
	}
}

// until does what is wrong over and over until the alerts have fired.
func (a *alerting) until(what string, do func(), names ...string) {
	a.t.Helper()
	for end := time.Now().Add(fireWithin); ; time.Sleep(200 * time.Millisecond) {
		if do != nil {
			do()
		}
		a.look()
		missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return a.fired[name] })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			a.t.Errorf("%s: %q do not fire", what, missing)
			return
		}
	}
}

// watchedGateway is a gateway that Prometheus scrapes.
type watchedGateway struct {
	*servers.Process
	t           *testing.T
	s3, metrics string
}

// send sends a signed request and returns the status; 0 where there is no answer.
func (g *watchedGateway) send(secret, method, target string, body []byte, headers ...string) int {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.s3+target, bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if err := sigv4.Sign(req, testAccessKey, secret, "us-east-1", "s3", sigv4.PayloadHash(body), time.Now()); err != nil {
		g.t.Fatal(err)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: http.DefaultTransport}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (g *watchedGateway) must(method, target string, body []byte, headers ...string) {
	g.t.Helper()
	if status := g.send(testSecretKey, method, target, body, headers...); status < 200 || status > 299 {
		g.t.Fatalf("%s %s: %d", method, target, status)
	}
}

// startWatched starts a gateway by a shell's command, in which "$@" is it with its
// arguments.
func startWatched(t *testing.T, program, command, dir string, addresses []string, env ...string) *watchedGateway {
	t.Helper()
	g := &watchedGateway{t: t, s3: addresses[0], metrics: addresses[2]}
	var err error
	g.Process, err = servers.Start(servers.Spec{Name: "gateway", Program: "/bin/sh", Log: dir + ".log",
		Args: []string{"-c", command, "sh", program, "serve", "--data", dir, "--s3", addresses[0], "--admin", addresses[1], "--metrics", addresses[2],
			"--collector-interval", "1s", "--collector-grace", "1s"},
		Env: append([]string{"SANCTUM_ACCESS_KEY=" + testAccessKey, "SANCTUM_SECRET_KEY=" + testSecretKey}, env...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Kill() })
	if err := g.Ready(t.Context(), servers.Answers(addresses[0])); err != nil {
		t.Fatal(err)
	}
	return g
}

// Each alert fires in a real Prometheus for the fault that it is for, done to real
// gateways. Only their times are shortened.
func TestAlertsFire(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	addresses, err := servers.FreeAddresses(6)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "gateway-other")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-X main.version=other", "-o", other, "./cmd/gateway")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	objects := filepath.Join(dir, "objects")
	if err := os.Mkdir(objects, 0o700); err != nil {
		t.Fatal(err)
	}
	storage, err := servers.StartVersitygw(ctx, objects, filepath.Join(dir, "storage.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { storage.Stop() })
	if err := storage.MakeBucket(ctx, "sealed"); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(dir, "postgres")
	if err := os.Mkdir(database, 0o755); err != nil {
		t.Fatal(err)
	}
	postgres, err := servers.StartPostgres(servers.Postgres15, database, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { postgres.Stop() })
	keys := startTransit(t)
	main := startWatched(t, gateway, `exec "$@"`, filepath.Join(dir, "main"), addresses[:3],
		"SANCTUM_STORE_URL="+postgres.URL("postgres"), "SANCTUM_BACKENDS_MAIN_TYPE=s3", "SANCTUM_BACKENDS_MAIN_BUCKET=sealed", "SANCTUM_BACKENDS_MAIN_ENDPOINT="+storage.Endpoint,
		"SANCTUM_BACKENDS_MAIN_ACCESS_KEY="+storage.AccessKey, "SANCTUM_BACKENDS_MAIN_SECRET_KEY="+storage.SecretKey,
		"SANCTUM_KEY_PROVIDERS_KMS_TYPE=vault", "SANCTUM_KEY_PROVIDERS_KMS_ADDRESS="+keys.URL, "SANCTUM_KEY_PROVIDERS_KMS_KEY="+transitKey,
		"SANCTUM_KEY_PROVIDERS_KMS_LOGIN=approle", "SANCTUM_KEY_PROVIDERS_KMS_ROLE=role", "SANCTUM_KEY_PROVIDERS_KMS_SECRET_ID=secret")
	// Nobody reads the log of the second, which has few descriptors.
	second := startWatched(t, other, `ulimit -n 300; "$@" 2>&1 | sleep 1`, filepath.Join(dir, "second"), addresses[3:])
	a := startAlerting(t, dir, main.metrics, second.metrics)
	main.must("PUT", "/bucket", nil)
	main.must("PUT", "/bucket/damaged", bytes.Repeat([]byte("damaged "), 20_000))

	a.until("two releases side by side", nil, "SanctumVersionsDiffer")
	a.until("a log that nobody reads", func() { second.send(testSecretKey, "HEAD", "/none", nil) }, "SanctumLogDropped")
	a.until("wrong secrets", func() {
		for range 20 {
			main.send("not-the-secret-key-of-this-access-key-00", "GET", "/", nil)
		}
	}, "SanctumSignatureFailures")

	keys.RefuseLogins()
	keys.RevokeAll()
	a.until("a key service that takes no login", func() { main.send(testSecretKey, "PUT", "/bucket-without-a-key", nil) }, "SanctumKeyProviderLogins", "SanctumKeyProviderFails")
	acceptLogins(keys.Server)

	var dialer net.Dialer
	for range 260 {
		conn, err := dialer.DialContext(ctx, "tcp", second.s3)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	a.until("many connections", nil, "SanctumFileDescriptors")

	flipEach(t, filepath.Join(objects, "sealed"))
	a.until("a flipped byte", func() { main.send(testSecretKey, "GET", "/bucket/damaged", nil) }, "SanctumDamage", "SanctumInternalErrors")
	main.must("PUT", "/bucket/edited", []byte("small"))
	if err := postgres.Exec(ctx, "postgres", "UPDATE objects SET size = size + 1 WHERE key = 'edited'"); err != nil {
		t.Fatal(err)
	}
	a.until("an edited row", func() { main.send(testSecretKey, "HEAD", "/bucket/edited", nil) }, "SanctumStoreDamage")

	bucket := filepath.Join(objects, "sealed")
	if err := os.Rename(bucket, bucket+".was"); err != nil {
		t.Fatal(err)
	}
	a.until("a bucket that is gone", func() {
		main.send(testSecretKey, "PUT", "/bucket/new", bytes.Repeat([]byte("x"), 100_000))
	}, "SanctumBackendErrors")
	if err := os.Rename(bucket+".was", bucket); err != nil {
		t.Fatal(err)
	}

	a.until("a store that waits", func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := postgres.Exec(ctx, "postgres", "BEGIN; LOCK TABLE objects IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2.5); COMMIT"); err != nil {
				t.Error(err)
			}
		})
		for range 8 {
			wg.Go(func() { time.Sleep(300 * time.Millisecond); main.send(testSecretKey, "HEAD", "/bucket/damaged", nil) })
		}
		wg.Wait()
	}, "SanctumSlow")

	main.must("PUT", "/logs", nil)
	main.must("PUT", "/bucket?logging", []byte("<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>x</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"))
	main.must("DELETE", "/logs", nil)
	long := strings.Repeat("x", 3000)
	a.until("access logs without their bucket", func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					main.send(testSecretKey, "HEAD", "/bucket?x="+long, nil, "Referer", long)
				}
			})
		}
		wg.Wait()
	}, "SanctumAccessLogDropped")

	second.Kill()
	a.until("a gateway that is gone", nil, "SanctumGatewayDown")
	if err := storage.Stop(); err != nil {
		t.Fatal(err)
	}
	a.until("a backend that is away", func() {
		main.send(testSecretKey, "PUT", "/bucket/new", bytes.Repeat([]byte("x"), 100_000))
	}, "SanctumBackendAway", "SanctumSlowDown", "SanctumWorkerFails")
	// Another storage in its place, which also has other credentials at first.
	if err := errors.Join(os.Rename(objects, objects+".was"), os.Mkdir(objects, 0o700), os.Mkdir(filepath.Join(objects, "sealed"), 0o700), storage.Restart(ctx)); err != nil {
		t.Fatal(err)
	}
	a.until("another storage", func() { main.send(testSecretKey, "PUT", "/bucket/new", []byte("x")) }, "SanctumCollectorRefuses")
	main.Kill()
	a.until("no gateway", nil, "SanctumNoGateway")
	for _, name := range a.all {
		if !a.fired[name] {
			t.Errorf("%s never fired", name)
		}
	}
}

// flipEach changes a byte in the middle of every large file.
func flipEach(t *testing.T, dir string) {
	t.Helper()
	flipped := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && len(b) > 1000 {
			b[len(b)/2] ^= 1
			flipped++
			err = os.WriteFile(path, b, 0o600)
		}
		return err
	})
	if err != nil || flipped == 0 {
		t.Fatalf("%d files were changed: %v", flipped, err)
	}
}
