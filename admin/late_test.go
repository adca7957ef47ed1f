package admin_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// arriving is a body; meanwhile runs when it begins to be read.
type arriving struct {
	io.Reader
	meanwhile func()
}

func (a *arriving) Read(p []byte) (int, error) {
	if a.meanwhile != nil {
		a.meanwhile()
		a.meanwhile = nil
	}
	return a.Reader.Read(p)
}

// A credential that is revoked while the body of its request arrives changes
// nothing any more.
func TestRevokedUnderway(t *testing.T) {
	var ahead atomic.Int64
	s := &server{Gateway: gatewaytest.Start(t, gatewaytest.Options{})}
	listener := httptest.NewServer(admin.New(admin.Config{Engine: s.Engine, Region: s.Region,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}))
	t.Cleanup(listener.Close)
	s.url = listener.URL
	// The server asks for the body, with 100 Continue, after its decision.
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
	for name, c := range map[string]struct {
		revoke bool
		status int
	}{"a slow body": {false, 201}, "a revoked key": {true, 403}} {
		made, err := s.Engine.Accounts().CreateAccessKey(t.Context(), s.Root.Tenant, s.Root.Tenant.ID, "", "")
		if err != nil {
			t.Fatal(err)
		}
		body := `{"name":"` + strings.ReplaceAll(name, " ", "-") + `"}`
		r := s.request(t, "POST", "/v1/tenants", body)
		r.Header.Set("Expect", "100-continue")
		if err := sigv4.Sign(r, made.AccessKey, made.SecretKey, s.Region, admin.Service, sigv4.PayloadHash([]byte(body)),
			time.Now().Add(time.Duration(ahead.Load()))); err != nil {
			t.Fatal(err)
		}
		r.GetBody = nil
		r.Body = io.NopCloser(&arriving{strings.NewReader(body), func() {
			ahead.Add(int64(5 * time.Second))
			if c.revoke {
				if err := s.Engine.Accounts().DeleteAccessKey(t.Context(), made.AccessKey); err != nil {
					t.Error(err)
				}
			}
		}})
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, res.StatusCode, c.status)
		}
	}
}
