package googleauth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// federated writes the configuration of a workload identity federation whose token
// endpoint is at url, and the token of the workload.
func federated(t *testing.T, url string) string {
	t.Helper()
	dir := t.TempDir()
	subject, config := filepath.Join(dir, "subject"), filepath.Join(dir, "config.json")
	text := fmt.Sprintf(`{"type":"external_account","audience":"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
		"subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":%q,"credential_source":{"file":%q}}`, url, subject)
	if err := errors.Join(os.WriteFile(subject, []byte("hush-hush"), 0o600), os.WriteFile(config, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	return config
}

// A failing token endpoint is asked once for all that wait, once a Pause at most, and its
// text, which may repeat the credential, is in no error.
func TestFailuresAreSharedAndPaused(t *testing.T) {
	var asked, status atomic.Int64
	status.Store(http.StatusBadRequest)
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-hold
		if status.Load() != http.StatusOK {
			http.Error(w, "I do not like "+r.FormValue("subject_token"), int(status.Load()))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"good","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}`)
	}))
	defer server.Close()
	tokens, err := New(Options{CredentialsFile: federated(t, server.URL), Scope: "s", Transport: http.DefaultTransport})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	var later atomic.Int64
	tokens.Now = func() time.Time { return time.Unix(1e9, later.Load()) }
	refused := func() {
		t.Helper()
		_, err := tokens.Get(t.Context())
		var refusal *Refusal
		if !errors.Is(err, ErrNoToken) || !errors.As(err, &refusal) || refusal.Status != http.StatusBadRequest {
			t.Errorf("%v", err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells the credential: %v", err)
		}
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(refused)
	}
	close(hold)
	wg.Wait()
	refused()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests for a token, want 1", n)
	}
	later.Add(int64(Pause))
	refused()
	if n := asked.Load(); n != 2 {
		t.Errorf("%d requests after the pause, want 2", n)
	}
	status.Store(http.StatusOK)
	later.Add(int64(Pause))
	if token, err := tokens.Get(t.Context()); token != "good" || err != nil {
		t.Errorf("%q, %v", token, err)
	}
}
