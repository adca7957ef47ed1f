package vault

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
	"github.com/sanctum-storage/gateway/outbound"
)

func TestCheckRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *vaulttest.Server)
		kind   error
		words  string
	}{
		"no key":           {func(s *vaulttest.Server) { s.Delete(testKey) }, encrypt.ErrKeyNotFound, "key: there is no transit key named seeds at mount transit"},
		"no mount":         {func(s *vaulttest.Server) { s.Mount = "elsewhere" }, encrypt.ErrKeyNotFound, "at mount transit"},
		"namespace":        {func(s *vaulttest.Server) { s.Namespace = "other" }, encrypt.ErrDenied, "login: auth/approle/login answers HTTP 404: \"no handler for route"},
		"not derived":      {changed(func(k *vaulttest.Key) { k.Derived = false }), encrypt.ErrWrongKey, "key: encrypt: wrong key or context: transit key seeds is not derived"},
		"convergent":       {changed(func(k *vaulttest.Key) { k.Convergent = true }), encrypt.ErrWrongKey, "transit key seeds has convergent encryption"},
		"exportable":       {changed(func(k *vaulttest.Key) { k.Exportable = true }), encrypt.ErrWrongKey, "transit key seeds is exportable"},
		"plaintext backup": {changed(func(k *vaulttest.Key) { k.PlaintextBackup = true }), encrypt.ErrWrongKey, "transit key seeds allows a backup in plain text"},
		"type":             {changed(func(k *vaulttest.Key) { k.Type = "rsa-4096" }), encrypt.ErrWrongKey, "transit key seeds has type rsa-4096"},
		"soft-deleted":     {changed(func(k *vaulttest.Key) { k.SoftDeleted = true }), encrypt.ErrKeyDisabled, "transit key seeds is soft-deleted"},
		"may create":       {allow("transit/encrypt/seeds", "create", "update"), encrypt.ErrDenied, "may create on transit/encrypt/seeds"},
		"root":             {allow("transit/encrypt/seeds", "root"), encrypt.ErrDenied, "may create on transit/encrypt/seeds"},
		"no read":          {allow("transit/keys/seeds"), encrypt.ErrDenied, "needs read on transit/keys/seeds"},
		"no decrypt":       {allow("transit/decrypt/seeds", "read"), encrypt.ErrDenied, "needs update on transit/decrypt/seeds"},
		"no rewrap":        {allow("transit/rewrap/seeds"), encrypt.ErrDenied, "needs update on transit/rewrap/seeds"},
		"no capabilities":  {allow("sys/capabilities-self"), encrypt.ErrDenied, "needs update on sys/capabilities-self"},
		"no login":         {(*vaulttest.Server).RefuseLogins, encrypt.ErrDenied, "login: auth/approle/login answers HTTP 400: \"invalid role or secret ID\""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			p := open(t, s, nil)
			c.change(s)
			err := p.Check(t.Context())
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v\nwant %v with %q", err, c.kind, c.words)
			}
		})
	}
}

func changed(edit func(*vaulttest.Key)) func(*vaulttest.Server) {
	return func(s *vaulttest.Server) { s.Change(testKey, edit) }
}

func allow(path string, capabilities ...string) func(*vaulttest.Server) {
	return func(s *vaulttest.Server) { s.Allow(path, capabilities...) }
}

// Versions of a key that its owner has closed are disabled; those that it never had do not
// exist.
func TestVersions(t *testing.T) {
	s := newServer()
	p := open(t, s, nil)
	c := encrypt.Context{Purpose: "bucket"}
	secret := encrypt.NewSeed()
	old, err := p.Wrap(t.Context(), c, secret[:])
	if err != nil {
		t.Fatal(err)
	}
	s.Rotate(testKey)
	s.Change(testKey, func(k *vaulttest.Key) { k.MinDecryption = 2 })
	for name, call := range map[string]func() ([]byte, error){
		"Unwrap": func() ([]byte, error) { return p.Unwrap(t.Context(), c, old) },
		"Rewrap": func() ([]byte, error) { return p.Rewrap(t.Context(), c, old) },
	} {
		if _, err := call(); !errors.Is(err, encrypt.ErrKeyDisabled) {
			t.Errorf("%s under a closed version: %v", name, err)
		}
	}
	fresh, err := p.Wrap(t.Context(), c, secret[:])
	if err != nil {
		t.Fatal(err)
	}
	if id, err := p.KeyID(fresh); err != nil || id != "seeds:2" {
		t.Errorf("key id %q, %v", id, err)
	}
	s.Delete(testKey)
	s.AddKey(testKey)
	if _, err := p.Unwrap(t.Context(), c, fresh); !errors.Is(err, encrypt.ErrKeyNotFound) {
		t.Errorf("under a version that does not exist: %v", err)
	}
	if _, err := p.Unwrap(t.Context(), c, old); !errors.Is(err, encrypt.ErrWrongKey) {
		t.Errorf("under another key of the same name: %v", err)
	}
}

// A row of the store chooses neither the path of a request nor its own reading.
func TestForeignWraps(t *testing.T) {
	s := newServer()
	s.AddKey("other")
	s.Grant("other")
	p, q := open(t, s, nil), open(t, s, func(o *Options) { o.Key = "other" })
	secret := encrypt.NewSeed()
	wrapped, err := p.Wrap(t.Context(), encrypt.Context{}, secret[:])
	if err != nil {
		t.Fatal(err)
	}
	s.Uses()
	if _, err := q.Unwrap(t.Context(), encrypt.Context{}, wrapped); !errors.Is(err, encrypt.ErrKeyNotFound) {
		t.Errorf("of another key: %v", err)
	}
	// The service would read version 0 as version 1.
	w, _ := parseWrapped(wrapped)
	w.version = 0
	if _, err := p.Unwrap(t.Context(), encrypt.Context{}, w.bytes()); !errors.Is(err, encrypt.ErrCorrupt) {
		t.Errorf("version 0: %v", err)
	}
	w.version, w.key = 1, "../sys/seal"
	if _, err := p.Unwrap(t.Context(), encrypt.Context{}, w.bytes()); !errors.Is(err, encrypt.ErrCorrupt) {
		t.Errorf("a path as the key: %v", err)
	}
	if n := s.Uses(); n != 0 {
		t.Errorf("%d requests for foreign wraps", n)
	}
}

func TestCiphertextText(t *testing.T) {
	body := strings.Repeat("A", 59) + "=" // of the smallest secret
	if _, err := parseText(testKey, "vault:v7:"+body); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "vault:v1:", "vault:v01:" + body, "vault:v+1:" + body, "vault:v0:" + body, "vault:1:" + body,
		"vault:v4294967296:" + body, "vault:v1:" + body + "\n", "vault:v1:" + strings.Repeat("A", 58) + "B=", "vault:v1:" + strings.Repeat("A", 55) + "=", "bao:v1:" + body} {
		if w, err := parseText(testKey, text); err == nil {
			t.Errorf("%q is read as %+v", text, w)
		}
	}
}

// A wrap does not make a deleted key anew, and says that it is gone.
func TestDeletedKeyStaysDeleted(t *testing.T) {
	s := newServer()
	p := open(t, s, nil)
	s.Delete(testKey)
	if _, err := p.Wrap(t.Context(), encrypt.Context{}, make([]byte, 32)); !errors.Is(err, encrypt.ErrKeyNotFound) {
		t.Errorf("%v", err)
	}
	if err := p.Check(t.Context()); !errors.Is(err, encrypt.ErrKeyNotFound) {
		t.Errorf("the key was made again: %v", err)
	}
}

// Answers of another form are no answers.
func TestWrongAnswers(t *testing.T) {
	s := newServer()
	p := open(t, s, nil)
	secret := encrypt.NewSeed()
	wrapped, err := p.Wrap(t.Context(), encrypt.Context{}, secret[:])
	if err != nil {
		t.Fatal(err)
	}
	s.Fail(vaulttest.WrongData)
	for name, call := range map[string]func() ([]byte, error){
		"Wrap":   func() ([]byte, error) { return p.Wrap(t.Context(), encrypt.Context{}, secret[:]) },
		"Unwrap": func() ([]byte, error) { return p.Unwrap(t.Context(), encrypt.Context{}, wrapped) },
		"Rewrap": func() ([]byte, error) { return p.Rewrap(t.Context(), encrypt.Context{}, wrapped) },
	} {
		if got, err := call(); got != nil || !errors.Is(err, encrypt.ErrUnavailable) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	fresh := open(t, s, func(o *Options) { o.Timeout = time.Minute })
	if err := fresh.Check(t.Context()); !errors.Is(err, encrypt.ErrUnavailable) {
		t.Errorf("a login answered by something else: %v", err)
	}
	// The bytes end it before the time does.
	s.Fail(vaulttest.Endless)
	if err := open(t, s, func(o *Options) { o.Timeout = time.Minute }).Check(t.Context()); err == nil || !strings.Contains(err.Error(), outbound.ErrExcessive.Error()) {
		t.Errorf("an endless answer: %v", err)
	}
}

// Redirects are not followed: the token would go with them. Texts that repeat a credential
// are withheld.
func TestTokenStaysHere(t *testing.T) {
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"errors":["no such secret id: canary"]}`))
			return
		}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	for _, login := range []Login{{Method: LoginToken, Token: "canary"}, {Method: LoginAppRole, Role: "role", SecretID: "canary"}} {
		p, err := Open(Options{Address: server.URL, Key: testKey, Login: login})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(t.Context()); !errors.Is(err, encrypt.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
		p.Close()
	}
	if asked > 0 {
		t.Errorf("%d requests followed a redirect", asked)
	}
}

// A server or a proxy that repeats the token in an error does not bring it into the log.
func TestErrorsDoNotRepeatTheToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/lookup-self") {
			io.WriteString(w, `{"data":{"ttl":0}}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"errors":["no such token: %s"]}`, r.Header.Get("X-Vault-Token"))
	}))
	defer server.Close()
	p, err := Open(Options{Address: server.URL, Key: testKey, Login: Login{Method: LoginToken, Token: "canary"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Check(t.Context()); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

// Close ends calls that wait for the service.
func TestCloseEndsCalls(t *testing.T) {
	s := newServer()
	p := open(t, s, func(o *Options) { o.Timeout = time.Hour })
	works(t, p)
	s.Fail(vaulttest.Slow)
	ended := make(chan error)
	go func() {
		_, err := p.Wrap(t.Context(), encrypt.Context{}, make([]byte, 32))
		ended <- err
	}()
	for s.Requests("transit/encrypt/"+testKey) < 2 {
		time.Sleep(time.Millisecond)
	}
	p.Close()
	if err := <-ended; !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	good := Options{Address: "https://vault:8200", Key: testKey, Login: appRole}
	for want, change := range map[string]func(*Options){
		"address: want scheme and host": func(o *Options) { o.Address = "https://vault:8200/v1" },
		"address: plain http":           func(o *Options) { o.Address = "http://vault:8200" },
		"address: scheme \"ftp\"":       func(o *Options) { o.Address = "ftp://vault" },
		"mount: ":                       func(o *Options) { o.Mount = "a/../b" },
		"namespace: ":                   func(o *Options) { o.Namespace = "a\nb" },
		"key: \"\" is not the name":     func(o *Options) { o.Key = "" },
		"key: \"a/b\" is not":           func(o *Options) { o.Key = "a/b" },
		"timeout: negative":             func(o *Options) { o.Timeout = -1 },
		"ca_file: ":                     func(o *Options) { o.CAFile = "/does/not/exist" },
		"login: \"\" is none of":        func(o *Options) { o.Login = Login{} },
		"token: a login by token":       func(o *Options) { o.Login = Login{Method: LoginToken} },
		"secret_id: a login by approle": func(o *Options) { o.Login.SecretID = "" },
		"role: a login by kubernetes":   func(o *Options) { o.Login = Login{Method: LoginKubernetes} },
		"certificate_path: a login":     func(o *Options) { o.Login = Login{Method: LoginCertificate} },
		"login_mount: \"../x\"":         func(o *Options) { o.Login.Mount = "../x" },
		"certificate_path: open /nowhere": func(o *Options) {
			o.Login = Login{Method: LoginCertificate, CertificateFile: "/nowhere", CertificateKeyFile: "/nowhere"}
		},
	} {
		o := good
		change(&o)
		if p, err := Open(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
			if p != nil {
				p.Close()
			}
		}
	}
}
