//go:build linux

package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.yaml.in/yaml/v3"

	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
	"github.com/sanctum-storage/gateway/internal/servers"
)

const (
	testAccessKey = "DEPLOYTESTACCESSKEY0"
	testSecretKey = "deploytest-secret-key-0123456789abcdefgh"
)

// series are the labels of each metric that a gateway has after some requests.
// Those of Prometheus itself are added.
func series(t *testing.T) map[string]map[string]bool {
	t.Helper()
	metrics := scrape(t)
	all := map[string]map[string]bool{"up": {}}
	line := regexp.MustCompile(`(?m)^([a-z_:]+)(?:\{(.*)\})? `)
	label := regexp.MustCompile(`([a-z_]+)="`)
	for _, m := range line.FindAllStringSubmatch(metrics, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string]bool{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = true
		}
	}
	for _, labels := range all {
		labels["job"], labels["instance"] = true, true // every scrape has these
	}
	if len(all) < 20 {
		t.Fatalf("only %d metrics in\n%s", len(all), metrics)
	}
	return all
}

// scrape runs a gateway, makes requests that succeed and that fail, and returns
// its metrics.
func scrape(t *testing.T) string {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	addresses, err := servers.FreeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	// A folder as a backend has no metrics of its own.
	objects := filepath.Join(dir, "objects")
	if err := os.Mkdir(objects, 0o700); err != nil {
		t.Fatal(err)
	}
	storage, err := servers.StartVersitygw(ctx, objects, filepath.Join(dir, "storage.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := storage.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := storage.MakeBucket(ctx, "sealed"); err != nil {
		t.Fatal(err)
	}
	p, err := servers.Start(servers.Spec{Name: "gateway", Program: gateway, Log: filepath.Join(dir, "log"),
		Args: []string{"serve", "--data", filepath.Join(dir, "data"), "--s3", addresses[0], "--admin", addresses[1], "--metrics", addresses[2]},
		Env: []string{"SANCTUM_ACCESS_KEY=" + testAccessKey, "SANCTUM_SECRET_KEY=" + testSecretKey,
			"SANCTUM_BACKENDS_MAIN_TYPE=s3", "SANCTUM_BACKENDS_MAIN_BUCKET=sealed", "SANCTUM_BACKENDS_MAIN_ENDPOINT=" + storage.Endpoint,
			"SANCTUM_BACKENDS_MAIN_ACCESS_KEY=" + storage.AccessKey, "SANCTUM_BACKENDS_MAIN_SECRET_KEY=" + storage.SecretKey,
			"SANCTUM_KEY_PROVIDERS_KMS_TYPE=vault", "SANCTUM_KEY_PROVIDERS_KMS_ADDRESS=" + startTransit(t).URL, "SANCTUM_KEY_PROVIDERS_KMS_KEY=" + transitKey,
			"SANCTUM_KEY_PROVIDERS_KMS_LOGIN=approle", "SANCTUM_KEY_PROVIDERS_KMS_ROLE=role", "SANCTUM_KEY_PROVIDERS_KMS_SECRET_ID=secret"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(addresses[0], &minio.Options{Creds: credentials.NewStaticV4(testAccessKey, testSecretKey, ""),
		Region: "us-east-1", Transport: transport, MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(ctx, servers.Answers(addresses[0])); err != nil {
		t.Fatal(err)
	}
	if err := c.MakeBucket(ctx, "metrics", minio.MakeBucketOptions{}); err != nil {

		t.Fatal(err)
	}
	if _, err := c.PutObject(ctx, "metrics", "key", bytes.NewReader([]byte("body")), 4, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.StatObject(ctx, "metrics", "none", minio.StatObjectOptions{}); err == nil {
		t.Fatal("an object that does not exist was found")
	}
	var text string
	// The background workers have made their first step soon after the start.
	err = p.Ready(ctx, func(ctx context.Context) error {
		text, err = get(ctx, transport, "http://"+addresses[2]+"/metrics")
		if err == nil && !strings.Contains(text, `sanctum_worker_steps_total{result="ok",worker="collector"}`) {
			err = io.ErrNoProgress
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// transit is a key service.
type transit struct {
	*vaulttest.Server
	URL string
}

const transitKey = "seeds"

// startTransit starts a key service with one key, which takes one login.
func startTransit(t *testing.T) *transit {
	t.Helper()
	s := vaulttest.New()
	s.AddKey(transitKey)
	s.Grant(transitKey)
	acceptLogins(s)
	listener := httptest.NewServer(s)
	t.Cleanup(listener.Close)
	return &transit{s, listener.URL}
}

func acceptLogins(s *vaulttest.Server) {
	s.Accept("auth/approle/login", map[string]string{"role_id": "role", "secret_id": "secret"})
}

func get(ctx context.Context, transport http.RoundTripper, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// expression is a PromQL expression and where it stands.
type expression struct{ place, text string }

// alertExpressions are those of the alert rules.
func alertExpressions(t *testing.T) (all []expression) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/prometheus/alerts.yml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("alert %s lacks a severity, a summary or a description", r.Alert)
			}
			all = append(all, expression{"alert " + r.Alert, r.Expr})
		}
	}
	return all
}

// dashboardExpressions are those of the panels and variables.
func dashboardExpressions(t *testing.T) (all []expression) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/sanctum.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its id is taken, it is too wide, or it shows nothing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			all = append(all, expression{"panel " + p.Title, target.Expr})
		}
	}
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			all = append(all, expression{"variable " + v.Name, q["query"].(string)})
		}
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b((?:sanctum|go|process|promhttp)_[a-z_]+|up)\b(?:\{([^}]*)\})?`)
	matcher    = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
)

// Every metric that the dashboard and the alerts name is one that a gateway has,
// with the labels that they ask for.
func TestMetricsExist(t *testing.T) {
	have := series(t)
	expressions := append(alertExpressions(t), dashboardExpressions(t)...)
	if len(expressions) < 30 {
		t.Fatalf("only %d expressions", len(expressions))
	}
	for _, e := range expressions {
		named := metricName.FindAllStringSubmatch(e.text, -1)
		if len(named) == 0 {
			t.Errorf("%s names no metric: %s", e.place, e.text)
		}
		for _, m := range named {
			labels, ok := have[m[1]]
			if !ok {
				t.Errorf("%s names %s, which no gateway has", e.place, m[1])
				continue
			}
			for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
				if !labels[l[1]] {
					t.Errorf("%s: %s has no label %s", e.place, m[1], l[1])
				}
			}
		}
		if strings.Count(e.text, "(") != strings.Count(e.text, ")") {
			t.Errorf("%s: parentheses differ: %s", e.place, e.text)
		}
	}
}

// The subject of an alert can be looked at: each metric of one is on the dashboard.
func TestAlertsAreShown(t *testing.T) {
	shown := map[string]bool{}
	for _, e := range dashboardExpressions(t) {
		for _, m := range metricName.FindAllStringSubmatch(e.text, -1) {
			shown[m[1]] = true
		}
	}
	for _, e := range alertExpressions(t) {
		for _, m := range metricName.FindAllStringSubmatch(e.text, -1) {
			if !shown[m[1]] && m[1] != "process_max_fds" { // a limit, beside what is shown of it
				t.Errorf("%s is about %s, which the dashboard does not show", e.place, m[1])
			}
		}
	}
}
