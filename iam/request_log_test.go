package iam_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
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

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// want demands a line of a request, which is written after its answer, with
// these fields. An empty value means that the field is absent.
func (l *logged) want(t *testing.T, id string, fields map[string]any) {
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
			if line["request_id"] != id {
				continue
			}
			for name, value := range fields {
				if got := line[name]; got != value && (value != "" || got != nil) {
					t.Errorf("%s is %v, want %v in %v", name, got, value, line)
				}
			}
			return
		}
	}
	t.Fatalf("no line of the request %s", id)
}

// Each action by each kind of sender has a line with the fields of S3's lines
// and the right sender.
func TestRequestLog(t *testing.T) {
	var log logged
	g := newRig(t, gatewaytest.Options{Log: log.logger()})
	account := accounts.Account(g.tenant.Tenant.ID)
	wrong, unknown := g.tenant, accounts.Credential{AccessKey: "SGSOMEBODYSSECRETVALUE", SecretKey: g.tenant.SecretKey}
	wrong.SecretKey = g.cred.SecretKey
	token, err := g.Engine.Accounts().NewSession(accounts.Session{Tenant: g.tenant.Tenant.ID, Holder: g.user.ID,
		Kind: g.user.Kind, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for action := range iam.Actions() {
		if unsigned[action] != "" {
			continue // TestWebIdentity
		}
		service := "iam"
		if strings.HasPrefix(action, "Assume") || action == "GetCallerIdentity" || action == "GetSessionToken" {
			service = "sts"
		}
		for name, c := range map[string]struct {
			cred                 accounts.Credential
			principal, accessKey string
		}{
			"a user":         {g.cred, "arn:aws:iam::" + account + ":user/dev", g.cred.AccessKey},
			"a user's token": {token, "arn:aws:iam::" + account + ":user/dev", token.AccessKey},
			"a root":         {g.tenant, "arn:aws:iam::" + account + ":root", g.tenant.AccessKey},
			"a wrong secret": {wrong, "unproven", g.tenant.AccessKey},
			"an unknown key": {unknown, "unproven", ""},
			"nobody":         {accounts.Credential{}, "anonymous", ""},
		} {
			a := post(t, g.Gateway, c.cred, service,
				form("Action", action, "UserName", "nobody", "GroupName", "g", "RoleName", "r", "PolicyName", "p", "PolicyDocument", "none"))
			want := map[string]any{"msg": "request", "api": service, "action": service + ":" + action, "method": "POST", "principal": c.principal,
				"access_key": c.accessKey, "status": float64(a.status), "code": a.one("Code"), "source": "127.0.0.1"}
			if a.status == 403 {
				want["decision"] = "deny"
			}
			if t.Run(action+" by "+name, func(t *testing.T) { log.want(t, a.one("RequestId"), want) }); t.Failed() {
				t.Fatal(a.body)
			}
		}
	}
	for _, secret := range []string{"SGSOMEBODYSSECRETVALUE", g.tenant.SecretKey, token.Token} {
		if strings.Contains(log.b.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}
