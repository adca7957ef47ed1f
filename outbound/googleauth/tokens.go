// Package googleauth has access tokens for the APIs of Google Cloud: those of a
// credentials file (service account, workload identity federation and others) or the
// application default credentials. Their requests and answers are bounded by the
// transport that the caller gives.
package googleauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/plainfile"
)

const (
	// tokenTimeout bounds one request for a token.
	tokenTimeout = 30 * time.Second
	// Rest is the age below which a refused token is not replaced, so that the token
	// endpoint is not called for every refused call.
	Rest = 5 * time.Second
	// Pause is the time after a failed request for a token during which callers get its
	// error and no new request is made.
	Pause = time.Second
	// expiryMargin is the time before its end from which on a token is replaced.
	expiryMargin = 10 * time.Second
	// maxCredentials bounds a credentials file, in bytes.
	maxCredentials = 1 << 20
)

var (
	// ErrNoToken is in every error of Get, except that of the caller's context.
	ErrNoToken = errors.New("no token")
	// errClosed ends requests after Close.
	errClosed = errors.New("closed")
)

// Refusal is the answer of a token endpoint that is no token. It is in the error of Get,
// and has nothing of the answer's text, which may repeat the request.
type Refusal struct {
	Status int
	Header http.Header // nil if it is not known
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Status >= 500 || r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestTimeout {
		return fmt.Sprintf("the token endpoint answers %d", r.Status)
	}
	return fmt.Sprintf("the token endpoint refuses the credential with status %d", r.Status)
}

// Options say whose tokens to fetch.
type Options struct {
	// CredentialsFile is JSON of a type that Google's libraries read. Empty: application
	// default credentials, which are the file of GOOGLE_APPLICATION_CREDENTIALS, gcloud's
	// own, or the metadata server.
	CredentialsFile string
	Scope           string
	// Transport sends the requests for tokens. It bounds their answers.
	Transport http.RoundTripper
	// Observe is told of each request for a token, with the error of one that failed; nil:
	// nobody is. It must not wait.
	Observe func(error)
}

// Tokens has one token for all calls and fetches the next when it expires or was
// refused. Callers wait together for a fetch, each within its own context. It is safe for
// concurrent use.
type Tokens struct {
	// Now is the clock. It is time.Now unless a test sets it before the first Get.
	Now func() time.Time

	// build returns a new source: sources cache their token, by their own clock.
	build   func(context.Context) (oauth2.TokenSource, error)
	observe func(error)     // nil: nobody
	base    context.Context // the context of fetches: it has the HTTP client, and ends with Close
	end     context.CancelFunc

	mu      sync.Mutex
	token   *oauth2.Token // nil: none, or it was refused
	fetched time.Time
	failed  *fetch    // the last fetch, if it failed
	at      time.Time // of its end
	flight  *fetch    // nil: none in progress
	wg      sync.WaitGroup
}

// fetch is one request for a token. token and err are set before done is closed.
type fetch struct {
	done  chan struct{}
	token *oauth2.Token
	err   error
}

// New reads the credentials and fetches no token yet. Its error is about them. The caller
// calls Close.
func New(o Options) (*Tokens, error) {
	t := &Tokens{Now: time.Now, observe: o.Observe}
	ctx, end := context.WithCancel(context.Background())
	t.end = end
	// Sources send their requests without a context: this round tripper adds one
	// that Close ends.
	client := &http.Client{Transport: ending{ctx, o.Transport}, Timeout: tokenTimeout, CheckRedirect: outbound.Stay}
	t.base = context.WithValue(ctx, oauth2.HTTPClient, client)
	t.build = func(ctx context.Context) (oauth2.TokenSource, error) { return defaultSource(ctx, client, o.Scope) }
	if o.CredentialsFile != "" {
		data, err := plainfile.Read(o.CredentialsFile, maxCredentials)
		if err != nil {
			end()
			return nil, err
		}
		t.build = func(ctx context.Context) (oauth2.TokenSource, error) { return fromJSON(ctx, data, o.Scope) }
	}
	if _, err := t.build(t.base); err != nil {
		end()
		return nil, err
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

// Get returns a valid token. Its errors are ErrNoToken, with a *Refusal if the token
// endpoint answered, or the cause that ended ctx.
func (t *Tokens) Get(ctx context.Context) (string, error) {
	f, token := t.join()
	if f == nil {
		return token, nil
	}
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

// join returns the token, or the fetch to wait for.
func (t *Tokens) join() (*fetch, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.valid(t.token) {
		return nil, t.token.AccessToken
	}
	if t.failed != nil && t.Now().Sub(t.at) < Pause {
		return t.failed, ""
	}
	if t.flight == nil {
		f := &fetch{done: make(chan struct{})}
		t.flight = f
		t.wg.Go(func() { t.fetch(f) })
	}
	return t.flight, ""
}

func (t *Tokens) valid(token *oauth2.Token) bool {
	return token != nil && token.AccessToken != "" && (token.Expiry.IsZero() || t.Now().Before(token.Expiry.Add(-expiryMargin)))
}

func (t *Tokens) fetch(f *fetch) {
	defer close(f.done)
	source, err := t.build(t.base)
	if err == nil {
		f.token, err = source.Token()
	}
	if err == nil && !t.valid(f.token) {
		err = errors.New("the token endpoint returned an expired token: check this machine's clock")
	}
	f.err = tokenError(err)
	if t.observe != nil {
		t.observe(f.err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flight, t.failed = nil, nil
	if f.err == nil {
		t.token, t.fetched = f.token, t.Now()
	} else {
		t.failed, t.at = f, t.Now()
	}
}

// Refused records that the service refused the token. It reports whether the next
// Get returns another one.
func (t *Tokens) Refused(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == nil || t.token.AccessToken != token {
		return true // it was replaced meanwhile
	}
	if t.Now().Sub(t.fetched) < Rest {
		return false
	}
	t.token = nil
	return true
}

// Close ends a request in progress. Get fails from then on, unless it has a token.
func (t *Tokens) Close() {
	t.end()
	t.wg.Wait()
}

// stsStatus finds the status in the errors of oauth2's external accounts, which have the
// text of the answer too.
var stsStatus = regexp.MustCompile(`status code (\d{3}):`)

// tokenError returns the error of a request for a token without the text of the answer.
func tokenError(err error) error {
	if err == nil {
		return nil
	}
	var refusal *oauth2.RetrieveError
	if errors.As(err, &refusal) && refusal.Response != nil {
		return fmt.Errorf("%w: %w", ErrNoToken, &Refusal{refusal.Response.StatusCode, refusal.Response.Header})
	}
	if m := stsStatus.FindStringSubmatch(err.Error()); m != nil {
		status, _ := strconv.Atoi(m[1])
		return fmt.Errorf("%w: %w", ErrNoToken, &Refusal{Status: status})
	}
	if u := (*url.Error)(nil); errors.As(err, &u) { // net/http's prefix, which has the URL
		err = u.Err
	}
	// The cause is not wrapped: the end of the request's time must not look like the end
	// of the caller's context.
	return fmt.Errorf("%w: %v", ErrNoToken, err)
}

// ending is a round tripper whose requests end with ctx.
type ending struct {
	ctx  context.Context
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (e ending) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(e.ctx, func() { cancel(errClosed) })
	resp, err := e.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel(nil)
		return nil, err
	}
	resp.Body = &released{resp.Body, func() { stop(); cancel(nil) }}
	return resp, nil
}

// released runs a function when a body is closed.
type released struct {
	io.ReadCloser
	after func()
}

// Close implements io.Closer.
func (r *released) Close() error {
	defer r.after()
	return r.ReadCloser.Close()
}
