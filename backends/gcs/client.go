package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
)

// call is one request of the API.
type call struct {
	method string
	url    string
	header http.Header // may be nil
	// body returns the request's body from its beginning, with its length or -1;
	// nil: none.
	body func() (io.Reader, int64)
	once bool  // body can be called only once
	ok   []int // statuses of success
}

// send sends the request and returns a response with a status in c.ok; the caller
// closes its body. If the token is refused, and the body can be repeated, the
// request is sent once more with a new token.
func (b *Backend) send(ctx context.Context, c call) (*http.Response, error) {
	resp, token, err := b.attempt(ctx, c)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && b.tokens != nil && b.tokens.Refused(token) && !c.once {
		resp.Body.Close()
		resp, token, err = b.attempt(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	if slices.Contains(c.ok, resp.StatusCode) {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, b.failure(resp, token)
}

func (b *Backend) attempt(ctx context.Context, c call) (_ *http.Response, token string, _ error) {
	var body io.Reader
	length := int64(0)
	if c.body != nil {
		body, length = c.body()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, body)
	if err != nil {
		return nil, "", err
	}
	req.ContentLength = length
	for name, values := range c.header {
		req.Header[name] = values
	}
	if b.tokens != nil {
		if token, err = b.tokens.Get(ctx); err != nil {
			return nil, "", tokenError(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, token, broken(ctx, err)
	}
	return resp, token, nil
}

// broken is the error of a request without a response, or of a response that breaks
// off.
func broken(ctx context.Context, err error) error {
	if err := backends.Ended(ctx); err != nil {
		return err
	}
	if errors.Is(err, outbound.ErrExcessive) || errors.Is(err, outbound.ErrStatus) {
		return fmt.Errorf("%w: %w", backends.ErrCorrupt, withoutURL(err))
	}
	// Not wrapped: an io.ErrUnexpectedEOF of the connection must not look like a
	// blob that is too short.
	return fmt.Errorf("%w: %v", backends.ErrUnavailable, withoutURL(err))
}

// withoutURL removes the prefix that net/http adds to an error.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// answer decodes a JSON response and closes it.
func answer(ctx context.Context, resp *http.Response, into any) error {
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return broken(ctx, fmt.Errorf("unreadable answer: %w", err))
	}
	return nil
}
