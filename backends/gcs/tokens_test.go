package gcs

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound/googleauth"
)

// issuer is a token endpoint (RFC 7523) for one service account, and the guard
// of a proxy that takes its latest token only.
type issuer struct {
	*httptest.Server
	key     *rsa.PrivateKey
	issued  atomic.Int64 // the number of the token that is good
	revoked atomic.Int64 // tokens up to this number are not
	scope   atomic.Value // that the last assertion asked for
	life    atomic.Int64 // of tokens, in seconds; 0: an hour
	// instead answers in its place, unless it is nil.
	instead atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	if h := i.instead.Load(); h != nil {
		(*h)(w, r)
		return
	}
	scope, err := i.verify(r.FormValue("assertion"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	i.scope.Store(scope)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, i.token(i.issued.Add(1)), cmp.Or(i.life.Load(), 3600))
}

// token has a part that must not be seen anywhere.
func (i *issuer) token(n int64) string { return fmt.Sprintf("ya29.hush-hush-%d", n) }

// verify checks an RS256 assertion and returns its scope.
func (i *issuer) verify(assertion string) (string, error) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "", errors.New("no JWT")
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&i.key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
		return "", err
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct{ Scope string }
	return claims.Scope, errors.Join(json.Unmarshal(payload, &claims))
}

// credentials writes the service account's file.
func (i *issuer) credentials(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "gateway@example.iam.gserviceaccount.com", "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": i.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// guard lets requests with the good token through to the emulator.
func (i *issuer) guard(w http.ResponseWriter, r *http.Request) bool {
	n := i.issued.Load()
	if r.Header.Get("Authorization") == "Bearer "+i.token(n) && n > i.revoked.Load() {
		r.Header.Del("Authorization")
		return false
	}
	http.Error(w, "no: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
	return true
}

// guarded is a proxy that wants tokens, its issuer, and options for both.
func guarded(t *testing.T) (*issuer, *between, Options) {
	i, p := newIssuer(t), newBetween(t)
	p.lie.Store(&lie{request: i.guard})
	o := local(t)
	o.Endpoint, o.Anonymous, o.CredentialsFile = p.URL, false, i.credentials(t)
	return i, p, o
}

func wantNoSecret(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "hush-hush") || strings.Contains(err.Error(), "eyJ")) {
		t.Errorf("the error tells a secret: %v", err)
	}
}

func TestTokenIsFetchedUsedAndReplaced(t *testing.T) {
	i, p, o := guarded(t)
	b := mustOpen(t, o)
	later := time.Duration(0)
	b.tokens.Now = func() time.Time { return time.Now().Add(later) }
	id := mustPut(t, b, "body")
	if got, err := read(t, b, id, 0, -1); got != "body" || err != nil || i.issued.Load() != 1 {
		t.Fatalf("%q, %v, with %d tokens", got, err, i.issued.Load())
	}
	if i.scope.Load() != scopeWrite {
		t.Errorf("the scope asked for is %v", i.scope.Load())
	}
	i.revoked.Store(1)
	later += googleauth.Rest
	if got, err := read(t, b, id, 0, -1); got != "body" || err != nil || i.issued.Load() != 2 {
		t.Errorf("token revoked: %q, %v, with %d tokens", got, err, i.issued.Load())
	}
	i.revoked.Store(2)
	later += googleauth.Rest
	mustPut(t, b, "small bodies are sent again")
	i.revoked.Store(3)
	later += googleauth.Rest
	large := strings.NewReader(strings.Repeat("a", 1<<20))
	err := b.Put(t.Context(), backends.NewBlobID(), large, 1<<20)
	if !errors.Is(err, backends.ErrDenied) {
		t.Errorf("a streamed Put with a revoked token: %v", err)
	}
	wantNoSecret(t, err)
	mustPut(t, b, "and the next call has a new token")
	if i.issued.Load() != 4 {
		t.Errorf("%d tokens, want 4", i.issued.Load())
	}
	later += time.Hour
	i.life.Store(3 * 3600)
	if n := p.count(func() { mustPut(t, b, "expired") }); n != 1 || i.issued.Load() != 5 {
		t.Errorf("token expired: %d requests and %d tokens, want 1 and 5", n, i.issued.Load())
	}
}

// Where every token is refused, the token endpoint is left alone for a while.
func TestRefusalsDoNotFloodTheTokenEndpoint(t *testing.T) {
	i, _, o := guarded(t)
	b := mustOpen(t, o)
	i.revoked.Store(1 << 60)
	for range 5 {
		_, err := b.Stat(t.Context(), backends.NewBlobID())
		if !errors.Is(err, backends.ErrDenied) {
			t.Errorf("Stat: %v", err)
		}
		wantNoSecret(t, err)
	}
	if i.issued.Load() != 1 {
		t.Errorf("%d tokens were fetched", i.issued.Load())
	}
}

func TestTokenScopeOfReaders(t *testing.T) {
	i, _, o := guarded(t)
	o.ReadOnly = true
	mustOpen(t, o)
	if i.scope.Load() != scopeRead {
		t.Errorf("the scope asked for is %v", i.scope.Load())
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	i, _, o := guarded(t)
	for status, want := range map[int]error{400: backends.ErrDenied, 401: backends.ErrDenied, 403: backends.ErrDenied, 429: backends.ErrThrottled, 503: backends.ErrUnavailable} {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.FormValue("assertion"), status) })
		i.instead.Store(&h)
		_, err := Open(t.Context(), o)
		if !errors.Is(err, want) {
			t.Errorf("status %d: %v, want %v", status, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "CredentialsFile") {
			t.Errorf("the option is not named: %v", err)
		}
		wantNoSecret(t, err)
	}
	ended := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"access_token":"ya29.hush-hush","token_type":"Bearer","expires_in":1}`)
	})
	i.instead.Store(&ended)
	_, err := Open(t.Context(), o)
	if !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a token without life: %v", err)
	}
	wantNoSecret(t, err)
}

func TestApplicationDefaultCredentials(t *testing.T) {
	i, _, o := guarded(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", o.CredentialsFile)
	o.CredentialsFile = ""
	mustPut(t, mustOpen(t, o), "body")
	if i.issued.Load() != 1 {
		t.Errorf("%d tokens", i.issued.Load())
	}
}

// Callers share a fetch, leave it when their context ends, and Close ends it.
func TestWaitingForAToken(t *testing.T) {
	i, _, o := guarded(t)
	b := mustOpen(t, o)
	asked := make(chan struct{}, 10)
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // so that the server notices when the client goes
		asked <- struct{}{}
		<-r.Context().Done()
	})
	i.instead.Store(&slow)
	b.tokens.Now = func() time.Time { return time.Now().Add(time.Hour) }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := b.Stat(ctx, backends.NewBlobID()); !errors.Is(err, context.Canceled) {
				t.Errorf("Stat: %v", err)
			}
		})
	}
	<-asked
	cancel()
	wg.Wait()
	b.Close()
	if len(asked) > 0 {
		t.Errorf("%d more requests for a token", len(asked))
	}
	if _, err := b.tokens.Get(t.Context()); err == nil {
		t.Error("a token after Close")
	}
}
