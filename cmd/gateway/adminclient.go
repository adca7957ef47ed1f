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

// newAdminClient takes address and credential from the settings.
func newAdminClient(c *configuration) (*adminClient, error) {
	if c.AccessKey == "" {
		return nil, errors.New("the root credential is missing: set SANCTUM_ACCESS_KEY and SANCTUM_SECRET_KEY to what the server printed at its first start or was started with")
	}
	return &adminClient{
		url: strings.TrimRight(c.AdminURL, "/"), region: c.region(),
		accessKey: c.AccessKey, secretKey: c.SecretKey,
		// A redirect would carry a request signed for another place.
		http: &http.Client{Timeout: adminTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// call sends in as JSON, unless it is nil, and decodes the answer into out,
// unless that is nil. path is escaped and may have a query.
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
	err = sigv4.Sign(req, a.accessKey, a.secretKey, a.region, admin.Service, sigv4.PayloadHash(body), time.Now())
	if err != nil {
		return err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from the admin API; is the server running, and is this its --admin-url? %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("the answer of the admin API broke off: %w", err)
	case resp.StatusCode >= 300:
		return adminError(resp, data)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the admin API answered something else than JSON; is --admin-url right? %w", err)
	}
	return nil
}

// adminError is what the server said was wrong.
func adminError(resp *http.Response, data []byte) error {
	var p struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(data, &p) != nil || p.Code == "" {
		return fmt.Errorf("the admin API answered %s; is --admin-url right?", resp.Status)
	}
	return fmt.Errorf("%s: %s (request %s)", p.Code, p.Message, p.RequestID)
}
