package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

// call is one request. Its body is a JSON object of the texts that were added.
type call struct {
	method, path string
	permission   string // that it needs, for the error
	body         []byte
	secrets      [][]byte // of the body and the token, which no error may repeat
}

// hide adds a secret text to the body.
func (c *call) hide(name string, value []byte) {
	c.add(name, value)
	c.secrets = append(c.secrets, value)
}

// add adds a text to the body.
func (c *call) add(name string, value []byte) {
	quoted, _ := json.Marshal(string(value)) // a string always has a JSON form
	if len(c.body) == 0 {
		c.body = append(c.body, '{')
	} else {
		c.body[len(c.body)-1] = ','
	}
	c.body = fmt.Appendf(c.body, "%q:%s}", name, quoted)
	clear(quoted)
}

// answer is a whole answer within outbound's bounds.
type answer struct {
	status int
	body   []byte
}

// api sends requests to one server.
type api struct {
	client    *http.Client
	base      string // ends with "/v1/"
	namespace string
	timeout   time.Duration
	ended     context.Context
}

func (a *api) closed() error {
	if a.ended.Err() != nil {
		return errClosed
	}
	return nil
}

// do sends a request with a token, which may be empty. It repeats nothing.
func (a *api) do(ctx context.Context, token string, c *call) (answer, error) {
	if err := ctx.Err(); err != nil && a.closed() == nil {
		return answer{}, err
	}
	within, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	defer context.AfterFunc(a.ended, cancel)()
	req, err := http.NewRequestWithContext(within, c.method, a.base+c.path, nil)
	if err != nil {
		return answer{}, err
	}
	if c.body != nil {
		req.Body, req.ContentLength = newBody(c.body), int64(len(c.body))
		req.GetBody = func() (io.ReadCloser, error) { return newBody(c.body), nil }
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Vault-Request", "true") // the agents' guard against forged requests
	if a.namespace != "" {
		req.Header.Set("X-Vault-Namespace", a.namespace)
	}
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
		c.secrets = append(c.secrets, []byte(token))
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return answer{}, a.broken(ctx, within, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, a.broken(ctx, within, err)
	}
	return answer{resp.StatusCode, body}, nil
}

// broken is the error of a request without an answer.
func (a *api) broken(ctx, within context.Context, err error) error {
	if err := a.closed(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if within.Err() != nil {
		return fmt.Errorf("vault: %w: no answer in %v", encrypt.ErrUnavailable, a.timeout)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("vault: %w: %v", encrypt.ErrUnavailable, err)
}

// send sends a request with the current token. If that is refused, it logs in and sends
// the request once more.
func (p *Provider) send(ctx context.Context, c *call, into any) error {
	defer clear(c.body)
	if err := p.api.closed(); err != nil {
		return err
	}
	token, err := p.tokens.get(ctx)
	if err != nil {
		return err
	}
	got, err := p.api.do(ctx, token, c)
	if err == nil && refusal(got.status) {
		fresh, lost := p.tokens.refused(ctx, token)
		if lost != nil {
			return lost
		}
		if fresh != "" {
			if got, err = p.api.do(ctx, fresh, c); err == nil && refusal(got.status) {
				p.tokens.refusedAgain()
			}
		}
	}
	if err != nil {
		return err
	}
	defer clear(got.body)
	if got.status != http.StatusOK {
		return failure(c, got)
	}
	if json.Unmarshal(got.body, into) != nil {
		return fmt.Errorf("vault: %w: the answer to %s is not the service's", encrypt.ErrUnavailable, c.path)
	}
	return nil
}

func refusal(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// secretText is a JSON text in memory that can be cleared.
type secretText []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *secretText) UnmarshalText(b []byte) error {
	*s = bytes.Clone(b)
	return nil
}

// body is a copy of a request's body, which Close clears. The transport may read it after
// the answer has come.
type body struct {
	mu   sync.Mutex
	all  []byte
	left []byte
}

func newBody(b []byte) *body {
	all := bytes.Clone(b)
	return &body{all: all, left: all}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.all)
	b.left = nil
	return nil
}
