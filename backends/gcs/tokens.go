package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/plainfile"
)

const (
	// scopeWrite and scopeRead are the smallest scopes for the calls.
	// https://cloud.google.com/storage/docs/oauth-scopes
	scopeWrite = "https://www.googleapis.com/auth/devstorage.read_write"
	scopeRead  = "https://www.googleapis.com/auth/devstorage.read_only"
	// tokenTimeout bounds one request for a token.
	tokenTimeout = 30 * time.Second
	// tokenRest is the age below which a refused token is not replaced, so that the
	// token endpoint is not called for every refused call.
	tokenRest = 5 * time.Second
	// maxCredentials bounds a credentials file, in bytes.
	maxCredentials = 1 << 20
)

// errNoToken is in every error of a request that could not get a token.
var errNoToken = errors.New("no token")

// tokens has one token for all calls and fetches the next when it expires or was
// refused. Callers wait together for a fetch, each within its own context.
type tokens struct {
	build func(context.Context) (oauth2.TokenSource, error)
	base  context.Context // the context of fetches: it has the HTTP client, and ends with close
	end   context.CancelFunc
	rest  time.Duration

	mu      sync.Mutex
	source  oauth2.TokenSource // nil: to be built again, because sources cache their token
	token   *oauth2.Token
	fetched time.Time
	flight  *fetch // nil: none in progress
	wg      sync.WaitGroup
}

// fetch is one request for a token. token and err are set before done is closed.
type fetch struct {
	done  chan struct{}
	token *oauth2.Token
	err   error
}

func newTokens(o Options, transport http.RoundTripper) (*tokens, error) {
	t := &tokens{rest: tokenRest}
	scope := scopeWrite
	if o.ReadOnly {
		scope = scopeRead
	}
	ctx, end := context.WithCancel(context.Background())
	t.end = end
	// Sources send their requests without a context: this round tripper adds one
	// that close ends.
	client := &http.Client{Transport: bound{ctx, transport}, Timeout: tokenTimeout, CheckRedirect: outbound.Stay}
	t.base = context.WithValue(ctx, oauth2.HTTPClient, client)
	t.build = func(ctx context.Context) (oauth2.TokenSource, error) { return defaultSource(ctx, client, scope) }
	if o.CredentialsFile != "" {
		data, err := plainfile.Read(o.CredentialsFile, maxCredentials)
		if err != nil {
			return nil, fmt.Errorf("option CredentialsFile: %w", err)
		}
		t.build = func(ctx context.Context) (oauth2.TokenSource, error) { return fromJSON(ctx, data, scope) }
	}
	var err error
	if t.source, err = t.build(t.base); err != nil {
		return nil, fmt.Errorf("option CredentialsFile: %w", err)
	}
	return t, nil
}

// fromJSON reads a credential of any type. The operator owns the file, like the
// other settings, so its type and its URLs are trusted.
func fromJSON(ctx context.Context, data []byte, scope string) (oauth2.TokenSource, error) {
	//lint:ignore SA1019 the warning is of files that come from others
	creds, err := google.CredentialsFromJSONWithParams(ctx, data, google.CredentialsParams{Scopes: []string{scope}})
	if err != nil {
		return nil, err
	}
	return creds.TokenSource, nil
}

// get returns a valid token.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	if t.token.Valid() {
		defer t.mu.Unlock()
		return t.token.AccessToken, nil
	}
	f := t.flight
	if f == nil {
		f = &fetch{done: make(chan struct{})}
		t.flight = f
		t.wg.Go(func() { t.fetch(f) })
	}
	t.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if f.err != nil {
		return "", f.err
	}
	return f.token.AccessToken, nil
}

func (t *tokens) fetch(f *fetch) {
	defer close(f.done)
	t.mu.Lock()
	source := t.source
	t.mu.Unlock()
	var err error
	if source == nil {
		source, err = t.build(t.base)
	}
	if err == nil {
		f.token, err = source.Token()
	}
	if err == nil && !f.token.Valid() {
		err = errors.New("the token endpoint returned an expired token: check this machine's clock")
	}
	f.err = tokenError(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flight = nil
	if f.err == nil {
		t.source, t.token, t.fetched = source, f.token, time.Now()
	} else {
		t.source = nil
	}
}

// refused records that the service refused the token. It reports whether the next
// get returns another one.
func (t *tokens) refused(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == nil || t.token.AccessToken != token {
		return true // it was replaced meanwhile
	}
	if time.Since(t.fetched) < t.rest {
		return false
	}
	t.source, t.token = nil, nil
	return true
}

func (t *tokens) close() {
	t.end()
	t.wg.Wait()
}

// tokenError returns the error of a request for a token without the response's
// text, which may repeat the request.
func tokenError(err error) error {
	var refusal *oauth2.RetrieveError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refusal) || refusal.Response == nil:
		return fmt.Errorf("%w: %w: %w", backends.ErrUnavailable, errNoToken, withoutURL(err))
	case refusal.Response.StatusCode == http.StatusTooManyRequests:
		return throttled(refusal.Response.Header, fmt.Errorf("%w: the token endpoint answers 429", errNoToken))
	case refusal.Response.StatusCode >= 500 || refusal.Response.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w: the token endpoint answers %d", backends.ErrUnavailable, errNoToken, refusal.Response.StatusCode)
	}
	return fmt.Errorf("%w: %w: the token endpoint refuses the credential with status %d", backends.ErrDenied, errNoToken, refusal.Response.StatusCode)
}

// bound is a round tripper whose requests end with ctx.
type bound struct {
	ctx  context.Context
	next http.RoundTripper
}

func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(b.ctx, func() { cancel(backends.ErrClosed) })
	resp, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel(nil)
		return nil, err
	}
	resp.Body = &released{resp.Body, func() { stop(); cancel(nil) }}
	return resp, nil
}
