package vault

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

const (
	// loginPause is the least time between the beginnings of two logins.
	loginPause = time.Second
	// helplessPause is the time without another login because of a refusal, after a new
	// token was refused as well: a missing permission must not fill the service with leases.
	helplessPause = 15 * time.Second
	// minRenewPause and maxRenewPause bound the pause after a renewal that failed. It
	// doubles with each failure.
	minRenewPause = time.Second
	maxRenewPause = time.Minute
	// minLeaseRest is the least time between two renewals that succeeded.
	minLeaseRest = 5 * time.Second
	// maxLease is the longest lease that is believed, in seconds.
	maxLease = 100 * 365 * 24 * 60 * 60
	never    = time.Duration(math.MaxInt64)
)

// errClosed is the error of calls after Close.
var errClosed = fmt.Errorf("vault: closed: %w", encrypt.ErrUnavailable)

// Outcome is the end of a login or a renewal.
type Outcome string

// Outcomes.
const (
	LoggedIn      Outcome = "login"
	LoginFailed   Outcome = "login_failed"
	Renewed       Outcome = "renewal"
	RenewalFailed Outcome = "renewal_failed"
)

// lease is a token and its life. A length of 0 is without end.
type lease struct {
	token     string
	from      time.Time
	length    time.Duration
	renewable bool
}

func (l lease) valid(now time.Time) bool {
	return l.token != "" && (l.length == 0 || now.Before(l.from.Add(l.length)))
}

// tokens has one token for all calls. It logs in when there is none, when it has ended or
// when the service refused it, and renews it before its end. Callers wait together for a
// login, each within its own context.
type tokens struct {
	api     *api
	login   func(context.Context) (lease, error)
	observe func(Outcome, error)

	mu     sync.Mutex
	lease  lease
	began  time.Time // of the last login
	failed error     // of the last login; nil: it succeeded
	flight *flight   // nil: none in progress
	// helpless is when a token was refused that was new because one had been refused.
	helpless time.Time
	closed   bool

	changed chan struct{} // tells keep of a new lease
	wg      sync.WaitGroup
}

// flight is one login. lease and err are set before done is closed.
type flight struct {
	done  chan struct{}
	lease lease
	err   error
}

func newTokens(a *api, login func(context.Context) (lease, error), observe func(Outcome, error)) *tokens {
	t := &tokens{api: a, login: login, observe: observe, changed: make(chan struct{}, 1)}
	t.wg.Go(t.keep)
	return t
}

// close waits for the end of what the tokens do. The api must have ended.
func (t *tokens) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lease = lease{}
}

// get returns a valid token.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	if t.lease.valid(time.Now()) {
		defer t.mu.Unlock()
		return t.lease.token, nil
	}
	f, err := t.begin()
	t.mu.Unlock()
	if err != nil {
		return "", err
	}
	return f.wait(ctx)
}

// refused returns another token after the service has refused one, or "" if there is none:
// a login was made less than loginPause ago, it gave the same token, or the last one for
// this reason did not help.
func (t *tokens) refused(ctx context.Context, token string) (string, error) {
	t.mu.Lock()
	if t.lease.token != token && t.lease.valid(time.Now()) {
		defer t.mu.Unlock()
		return t.lease.token, nil
	}
	if !t.helpless.IsZero() && time.Since(t.helpless) < helplessPause {
		defer t.mu.Unlock()
		return "", nil
	}
	f, err := t.begin()
	t.mu.Unlock()
	if err != nil {
		return "", nil // the refusal says more
	}
	fresh, err := f.wait(ctx)
	if err != nil || fresh == token {
		return "", err
	}
	return fresh, nil
}

// refusedAgain says that a token of refused was refused, too.
func (t *tokens) refusedAgain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.helpless = time.Now()
}

// begin joins the login in progress or begins one. The caller holds mu.
func (t *tokens) begin() (*flight, error) {
	if t.closed {
		return nil, errClosed
	}
	if t.flight != nil {
		return t.flight, nil
	}
	now := time.Now()
	if !t.began.IsZero() && now.Sub(t.began) < loginPause {
		if t.failed != nil {
			return nil, t.failed
		}
		return nil, fmt.Errorf("vault: %w: the last login was less than %v ago", encrypt.ErrUnavailable, loginPause)
	}
	f := &flight{done: make(chan struct{})}
	t.flight, t.began = f, now
	t.wg.Go(func() { t.fly(f) })
	return f, nil
}

// fly logs in for all who wait.
func (t *tokens) fly(f *flight) {
	defer close(f.done)
	f.lease, f.err = t.login(t.api.ended)
	t.mu.Lock()
	t.flight, t.failed = nil, f.err
	if f.err == nil {
		t.lease = f.lease
	}
	t.mu.Unlock()
	if f.err != nil {
		t.observe(LoginFailed, f.err)
		return
	}
	t.observe(LoggedIn, nil)
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func (f *flight) wait(ctx context.Context) (string, error) {
	select {
	case <-f.done:
		return f.lease.token, f.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// keep renews the token until the end of the api.
func (t *tokens) keep() {
	timer := time.NewTimer(never)
	defer timer.Stop()
	pause := minRenewPause
	for {
		select {
		case <-t.api.ended.Done():
			return
		case <-t.changed:
		case <-timer.C:
			if !t.prolong() {
				timer.Reset(pause)
				pause = min(2*pause, maxRenewPause)
				continue
			}
		}
		pause = minRenewPause
		timer.Reset(t.due())
	}
}

// due is the time until the token should be renewed: about two thirds of its life. Chance
// keeps gateways that began together from renewing together.
func (t *tokens) due() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lease.length == 0 {
		return never
	}
	part := 0.6 + 0.1*rand.Float64()
	return max(minLeaseRest, time.Until(t.lease.from.Add(time.Duration(part*float64(t.lease.length)))))
}

// prolong renews the token. It logs in where the service does not renew it, or gives it
// less than half of its life because its longest life is near.
func (t *tokens) prolong() bool {
	t.mu.Lock()
	old := t.lease
	t.mu.Unlock()
	if old.renewable && old.valid(time.Now()) {
		q := &call{method: http.MethodPost, path: "auth/token/renew-self"}
		renewed, err := loggedIn(t.api.ended, t.api, old.token, q)
		if err != nil {
			t.observe(RenewalFailed, err)
		} else {
			t.observe(Renewed, nil)
			t.mu.Lock()
			if t.lease.token == old.token {
				t.lease = renewed
			}
			t.mu.Unlock()
			if renewed.length == 0 || renewed.length >= old.length/2 {
				return true
			}
		}
	}
	t.mu.Lock()
	f, err := t.begin()
	t.mu.Unlock()
	if err != nil {
		return false
	}
	_, err = f.wait(t.api.ended)
	return err == nil
}
