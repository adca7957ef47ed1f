package awskms

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

// podLife is how long the credential of a pod is good.
const podLife = time.Hour

// pod is KMS together with the source of credentials of a pod.
type pod struct{ *fake }

// ServeHTTP implements http.Handler.
func (p pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/credentials" {
		p.logIn(w)
		return
	}
	if signed := credentialOf.FindStringSubmatch(r.Header.Get("Authorization")); signed != nil && !p.good(signed[1]) {
		p.mu.Lock()
		p.calls++
		p.mu.Unlock()
		refuse(w, 400, "ExpiredTokenException", "The security token included in the request is expired: "+signed[1])
		return
	}
	p.fake.ServeHTTP(w, r)
}

func (p pod) logIn(w http.ResponseWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logins++
	if p.unlucky {
		http.Error(w, `{"code":"AccessDenied","message":"canary"}`, http.StatusForbidden)
		return
	}
	p.given++
	temporary(w, fmt.Sprint("POD", p.given), podLife)
}

// good reports whether KMS takes a credential.
func (p pod) good(access string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	_, err := fmt.Sscanf(access, "POD%d", &n)
	return err == nil && n > p.revoked && !p.refusing
}

// Logins implements keytest.Logins.
func (p pod) Logins() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.logins
	p.logins = 0
	return n
}

// RefuseLogins implements keytest.Logins.
func (p pod) RefuseLogins(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlucky = refuse
}

// Revoke implements keytest.Logins.
func (p pod) Revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked = p.given
}

// RefuseAll implements keytest.Logins.
func (p pod) RefuseAll(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = refuse
}

// Life implements keytest.Logins.
func (p pod) Life() time.Duration { return podLife }

// The SDK asks a source once for all who wait. The pace of the requests is this package's.
func TestServiceLogins(t *testing.T) {
	alone(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/credentials")
	keytest.RunLogins(t, func(t *testing.T, observe func(error)) (encrypt.Provider, keytest.Logins) {
		p := pod{inMemory(fakeRegion)}
		o := settings("http://127.0.0.1", fakeRegion)
		o.AccessKey, o.SecretKey, o.Observe, o.transport = "", "", observe, keytest.InMemory(p)
		return opened(t, o), p
	})
}
