package api_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/requestlog"
	"github.com/sanctum-storage/gateway/sigv4"
)

// always are the fields of every line.
var always = []string{"time", "level", "msg", "request_id", "api", "principal", "remote", "status", "bytes_in", "bytes_out", "seconds"}

// documentedFields are the fields that docs/operating/logs.md explains.
func documentedFields(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../docs/operating/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{"time": true, "level": true, "msg": true}
	for row := range strings.Lines(string(text)) {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				all[m[1]] = true
			}
		}
	}
	return all
}

// requestLines returns the lines about requests, by id.
func requestLines(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	all := make(map[string]map[string]any)
	for row := range strings.Lines(text) {
		var line map[string]any
		if err := json.Unmarshal([]byte(row), &line); err != nil {
			t.Fatalf("%v in %q", err, row)
		}
		if line["msg"] == requestlog.Message {
			all[line["request_id"].(string)] = line
		}
	}
	return all
}

// sender is a sender of requests, and the facts that the log must have about
// it.
type sender struct {
	name, principal string
	cred            accounts.Credential
	accessKey       string
	session         string
	temporary       bool
	refused         bool // always
}

func (h *household) senders(t *testing.T) []sender {
	t.Helper()
	arn := func(of accounts.Credential, rest string) string {
		return "arn:aws:iam::" + accounts.Account(of.Tenant.ID) + ":" + rest
	}
	user, ann := h.user(t, h.alice, "ann", allowAll)
	_, denied := h.user(t, h.alice, "denied", denyAll)
	role, err := h.g.Engine.Accounts().CreateIdentity(t.Context(), accounts.Identity{Tenant: h.alice.Tenant.ID, Kind: meta.IdentityRole, Name: "deployer",
		Inline: []accounts.InlinePolicy{{Name: "own", Document: allowAll}},
		Role: &accounts.RoleFacts{Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`,
			MaxSession: 3600}})
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Now().Add(time.Hour)
	assumed := h.sessionOf(t, accounts.Session{Tenant: h.alice.Tenant.ID, Holder: role.ID, Kind: role.Kind, Name: "release-7", Expires: hour})
	token := h.sessionOf(t, accounts.Session{Tenant: h.alice.Tenant.ID, Holder: user.ID, Kind: user.Kind, Expires: hour})
	unknown, spoilt := h.alice, h.alice
	unknown.AccessKey, spoilt.SecretKey = "SGSOMEBODYSSECRETVALUE", h.mallory.SecretKey
	return []sender{
		{name: "a root", principal: arn(h.alice, "root"), cred: h.alice, accessKey: h.alice.AccessKey},
		{name: "the operator", principal: arn(h.g.Root, "root"), cred: h.g.Root, accessKey: h.g.Root.AccessKey},
		{name: "a user", principal: arn(h.alice, "user/ann"), cred: ann, accessKey: ann.AccessKey},
		{name: "a denied user", principal: arn(h.alice, "user/denied"), cred: denied, accessKey: denied.AccessKey, refused: true},
		{name: "another tenant", principal: arn(h.mallory, "root"), cred: h.mallory, accessKey: h.mallory.AccessKey, refused: true},
		{name: "a role's session", principal: "arn:aws:sts::" + accounts.Account(h.alice.Tenant.ID) + ":assumed-role/deployer/release-7", cred: assumed,
			accessKey: assumed.AccessKey,
			session:   "release-7", temporary: true},
		{name: "a user's token", principal: arn(h.alice, "user/ann"), cred: token, accessKey: token.AccessKey, temporary: true},
		{name: "nobody", principal: "anonymous", refused: true},
		{name: "a wrong secret", principal: "unproven", cred: spoilt, accessKey: h.alice.AccessKey, refused: true},
		{name: "an unknown key", principal: "unproven", cred: unknown, refused: true},
	}
}

// Every operation is sent by everybody. Its line tells who did what to which
// object from where, the decision and the reason, in documented fields, and
// nothing else.
func TestRequestLog(t *testing.T) {
	h := newHousehold(t)
	documented := documentedFields(t)
	b, err := h.g.Engine.Buckets().Get(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	type sent struct {
		sender
		op  *api.Operation
		res int
	}
	all := make(map[string]sent)
	agent := "größe/1.0 " + strings.Repeat("x", 2*requestlog.MaxText)
	for _, s := range h.senders(t) {
		for i := range api.Operations {
			op := &api.Operations[i]
			target, header := h.example(op, false)
			r := h.g.Request(t, op.Method, target, nil)
			r.Header = header
			r.Header.Set("User-Agent", agent)
			if !op.Preflight && s.cred.AccessKey != "" {
				sign(t, h.g, r, s.cred, sigv4.PayloadHash(nil), time.Now())
			}
			res := h.g.Send(t, r)
			all[res.Header.Get("X-Amz-Request-Id")] = sent{s, op, res.Status}
		}
	}
	h.g.Server.Close() // waits for the last request's line
	text := h.log.String()
	for _, secret := range []string{"SGSOMEBODYSSECRETVALUE", h.alice.SecretKey, `"key":`, "/bucket/key", "Credential=", "AWS4-HMAC"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	lines, seen := requestLines(t, text), make(map[string]bool)
	for id, s := range all {
		line := lines[id]
		what := s.op.Name + " by " + s.name
		for _, name := range always {
			if _, ok := line[name]; !ok {
				t.Errorf("%s: no %s in %v", what, name, line)
			}
		}
		for name := range line {
			if seen[name] = true; !documented[name] {
				t.Errorf("%s: %s is not documented", what, name)
			}
		}
		want := map[string]any{"api": "s3", "action": "s3:" + s.op.Name, "method": s.op.Method, "status": float64(s.res), "source": "127.0.0.1",
			"user_agent": "gr??" + strings.Repeat("?", 2) + "e/1.0 " + strings.Repeat("x", requestlog.MaxText-len("größe/1.0 ")), "principal": s.principal}
		if s.op.Preflight || s.op.Name == "PostObject" {
			want["principal"] = line["principal"] // it is signed differently
		} else {
			want["access_key"], want["session"] = s.accessKey, s.session
			if (line["session_issued"] != nil) != s.temporary {
				t.Errorf("%s: session_issued is %v", what, line["session_issued"])
			}
		}
		if s.op.Scope == api.BucketScope || s.op.Scope == api.ObjectScope {
			want["bucket"] = "bucket"
		}
		if s.op.Scope == api.ObjectScope && s.principal != "unproven" && !s.op.Preflight && s.op.Name != "PostObject" {
			want["key_hash"] = h.g.Engine.Damage().KeyHash(b.ID, "key")
		}
		if s.res == http.StatusForbidden {
			want["decision"] = requestlog.Deny
			if line["code"] == "AccessDenied" && line["reason"] == nil && !s.op.Preflight {
				t.Errorf("%s: denied without a reason: %v", what, line)
			}
		}
		for name, value := range want {
			got := line[name]
			if got == nil {
				got = ""
			}
			if value == "" && name == "session" && got == "" {
				continue
			}
			if got != value {
				t.Errorf("%s: %s is %v, want %v", what, name, got, value)
			}
		}
	}
	missing := slices.DeleteFunc(slices.Sorted(func(yield func(string) bool) {
		for name := range documented {
			if !yield(name) {
				return
			}
		}
	}), func(name string) bool { return seen[name] })
	// These appear in lines of other tests.
	if others := []string{"backend", "blob", "cut", "damage", "error", "resource", "subject", "version_id"}; !slices.Equal(missing, others) {
		t.Errorf("documented, and in no line: %q, want %q", missing, others)
	}
}

// Strangers can neither make a line longer than its fields may be nor write
// what they like into it.
func TestRequestLogIsBounded(t *testing.T) {
	h := newHousehold(t)
	r := h.g.Request(t, "GET", "/"+strings.Repeat("b", 2*requestlog.MaxText)+"%0A%1Bkey", nil)
	r.Method = strings.Repeat("M", 2*requestlog.MaxText)
	id := h.g.Send(t, r).Header.Get("X-Amz-Request-Id")
	r = h.g.Request(t, "GET", "/odd%0A%1Bkey", nil)
	odd := h.g.Send(t, r).Header.Get("X-Amz-Request-Id")
	h.g.Server.Close() // waits for the last request's line
	lines := requestLines(t, h.log.String())
	for name, want := range map[string]string{"bucket": strings.Repeat("b", requestlog.MaxText), "method": strings.Repeat("M", requestlog.MaxText)} {
		if got := lines[id][name]; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := lines[odd]["bucket"]; got != "odd??key" {
		t.Errorf("odd characters: %v", got)
	}
}

// A request that claims to be signed is unproven until it is verified, also if
// nothing verified it: for each form of the claim.
func TestRequestLogUnproven(t *testing.T) {
	h := newHousehold(t)
	want := make(map[string]string)
	for _, c := range []struct{ query, header, principal string }{
		{"", "", "anonymous"},
		{"", "AWS4-HMAC-SHA256 x", "unproven"},
		{"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Signature=x", "", "unproven"},
		{"?AWSAccessKeyId=x&Expires=1&Signature=x", "", "unproven"},
	} {
		r := h.g.Request(t, "PATCH", "/bucket/key"+c.query, nil) // no operation has the method
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		res := h.g.Send(t, r)
		expect(t, c.query, res, 405, "MethodNotAllowed")
		want[res.Header.Get("X-Amz-Request-Id")] = c.principal
	}
	h.g.Server.Close() // waits for the last request's line
	lines := requestLines(t, h.log.String())
	for id, principal := range want {
		if got := lines[id]["principal"]; got != principal {
			t.Errorf("%v, want %s", lines[id], principal)
		}
	}
}
