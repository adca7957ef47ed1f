package vault

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
)

// outcomes counts.
type outcomes struct {
	mu sync.Mutex
	n  map[Outcome]int
}

func (o *outcomes) count(x Outcome, err error) {
	if failed := x == LoginFailed || x == RenewalFailed; failed != (err != nil) {
		panic(fmt.Sprint(x, err))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n[x]++
}

func (o *outcomes) of(x Outcome) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n[x]
}

const loginPath, renewPath = "auth/approle/login", "auth/token/renew-self"

// inTime runs f in a bubble with its own clock, on a provider over the server.
func inTime(t *testing.T, s *vaulttest.Server, login Login, f func(t *testing.T, p *Provider, seen *outcomes)) {
	synctest.Test(t, func(t *testing.T) {
		seen := &outcomes{n: map[Outcome]int{}}
		p, err := Open(Options{Address: "https://vault", Key: testKey, Login: login, Observe: seen.count, transport: keytest.InMemory(s)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		f(t, p, seen)
	})
}

func works(t *testing.T, p *Provider) {
	t.Helper()
	if _, err := p.Wrap(t.Context(), encrypt.Context{}, make([]byte, 32)); err != nil {
		t.Error(err)
	}
}

func TestTokenIsRenewed(t *testing.T) {
	s := newServer()
	inTime(t, s, appRole, func(t *testing.T, p *Provider, seen *outcomes) {
		works(t, p)
		for range 10 {
			time.Sleep(59 * time.Minute)
			synctest.Wait()
			s.Uses()
			if works(t, p); s.Uses() != 1 {
				t.Error("the token had ended")
			}
		}
		if logins := s.Requests(loginPath); logins != 1 || seen.of(LoggedIn) != 1 {
			t.Errorf("%d logins, %d counted", logins, seen.of(LoggedIn))
		}
		if n := s.Requests(renewPath); n < 10 || n > 20 || seen.of(Renewed) != n {
			t.Errorf("%d renewals in ten hours, %d counted", n, seen.of(Renewed))
		}
	})
}

// A token that cannot live longer is replaced before it ends.
func TestLongestLife(t *testing.T) {
	s := newServer()
	s.MaxTTL = 3 * time.Hour
	inTime(t, s, appRole, func(t *testing.T, p *Provider, seen *outcomes) {
		works(t, p)
		for range 24 * 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := seen.of(RenewalFailed) + seen.of(LoginFailed); n > 0 {
				t.Fatalf("%d failures", n)
			}
			p.tokens.mu.Lock()
			valid := p.tokens.lease.valid(time.Now())
			p.tokens.mu.Unlock()
			if !valid {
				t.Fatal("the token has ended")
			}
		}
		if n := s.Requests(loginPath); n < 8 || n > 15 {
			t.Errorf("%d logins in a day of tokens that live for three hours", n)
		}
	})
}

// A lease that is not renewable is replaced by a login.
func TestNotRenewable(t *testing.T) {
	s := newServer()
	s.Renewable = false
	inTime(t, s, appRole, func(t *testing.T, p *Provider, seen *outcomes) {
		works(t, p)
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if n := s.Requests(loginPath); n < 10 || n > 20 {
			t.Errorf("%d logins in ten hours", n)
		}
		if n := s.Requests(renewPath); n > 0 {
			t.Errorf("%d renewals of what is not renewable", n)
		}
	})
}

// A token that somebody else renews is looked at again, and its file is read again.
func TestTokenFile(t *testing.T) {
	s := newServer()
	file := write(t, "token", "hvs.first\n")
	inTime(t, s, Login{Method: LoginToken, TokenFile: file}, func(t *testing.T, p *Provider, seen *outcomes) {
		s.Issue("hvs.first", time.Hour, false)
		works(t, p)
		time.Sleep(50 * time.Minute)
		s.Issue("hvs.second", 0, false)
		overwrite(t, file, "hvs.second\n")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		works(t, p)
		if seen.of(LoginFailed) > 0 {
			t.Errorf("%d failures", seen.of(LoginFailed))
		}
		s.RevokeAll()
		if _, err := p.Wrap(t.Context(), encrypt.Context{}, make([]byte, 32)); !errors.Is(err, encrypt.ErrDenied) {
			t.Errorf("with a token that was revoked: %v", err)
		}
	})
}
