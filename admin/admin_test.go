package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// server is an admin API over a real engine.
type server struct {
	*gatewaytest.Gateway
	url string
}

func start(t *testing.T) *server {
	t.Helper()
	return startWith(t, gatewaytest.Options{})
}

func startWith(t *testing.T, o gatewaytest.Options) *server {
	t.Helper()
	g := gatewaytest.Start(t, o)
	s := httptest.NewServer(admin.New(admin.Config{Engine: g.Engine, Region: g.Region}))
	t.Cleanup(s.Close)
	return &server{g, s.URL}
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	var p struct {
		Code, Message string
		RequestID     string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("the error is not JSON: %q", a.body)
	}
	if p.Message == "" || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		t.Errorf("error without message or request id: %q", a.body)
	}
	return p.Code
}

// request sends an unsigned request.
func (s *server) request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, s.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *server) sign(t *testing.T, r *http.Request, c accounts.Credential, service, payload string) {
	t.Helper()
	if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, s.Region, service, payload, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, r *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s: no nosniff", r.Method, r.URL)
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s %s: answers with %s", r.Method, r.URL, name)
		}
	}
	a := answer{resp.StatusCode, resp.Header, string(body)}
	hold(t, r, a)
	return a
}

// call sends a correctly signed request of root.
func (s *server) call(t *testing.T, method, target, body string) answer {
	t.Helper()
	r := s.request(t, method, target, body)
	s.sign(t, r, s.Root, admin.Service, sigv4.PayloadHash([]byte(body)))
	return send(t, r)
}

// routes has every action with a request that reaches it.
var routes = []struct{ method, target, body string }{
	{"POST", "/v1/tenants", `{"name":"bob"}`},
	{"GET", "/v1/tenants", ""},
	{"GET", "/v1/tenants/alice", ""},
	{"DELETE", "/v1/tenants/alice", ""},
	{"POST", "/v1/tenants/alice/access-keys", `{}`},
	{"GET", "/v1/tenants/alice/access-keys", ""},
	{"DELETE", "/v1/access-keys/alice-key", ""},
	{"PUT", "/v1/tenants/alice/residency", `{"residency":"local"}`},
	{"POST", "/v1/tenants/alice/users", `{"name":"carol"}`},
	{"GET", "/v1/tenants/alice/users", ""},
	{"DELETE", "/v1/tenants/alice/users/carol", ""},
	{"POST", "/v1/tenants/alice/users/carol/access-keys", `{}`},
	{"GET", "/v1/tenants/alice/users/carol/access-keys", ""},
	{"GET", "/v1/buckets", ""},
	{"GET", "/v1/buckets/records", ""},
	{"PATCH", "/v1/buckets/records", `{"padding":"padme"}`},
	{"GET", "/v1/backends", ""},
	{"GET", "/v1/backends/local/stored", ""},
	{"POST", "/v1/backends/local/drain", `{"target":"other"}`},
	{"DELETE", "/v1/backends/local/drain", ""},
	{"DELETE", "/v1/backends/local/doubtful", ""},
	{"GET", "/v1/keys", ""},
	{"POST", "/v1/keys/rewrap", ""},
	{"GET", "/v1/keys/rewrap", ""},
	{"DELETE", "/v1/keys/rewrap", ""},
	{"GET", "/v1/keys/revocations", ""},
	{"POST", "/v1/keys/revocations", `{"all":true}`},
	{"POST", "/v1/keys/revocations/restore", `{"all":true}`},
	{"GET", "/v1/keys/rotation", ""},
	{"POST", "/v1/keys/rotation", `{"all":true}`},
	{"DELETE", "/v1/keys/rotation", ""},
	{"GET", "/v1/buckets/records/keys", ""},
	{"POST", "/v1/buckets/records/keys", ""},
	{"DELETE", "/v1/buckets/records/keys/1", ""},
	{"GET", "/v1/tenants/alice/limits", ""},
	{"PUT", "/v1/tenants/alice/limits", `{"bytes":1}`},
	{"PATCH", "/v1/tenants/alice/limits", `{"bytes":1}`},
	{"GET", "/v1/tenants/alice/users/carol/limits", ""},
	{"PUT", "/v1/tenants/alice/users/carol/limits", `{"requests":1}`},
	{"PATCH", "/v1/tenants/alice/users/carol/limits", `{"requests":1}`},
	{"GET", "/v1/buckets/records/limits", ""},
	{"PUT", "/v1/buckets/records/limits", `{"bytes":1}`},
	{"PATCH", "/v1/buckets/records/limits", `{"bytes":1}`},
	{"GET", "/v1/nowhere", ""},
	{"PATCH", "/v1/tenants", ""},
}

func TestEveryRouteRefusesWhoIsNotRoot(t *testing.T) {
	s := start(t)
	alice, err := s.Engine.Accounts().CreateTenant(t.Context(), "alice", "alice-key", "alice-secret", "")
	if err != nil {
		t.Fatal(err)
	}
	wrong := accounts.Credential{AccessKey: s.Root.AccessKey, SecretKey: s.Root.SecretKey + "x"}
	unknown := accounts.Credential{AccessKey: "unknown-key", SecretKey: "unknown-secret"}
	for _, route := range routes {
		payload := sigv4.PayloadHash([]byte(route.body))
		for name, c := range map[string]struct {
			code  string
			apply func(*http.Request)
		}{
			"unsigned":          {"AccessDenied", func(*http.Request) {}},
			"another user":      {"AccessDenied", func(r *http.Request) { s.sign(t, r, alice, admin.Service, payload) }},
			"wrong secret":      {"SignatureDoesNotMatch", func(r *http.Request) { s.sign(t, r, wrong, admin.Service, payload) }},
			"unknown key":       {"InvalidAccessKeyId", func(r *http.Request) { s.sign(t, r, unknown, admin.Service, payload) }},
			"signed for S3":     {"AuthorizationHeaderMalformed", func(r *http.Request) { s.sign(t, r, s.Root, "s3", payload) }},
			"body not signed":   {"AccessDenied", func(r *http.Request) { s.sign(t, r, s.Root, admin.Service, sigv4.Unsigned.String()) }},
			"header not signed": {"AccessDenied", func(r *http.Request) { s.sign(t, r, s.Root, admin.Service, payload); r.Header.Set("X-Amz-Extra", "1") }},
			"another target":    {"SignatureDoesNotMatch", func(r *http.Request) { s.sign(t, r, s.Root, admin.Service, payload); r.URL.RawQuery = "limit=1" }},
			"presigned": {"AccessDenied", func(r *http.Request) {
				u, err := sigv4.Presign(r, s.Root.AccessKey, s.Root.SecretKey, s.Region, admin.Service, time.Minute, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				if r.URL, err = r.URL.Parse(u); err != nil {
					t.Fatal(err)
				}
			}},
		} {
			r := s.request(t, route.method, route.target, route.body)
			c.apply(r)
			a := send(t, r)
			if a.status < 400 || a.status > 403 || a.code(t) != c.code {
				t.Errorf("%s %s, %s: %d %s, want %s", route.method, route.target, name, a.status, a.body, c.code)
			}
		}
	}
	if _, err := s.Engine.Accounts().TenantByName(t.Context(), "alice"); err != nil {
		t.Errorf("a refused request changed something: %v", err)
	}
	if _, err := s.Engine.Accounts().TenantByName(t.Context(), "bob"); err == nil {
		t.Error("a refused request created a user")
	}
}

// TestRoutesAreComplete makes sure that the test above has every route.
func TestRoutesAreComplete(t *testing.T) {
	r := admin.New(admin.Config{}).Routes()
	covered := map[string]bool{}
	for _, route := range routes {
		if c := chi.NewRouteContext(); r.Match(c, route.method, route.target) {
			covered[route.method+" "+c.RoutePattern()] = true
		}
	}
	err := chi.Walk(r, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !covered[method+" "+pattern] {
			t.Errorf("%s %s is not in the table of routes", method, pattern)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestBodyMustMatchItsSignature(t *testing.T) {
	s := start(t)
	r := s.request(t, "POST", "/v1/tenants", `{"name":"mallory"}`)
	s.sign(t, r, s.Root, admin.Service, sigv4.PayloadHash([]byte(`{"name":"malmory"}`)))
	if a := send(t, r); a.code(t) != "XAmzContentSHA256Mismatch" {
		t.Errorf("another body: %d %s", a.status, a.body)
	}
	if _, err := s.Engine.Accounts().TenantByName(t.Context(), "mallory"); err == nil {
		t.Error("the user was created")
	}
}

func TestBadRequests(t *testing.T) {
	s := start(t)
	for name, c := range map[string]struct {
		method, target, body string
		status               int
		code                 string
	}{
		"no JSON":           {"POST", "/v1/tenants", "name=bob", 400, "InvalidRequest"},
		"no body":           {"POST", "/v1/tenants", "", 400, "InvalidRequest"},
		"unknown field":     {"POST", "/v1/tenants", `{"name":"bob","root":true}`, 400, "InvalidRequest"},
		"wrong type":        {"POST", "/v1/tenants", `{"name":7}`, 400, "InvalidRequest"},
		"two values":        {"POST", "/v1/tenants", `{"name":"bob"}{"name":"eve"}`, 400, "InvalidRequest"},
		"large body":        {"POST", "/v1/tenants", `{"name":"` + strings.Repeat("b", admin.MaxBody) + `"}`, 400, "MaxMessageLengthExceeded"},
		"bad name":          {"POST", "/v1/tenants", `{"name":"b/b"}`, 400, "InvalidArgument"},
		"short secret":      {"POST", "/v1/tenants", `{"name":"bob","access_key":"bob-key","secret_key":"short"}`, 400, "InvalidArgument"},
		"name taken":        {"POST", "/v1/tenants", `{"name":"root"}`, 409, "EntityAlreadyExists"},
		"body of DELETE":    {"DELETE", "/v1/tenants/nobody", "{}", 400, "InvalidRequest"},
		"limit too large":   {"GET", "/v1/tenants?limit=1001", "", 400, "InvalidArgument"},
		"limit zero":        {"GET", "/v1/tenants?limit=0", "", 400, "InvalidArgument"},
		"unknown parameter": {"GET", "/v1/tenants?prefix=a", "", 400, "InvalidArgument"},
		"absent user":       {"GET", "/v1/tenants/nobody", "", 404, "NoSuchEntity"},
		"absent user's key": {"GET", "/v1/tenants/nobody/access-keys", "", 404, "NoSuchEntity"},
		"absent key":        {"DELETE", "/v1/access-keys/nothing", "", 404, "NoSuchEntity"},
		"escaped slash":     {"GET", "/v1/tenants/a%2Froot", "", 404, "NoSuchEntity"},
		"dots":              {"GET", "/v1/tenants/../tenants/root", "", 404, "NoSuchEntity"},
		"root":              {"DELETE", "/v1/tenants/root", "", 400, "InvalidArgument"},
		"no route":          {"GET", "/", "", 404, "NoSuchEntity"},
		"nowhere to reside": {"PUT", "/v1/tenants/root/residency", `{"residency":"atlantis"}`, 400, "InvalidArgument"},
		"resident nobody":   {"PUT", "/v1/tenants/nobody/residency", `{"residency":"local"}`, 404, "NoSuchEntity"},
		"born nowhere":      {"POST", "/v1/tenants", `{"name":"bob","residency":"atlantis"}`, 400, "InvalidArgument"},
		"drain of nothing":  {"POST", "/v1/backends/nothing/drain", `{"target":"local"}`, 404, "NoSuchEntity"},
		"drain to nothing":  {"POST", "/v1/backends/local/drain", `{"target":"nothing"}`, 404, "NoSuchEntity"},
		"drain to itself":   {"POST", "/v1/backends/local/drain", `{"target":"local"}`, 400, "InvalidArgument"},
		"cancel of nothing": {"DELETE", "/v1/backends/local/drain", "", 400, "InvalidArgument"},
		"doubt of nothing":  {"DELETE", "/v1/backends/nothing/doubtful", "", 404, "NoSuchEntity"},
		"query of backends": {"GET", "/v1/backends?limit=1", "", 400, "InvalidArgument"},
		"wrong method":      {"PUT", "/v1/tenants", "", 405, "MethodNotAllowed"},
	} {
		if a := s.call(t, c.method, c.target, c.body); a.status != c.status || a.code(t) != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, c.status, c.code)
		}
	}
}

func TestUsersAndKeysLiveAndDie(t *testing.T) {
	s := start(t)
	var made admin.NewTenant
	decode(t, s.call(t, "POST", "/v1/tenants", `{"name":"a@b.example"}`), 201, &made)
	if made.ID != s.mustUser(t, "a@b.example").Canonical() || len(made.SecretKey) < 20 || made.AccessKey == "" || made.Root {
		t.Errorf("created: %+v", made)
	}
	var seen admin.Tenant
	a := s.call(t, "GET", "/v1/tenants/a%40b.example", "")
	if decode(t, a, 200, &seen); seen != made.Tenant || strings.Contains(a.body, made.SecretKey) {
		t.Errorf("found: %s", a.body)
	}
	var second admin.NewTenant
	decode(t, s.call(t, "POST", "/v1/tenants/a@b.example/access-keys", `{"access_key":"second-key"}`), 201, &second)
	if second.AccessKey != "second-key" || second.SecretKey == "" || second.ID != made.ID {
		t.Errorf("second key: %+v", second)
	}
	var keys admin.AccessKeys
	a = s.call(t, "GET", "/v1/tenants/a@b.example/access-keys", "")
	if decode(t, a, 200, &keys); len(keys.AccessKeys) != 2 || strings.Contains(a.body, "secret") {
		t.Errorf("keys: %s", a.body)
	}
	decode(t, s.call(t, "DELETE", "/v1/access-keys/second-key", ""), 204, nil)
	decode(t, s.call(t, "DELETE", "/v1/tenants/a@b.example", ""), 204, nil)
	if a := s.call(t, "GET", "/v1/tenants/a@b.example", ""); a.status != 404 {
		t.Errorf("a removed user: %d %s", a.status, a.body)
	}
}

func TestListingsArePaged(t *testing.T) {
	s := start(t)
	for _, name := range []string{"anna", "bert", "carl", "dora"} {
		s.User(t, name)
		if _, err := s.Engine.Buckets().Create(t.Context(), name+"-bucket", "", s.Root.Tenant.ID); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for after := ""; ; {
		var page admin.Tenants
		decode(t, s.call(t, "GET", "/v1/tenants?limit=2&after="+after, ""), 200, &page)
		for _, u := range page.Tenants {
			names = append(names, u.Name)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "anna bert carl dora root" {
		t.Errorf("users: %s", got)
	}
	var page admin.Buckets
	decode(t, s.call(t, "GET", "/v1/buckets?limit=2&after=anna-bucket", ""), 200, &page)
	if len(page.Buckets) != 2 || page.Buckets[0].Name != "bert-bucket" || page.Next != "carl-bucket" ||
		page.Buckets[0].Owner != s.Root.Tenant.ID.Canonical() {
		t.Errorf("buckets: %+v", page)
	}
	decode(t, s.call(t, "GET", "/v1/buckets?prefix=do", ""), 200, &page)
	if len(page.Buckets) != 1 || page.Buckets[0].Name != "dora-bucket" {
		t.Errorf("buckets with prefix: %+v", page)
	}
}

// mustUser returns the id of a user.
func (s *server) mustUser(t *testing.T, name string) interface{ Canonical() string } {
	t.Helper()
	u, err := s.Engine.Accounts().TenantByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

// decode checks the status and reads the JSON body.
func decode(t *testing.T, a answer, status int, v any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("%d %s, want %d", a.status, a.body, status)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}
