package keytest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

const (
	// loginPause is the least time between two logins.
	loginPause = time.Second
	// storm is how many callers come at once.
	storm = 50
	// maxRefusedLogins bounds the logins in a minute in which the service refuses each
	// credential that it gives.
	maxRefusedLogins = 15
	// maxIdleLogins bounds the logins and renewals in three hours in which the service is
	// down and nobody calls: about one a minute.
	maxIdleLogins = 250
)

// Logins is a Service that gives a provider its credentials.
type Logins interface {
	Service
	// Logins returns how many requests for a credential have arrived since the last call
	// of Logins, renewals and refused ones among them.
	Logins() int
	// RefuseLogins makes the service refuse such requests, or take them again.
	RefuseLogins(refuse bool)
	// Revoke makes the service refuse the credentials that it has given so far.
	Revoke()
	// RefuseAll makes the service refuse every credential in its other requests, or take
	// the good ones again.
	RefuseAll(refuse bool)
	// Life is how long a credential lives.
	Life() time.Duration
}

// RunLogins runs the part of the suite for providers that log in to their service, beside
// RunService. Each call of open returns a new provider, which calls observe after each
// login and each renewal, with the error of one that failed. It is called in a bubble of
// testing/synctest, so the provider reaches its service by InMemory and not by a network.
func RunLogins(t *testing.T, open func(t *testing.T, observe func(error)) (encrypt.Provider, Logins)) {
	for name, test := range map[string]func(*testing.T, *loggingIn){
		"OneForAll": oneLoginForAll, "OneASecond": oneLoginASecond, "Refused": refusedCredentials, "BackOff": idleLogins,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &loggingIn{}
				l.Provider, l.Logins = open(t, l.observe)
				test(t, l)
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// InMemory has a handler answer the requests of a client, without a network.
func InMemory(h http.Handler) http.RoundTripper { return inMemory{h} }

type inMemory struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := w.Result()
	resp.ContentLength = int64(w.Body.Len())
	return resp, nil
}

// loggingIn is a provider with its service, and the outcomes that it told.
type loggingIn struct {
	encrypt.Provider
	Logins

	mu             sync.Mutex
	told, toldFail int
}

func (l *loggingIn) observe(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told++
	if err != nil {
		l.toldFail++
	}
}

// logins returns how many logins there were since the last call, and how many of them
// failed as the provider told. Each one must have been told.
func (l *loggingIn) logins(t *testing.T) (all, failed int) {
	t.Helper()
	synctest.Wait()
	all = l.Logins.Logins()
	l.mu.Lock()
	defer l.mu.Unlock()
	failed = l.toldFail
	if l.told != all {
		t.Errorf("%d logins, and %d outcomes told", all, l.told)
	}
	l.told, l.toldFail = 0, 0
	return all, failed
}

func (l *loggingIn) wrap(t *testing.T) error {
	_, err := l.Wrap(t.Context(), base(), []byte(hidden))
	return err
}

// atOnce has so many callers wrap at once, and checks the error of each.
func (l *loggingIn) atOnce(t *testing.T, callers int, want error) {
	t.Helper()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := l.wrap(t); !errors.Is(err, want) {
				t.Errorf("%v; want %v", err, want)
			}
		})
	}
	wg.Wait()
}

// oneLoginForAll: the first credential is one login for all who wait, and so is the one
// after a credential that ended without a renewal.
func oneLoginForAll(t *testing.T, l *loggingIn) {
	l.atOnce(t, storm, nil)
	if n, failed := l.logins(t); n != 1 || failed > 0 {
		t.Errorf("%d logins for %d callers, %d failed", n, storm, failed)
	}
	l.Set(Down)
	l.RefuseLogins(true)
	time.Sleep(l.Life() + time.Minute)
	l.logins(t)
	l.Set(Works)
	l.RefuseLogins(false)
	time.Sleep(loginPause)
	l.atOnce(t, storm, nil)
	if n, failed := l.logins(t); n != 1 || failed > 0 {
		t.Errorf("%d logins for %d callers after the credential had ended, %d failed", n, storm, failed)
	}
}

// oneLoginASecond: while logins fail there is one a second, however many callers come.
func oneLoginASecond(t *testing.T, l *loggingIn) {
	l.RefuseLogins(true)
	const seconds, rounds = 10, 100
	for range rounds {
		l.atOnce(t, storm/10, encrypt.ErrDenied)
		time.Sleep(seconds * time.Second / rounds)
	}
	if n, failed := l.logins(t); n < seconds/2 || n > seconds+1 || failed != n {
		t.Errorf("%d logins in %d seconds, %d failed", n, seconds, failed)
	}
	l.RefuseLogins(false)
	time.Sleep(loginPause)
	if err := l.wrap(t); err != nil {
		t.Error(err)
	}
}

// refusedCredentials: a credential that the service refuses is one new login for all, and
// one more request for each caller.
func refusedCredentials(t *testing.T, l *loggingIn) {
	l.atOnce(t, 1, nil)
	time.Sleep(time.Minute)
	l.Revoke()
	l.logins(t)
	l.Calls()
	l.atOnce(t, storm, nil)
	if n, failed := l.logins(t); n != 1 || failed > 0 {
		t.Errorf("%d logins after the credential was revoked, %d failed", n, failed)
	}
	if n := l.Calls(); n > 2*storm {
		t.Errorf("%d requests for %d calls", n, storm)
	}
	l.RefuseAll(true)
	for range 60 {
		time.Sleep(time.Second)
		l.atOnce(t, 1, encrypt.ErrDenied)
		if n := l.Calls(); n > 2 {
			t.Errorf("%d requests for a call", n)
		}
	}
	if n, failed := l.logins(t); n > maxRefusedLogins || failed > 0 {
		t.Errorf("%d logins in a minute in which each credential is refused, %d failed", n, failed)
	}
	l.RefuseAll(false)
	time.Sleep(time.Minute)
	l.atOnce(t, 1, nil)
}

// idleLogins: renewals of a lease back off while they fail, and go on afterwards.
func idleLogins(t *testing.T, l *loggingIn) {
	l.atOnce(t, 1, nil)
	l.logins(t)
	l.Set(Down)
	l.RefuseLogins(true)
	time.Sleep(3 * time.Hour)
	if n, failed := l.logins(t); n > maxIdleLogins || failed != n {
		t.Errorf("%d logins in three hours, %d failed", n, failed)
	}
	l.Set(Works)
	l.RefuseLogins(false)
	time.Sleep(2 * time.Minute)
	l.atOnce(t, 1, nil)
}
