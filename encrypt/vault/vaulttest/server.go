// Package vaulttest is a server for tests that answers as the documentation and the source
// of OpenBao and Vault say: Transit with derived keys, logins, leases and capabilities.
// It is not the service: nothing that is said by it proves what the service does.
package vaulttest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Fault is a way in which all answers fail.
type Fault int

// Faults.
const (
	None      Fault = iota
	Slow            // no answer until the client goes
	Throttled       // 429, a rate limit quota
	Sealed          // 503
	Malformed       // 200, and a page of something else
	Endless         // 200, and a document without end
	WrongData       // 200, and the fields of another endpoint
)

// maxBody bounds a request's body, in bytes.
const maxBody = 32 << 10

// Server is the service. The exported fields are set before the first request.
type Server struct {
	Namespace string
	Mount     string        // of Transit
	TTL       time.Duration // of tokens that logins give
	MaxTTL    time.Duration // beyond which no renewal goes; 0: none
	Renewable bool
	// Documented makes capabilities-self answer as its documentation shows, without the
	// "data" that servers add.
	Documented bool

	mu       sync.Mutex
	keys     map[string]*Key
	tokens   map[string]*token
	accepted map[string]bool     // logins by path and body
	may      map[string][]string // capabilities of every token, by path
	fault    Fault
	uses     int
	counts   map[string]int // requests by path
	issued   int
}

// token is a token of the service.
type token struct {
	ends      time.Time // zero: never
	began     time.Time
	ttl       time.Duration
	renewable bool
}

// New returns a server without keys, whose tokens live for an hour.
func New() *Server {
	return &Server{
		Mount: "transit", TTL: time.Hour, Renewable: true,
		keys: map[string]*Key{}, tokens: map[string]*token{}, accepted: map[string]bool{}, may: map[string][]string{}, counts: map[string]int{},
	}
}

// Fail makes all answers fail from now on, and None ends that.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Allow gives every token the capabilities on a path, instead of those that it had.
func (s *Server) Allow(path string, capabilities ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.may[path] = capabilities
}

// Grant allows what a gateway needs for a key.
func (s *Server) Grant(key string) {
	for _, verb := range []string{"encrypt", "decrypt", "rewrap"} {
		s.Allow(s.Mount+"/"+verb+"/"+key, "update")
	}
	s.Allow(s.Mount+"/keys/"+key, "read")
	s.Allow("sys/capabilities-self", "update")
	s.Allow("auth/token/lookup-self", "read")
	s.Allow("auth/token/renew-self", "update")
}

// Issue makes a token valid. A ttl of 0 is without end.
func (s *Server) Issue(name string, ttl time.Duration, renewable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issue(name, ttl, renewable)
}

func (s *Server) issue(name string, ttl time.Duration, renewable bool) {
	t := &token{began: time.Now(), ttl: ttl, renewable: renewable}
	if ttl > 0 {
		t.ends = t.began.Add(ttl)
	}
	s.tokens[name] = t
}

// RevokeAll ends every token.
func (s *Server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Accept makes a login at a path, such as "auth/approle/login", with exactly these fields
// succeed.
func (s *Server) Accept(path string, fields map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[path+canonical(fields)] = true
}

// RefuseLogins takes all of Accept back.
func (s *Server) RefuseLogins() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.accepted)
}

// Uses returns how many requests that use a key have come since the last call.
func (s *Server) Uses() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.uses
	s.uses = 0
	return n
}

// Requests returns how many requests for a path have come.
func (s *Server) Requests(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[path]
}

func canonical(fields map[string]string) string {
	b, _ := json.Marshal(fields) // sorted by key
	return string(b)
}

// reply is an answer.
type reply struct {
	status int
	body   any
}

func refuse(status int, texts ...string) reply {
	if texts == nil {
		texts = []string{}
	}
	return reply{status, map[string]any{"errors": texts}}
}

func data(fields any) reply {
	return reply{http.StatusOK, map[string]any{"request_id": "6f8b0a3c", "lease_id": "", "renewable": false, "lease_duration": 0, "data": fields, "auth": nil}}
}

var denied = refuse(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if err != nil || !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.mu.Lock()
	s.counts[path]++
	if s.useOf(path) != "" {
		s.uses++
	}
	fault := s.fault
	s.mu.Unlock()
	if fault != None {
		fail(w, r, fault)
		return
	}
	s.mu.Lock()
	got := s.route(r, path, body)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(got.status)
	_ = json.NewEncoder(w).Encode(got.body) // the client may be gone
}

// fail answers under a fault.
func fail(w http.ResponseWriter, r *http.Request, f Fault) {
	switch f {
	case Slow:
		<-r.Context().Done()
	case Throttled:
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprintf(w, `{"errors":["request path %q: rate limit quota exceeded"]}`, strings.TrimPrefix(r.URL.Path, "/v1/"))
	case Sealed:
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"errors":["Vault is sealed"]}`)
	case Malformed:
		io.WriteString(w, "<html><body>Welcome</body></html>")
	case WrongData:
		io.WriteString(w, `{"data":{"ciphertext":"vault:v1:AAAA","plaintext":"AAAA","ttl":-1},"auth":{"client_token":"a b"}}`)
	case Endless:
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, `{"data":"`+strings.Repeat("x", 32<<10)); err != nil {
				return
			}
		}
	}
}

// useOf returns the verb of a request that uses a key.
func (s *Server) useOf(path string) string {
	rest, ok := strings.CutPrefix(path, s.Mount+"/")
	verb, _, _ := strings.Cut(rest, "/")
	if !ok || verb == "keys" {
		return ""
	}
	return verb
}

// route answers a request. The caller holds mu.
func (s *Server) route(r *http.Request, path string, body []byte) reply {
	if r.Header.Get("X-Vault-Request") != "true" || r.Header.Get("X-Vault-Namespace") != s.Namespace {
		return refuse(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", path))
	}
	var fields map[string]any
	if len(body) > 0 && json.Unmarshal(body, &fields) != nil {
		return refuse(http.StatusBadRequest, "error parsing JSON")
	}
	if strings.HasPrefix(path, "auth/") && strings.HasSuffix(path, "/login") {
		return s.logIn(path, fields)
	}
	name := r.Header.Get("X-Vault-Token")
	t := s.tokens[name]
	if t == nil || !t.ends.IsZero() && !time.Now().Before(t.ends) {
		return refuse(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
	}
	if !s.permits(r.Method, path) {
		return denied
	}
	switch path {
	case "auth/token/lookup-self":
		ttl := int64(0)
		if !t.ends.IsZero() {
			ttl = int64(time.Until(t.ends) / time.Second)
		}
		return data(map[string]any{"id": name, "ttl": ttl, "renewable": t.renewable})
	case "auth/token/renew-self":
		return s.renew(name, t)
	case "sys/capabilities-self":
		return s.capabilities(fields)
	}
	rest, ok := strings.CutPrefix(path, s.Mount+"/")
	verb, key, _ := strings.Cut(rest, "/")
	if !ok {
		return refuse(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", path))
	}
	return s.transit(verb, key, fields)
}

// permits decides by the method. A POST to encrypt creates a key that does not exist.
func (s *Server) permits(method, path string) bool {
	want := "read"
	if method == http.MethodPost {
		want = "update"
		if key, ok := strings.CutPrefix(path, s.Mount+"/encrypt/"); ok && s.keys[key] == nil {
			want = "create"
		}
	}
	for _, c := range s.may[path] {
		if c == want || c == "root" {
			return true
		}
	}
	return false
}
