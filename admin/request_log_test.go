package admin_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/requestlog"
	"github.com/sanctum-storage/gateway/sigv4"
)

// logged is a log that is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// wait returns the line of a request, which is written after its answer.
func (l *logged) wait(t *testing.T, id string) map[string]any {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		l.mu.Lock()
		text := l.b.String()
		l.mu.Unlock()
		for row := range strings.Lines(text) {
			var line map[string]any
			if err := json.Unmarshal([]byte(row), &line); err != nil {
				t.Fatalf("%v in %q", err, row)
			}
			if line["request_id"] == id {
				return line
			}
		}
	}
	t.Fatalf("no line of the request %s", id)
	return nil
}

// Each action by each kind of sender has a line with the fields of S3's lines
// and the right sender.
func TestRequestLog(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	log := &logged{}
	server := &server{g, ""}
	listener := httptest.NewServer(admin.New(admin.Config{Engine: g.Engine, Region: g.Region, Log: slog.New(slog.NewJSONHandler(log, nil))}))
	t.Cleanup(listener.Close)
	server.url = listener.URL
	alice := g.User(t, "alice")
	wrong, unknown := g.Root, accounts.Credential{AccessKey: "somebodys-secret-value", SecretKey: "unknown-secret"}
	wrong.SecretKey += "x"
	arn := func(c accounts.Credential) string { return "arn:aws:iam::" + accounts.Account(c.Tenant.ID) + ":root" }
	for _, c := range []struct {
		name, principal, accessKey, decision string
		cred                                 accounts.Credential
	}{
		{"another tenant", arn(alice), alice.AccessKey, requestlog.Deny, alice},
		{"a wrong secret", "unproven", g.Root.AccessKey, requestlog.Deny, wrong},
		{"an unknown key", "unproven", "", requestlog.Deny, unknown},
		{"nobody", "anonymous", "", requestlog.Deny, accounts.Credential{}},
		{"the operator", arn(g.Root), g.Root.AccessKey, requestlog.Allow, g.Root},
	} {
		for _, route := range routes {
			r := server.request(t, route.method, route.target, route.body)
			if c.cred.AccessKey != "" {
				server.sign(t, r, c.cred, admin.Service, sigv4.PayloadHash([]byte(route.body)))
			}
			r.Header.Set("User-Agent", "operators/1.0")
			a := send(t, r)
			line := log.wait(t, a.header.Get("X-Request-Id"))
			want := map[string]any{"msg": requestlog.Message, "api": "admin", "method": route.method, "resource": strings.SplitN(route.target, "?", 2)[0],
				"principal": c.principal, "access_key": c.accessKey, "decision": c.decision, "status": float64(a.status), "user_agent": "operators/1.0"}
			for name, value := range want {
				got := line[name]
				if got == nil {
					got = ""
				}
				if got != value {
					t.Errorf("%s %s by %s: %s is %v, want %v", route.method, route.target, c.name, name, got, value)
				}
			}
			action, _ := line["action"].(string)
			if known := route.target != "/v1/nowhere" &&
				route.method+route.target != "PATCH/v1/tenants"; known != strings.HasPrefix(action, "sanctum:") ||
				line["seconds"] == nil || line["remote"] == "" || a.status == 403 && line["code"] == nil {
				t.Errorf("%s %s by %s: %v", route.method, route.target, c.name, line)
			}
		}
	}
	if strings.Contains(log.b.String(), "somebodys-secret-value") || strings.Contains(log.b.String(), g.Root.SecretKey) {
		t.Error("the log has a secret")
	}
}
