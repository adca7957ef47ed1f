package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Bounds of one call of the admin API.
const (
	adminTimeout   = 30 * time.Second
	maxAdminAnswer = 8 << 20
)

// adminClient calls the admin API of a running server with the root credential.
type adminClient struct {
	url, region          string
	accessKey, secretKey string
	http                 *http.Client
}

// newAdminClient takes the address and the credential from the settings. It
// fails without a credential, because the admin API has no anonymous calls.
func newAdminClient(c *configuration) (*adminClient, error) {
	if c.AccessKey == "" {
		return nil, errors.New("the root credential is missing: set SANCTUM_ACCESS_KEY and SANCTUM_SECRET_KEY " +
			"to the values that the server showed at its first start or was started with")
	}
	return &adminClient{
		url: strings.TrimRight(c.AdminURL, "/"), region: c.region(),
		accessKey: c.AccessKey, secretKey: c.SecretKey,
		// A redirect would send the signed request to another server.
		http: &http.Client{Timeout: adminTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// call sends in as JSON, unless it is nil, and decodes the answer into out,
// unless that is nil. path is escaped and may have a query. An error of the
// server is returned with its code and message.
func (a *adminClient) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// The admin API refuses a signature that does not cover the body.
	err = sigv4.Sign(req, a.accessKey, a.secretKey, a.region, admin.Service, sigv4.PayloadHash(body), time.Now())
	if err != nil {
		return err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from the admin API: check that the server is running and that --admin-url is right (%w)", err)
	}
	defer resp.Body.Close()
	// A longer answer is cut, and then it is no JSON.
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("the answer of the admin API is incomplete: %w", err)
	// A redirect, which is not followed, is an error too.
	case resp.StatusCode >= 300:
		return adminError(resp, data)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the answer is not JSON: check that --admin-url leads to the admin API (%w)", err)
	}
	return nil
}

// adminError is the error that an answer describes. It ends with the request's
// id, which the server's log has as well.
func adminError(resp *http.Response, data []byte) error {
	var p struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(data, &p) != nil || p.Code == "" {
		return fmt.Errorf("the server answered %s: check that --admin-url leads to the admin API", resp.Status)
	}
	return fmt.Errorf("%s: %s (request %s)", p.Code, p.Message, p.RequestID)
}
