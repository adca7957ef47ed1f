package vault

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
)

// direct calls a server without a network, so that time can be the test's.
type direct struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

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
		p, err := Open(Options{Address: "https://vault", Key: testKey, Login: login, Observe: seen.count, transport: direct{s}})
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

// While the service refuses, renewals back off.
func TestRenewalBacksOff(t *testing.T) {
	s := newServer()
	inTime(t, s, appRole, func(t *testing.T, p *Provider, seen *outcomes) {
		works(t, p)
		s.Fail(vaulttest.Sealed)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		tried := s.Requests(renewPath) + s.Requests(loginPath)
		if tried < 100 || tried > 250 {
			t.Errorf("%d requests in about two hours, want about one a minute", tried)
		}
		if failed := seen.of(RenewalFailed) + seen.of(LoginFailed); failed != tried-1 {
			t.Errorf("%d failures counted, want %d", failed, tried-1)
		}
		s.Fail(vaulttest.None)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		works(t, p)
	})
}

// A token that ends is one login for all who wait, and there is one login a second however
// many ask.
func TestOneLoginForAll(t *testing.T) {
	s := newServer()
	inTime(t, s, appRole, func(t *testing.T, p *Provider, seen *outcomes) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { works(t, p) })
		}
		wg.Wait()
		if n := s.Requests(loginPath); n != 1 {
			t.Errorf("%d logins for 100 who waited", n)
		}
	})
	s = newServer()
	s.RefuseLogins()
	inTime(t, s, appRole, func(t *testing.T, p *Provider, seen *outcomes) {
		for range 100 {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if _, err := p.Wrap(t.Context(), encrypt.Context{}, make([]byte, 32)); !errors.Is(err, encrypt.ErrDenied) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.Requests(loginPath); n < 9 || n > 11 || seen.of(LoginFailed) != n {
			t.Errorf("%d logins in ten seconds, %d counted", n, seen.of(LoginFailed))
		}
	})
}

// A refused token is one new login and one more request.
func TestRefusedToken(t *testing.T) {
	s := newServer()
	inTime(t, s, appRole, func(t *testing.T, p *Provider, seen *outcomes) {
		works(t, p)
		time.Sleep(time.Minute)
		s.RevokeAll()
		s.Uses()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { works(t, p) })
		}
		wg.Wait()
		if n := s.Requests(loginPath); n != 2 {
			t.Errorf("%d logins, want one more", n)
		}
		if n := s.Uses(); n > 100 {
			t.Errorf("%d requests for 50 calls", n)
		}
		time.Sleep(time.Minute)
		s.Allow("transit/encrypt/" + testKey)
		s.Uses()
		if _, err := p.Wrap(t.Context(), encrypt.Context{}, make([]byte, 32)); !errors.Is(err, encrypt.ErrDenied) {
			t.Error(err)
		}
		if uses, logins := s.Uses(), s.Requests(loginPath); uses != 2 || logins != 3 {
			t.Errorf("%d requests and %d logins for a call without permission", uses, logins-2)
		}
		for range 60 {
			time.Sleep(time.Second)
			if _, err := p.Wrap(t.Context(), encrypt.Context{}, make([]byte, 32)); !errors.Is(err, encrypt.ErrDenied) {
				t.Error(err)
			}
		}
		if n := s.Requests(loginPath) - 3; n < 3 || n > 5 {
			t.Errorf("%d logins in a minute of calls without permission", n)
		}
		s.Grant(testKey)
		s.RevokeAll()
		time.Sleep(helplessPause)
		works(t, p)
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
