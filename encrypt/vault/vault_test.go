package vault

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
)

const testKey = "seeds"

// service is the fake server as the suite wants it. Transit schedules no deletion: a key
// that is pending deletion is a deleted one. A soft-deleted key is a disabled one.
type service struct {
	*vaulttest.Server
	restore func()
	told    int // requests for logins and renewals up to the last call of Logins
}

// Set implements keytest.Service.
func (s *service) Set(f keytest.Fault) {
	modes := map[keytest.Fault]vaulttest.Fault{keytest.Slow: vaulttest.Slow, keytest.Throttled: vaulttest.Throttled,
		keytest.Down: vaulttest.Sealed, keytest.Malformed: vaulttest.Malformed, keytest.Endless: vaulttest.Endless}
	s.restore()
	s.restore = func() {}
	s.Grant(testKey)
	s.Change(testKey, func(k *vaulttest.Key) { k.SoftDeleted = f == keytest.Disabled })
	s.Fail(modes[f])
	switch f {
	case keytest.Denied:
		for _, verb := range []string{"encrypt", "decrypt", "rewrap"} {
			s.Allow("transit/" + verb + "/" + testKey)
		}
	case keytest.Deleted, keytest.PendingDeletion:
		s.restore = s.Delete(testKey)
	}
}

// Calls implements keytest.Service.
func (s *service) Calls() int { return s.Uses() }

// Rotate implements keytest.Service.
func (s *service) Rotate() { s.Server.Rotate(testKey) }

// Words implements keytest.Service.
func (s *service) Words(f keytest.Fault) []string {
	switch f {
	case keytest.Denied:
		return []string{"update on transit/encrypt/" + testKey}
	case keytest.Disabled, keytest.Deleted, keytest.PendingDeletion:
		return []string{"key: ", testKey}
	}
	return []string{"address: "}
}

// newServer returns a server that has the key and one AppRole.
func newServer() *vaulttest.Server {
	s := vaulttest.New()
	s.AddKey(testKey)
	s.Grant(testKey)
	acceptAppRole(s)
	return s
}

func acceptAppRole(s *vaulttest.Server) {
	s.Accept(loginPath, map[string]string{"role_id": "role", "secret_id": "s3cr3t"})
}

var appRole = Login{Method: LoginAppRole, Role: "role", SecretID: "s3cr3t"}

// open returns a provider over the server by HTTP.
func open(t *testing.T, s *vaulttest.Server, change func(*Options)) *Provider {
	t.Helper()
	listener := httptest.NewServer(s)
	o := Options{Address: listener.URL, Key: testKey, Login: appRole, Timeout: 800 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		listener.Close()
	})
	return p
}

func TestProvider(t *testing.T) {
	keytest.Run(t, func(t *testing.T) encrypt.Provider {
		return open(t, newServer(), func(o *Options) { o.Timeout = 10 * time.Second })
	})
}

func TestService(t *testing.T) {
	keytest.RunService(t, func(t *testing.T) (encrypt.Provider, keytest.Service) {
		s := &service{Server: newServer(), restore: func() {}}
		return open(t, s.Server, nil), s
	})
}

func TestServiceLogins(t *testing.T) {
	keytest.RunLogins(t, func(t *testing.T, observe func(error)) (encrypt.Provider, keytest.Logins) {
		s := &service{Server: newServer(), restore: func() {}}
		p, err := Open(Options{Address: "https://vault", Key: testKey, Login: appRole, transport: keytest.InMemory(s.Server),
			Observe: func(_ Outcome, err error) { observe(err) }})
		if err != nil {
			t.Fatal(err)
		}
		return p, s
	})
}

// Logins implements keytest.Logins.
func (s *service) Logins() int {
	all := s.Requests(loginPath) + s.Requests(renewPath)
	n := all - s.told
	s.told = all
	return n
}

// RefuseLogins implements keytest.Logins.
func (s *service) RefuseLogins(refuse bool) {
	if s.Server.RefuseLogins(); !refuse {
		acceptAppRole(s.Server)
	}
}

// Revoke implements keytest.Logins.
func (s *service) Revoke() { s.RevokeAll() }

// RefuseAll implements keytest.Logins.
func (s *service) RefuseAll(refuse bool) {
	if s.Grant(testKey); refuse {
		s.Allow("transit/encrypt/" + testKey)
	}
}

// Life implements keytest.Logins.
func (s *service) Life() time.Duration { return s.TTL }

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
