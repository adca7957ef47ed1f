package gcs

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
)

// A token of the metadata server's, whose answers are bounded like all others.
func TestMetadataServer(t *testing.T) {
	p := newBetween(t)
	p.lie.Store(&lie{request: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer of-the-machine" {
			http.Error(w, "no", http.StatusUnauthorized)
			return true
		}
		r.Header.Del("Authorization")
		return false
	}})
	var say atomic.Pointer[http.HandlerFunc]
	honest := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" || r.FormValue("scopes") != scopeWrite ||
			r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/token" {
			t.Errorf("asked %s %v", r.URL, r.Header)
		}
		io.WriteString(w, `{"access_token":"of-the-machine","expires_in":3600,"token_type":"Bearer"}`)
	})
	say.Store(&honest)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*say.Load())(w, r) }))
	t.Cleanup(server.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	o := local(t)
	o.Endpoint, o.Anonymous = p.URL, false
	mustPut(t, mustOpen(t, o), "body")

	const most = 64 << 20
	for name, c := range map[string]struct {
		status int
		head   string
		fill   string
		want   error
	}{
		"an endless token": {200, `{"access_token":"`, "a", backends.ErrUnavailable},
		"endless depth":    {200, "", "[", backends.ErrUnavailable},
		"an endless error": {500, "", "a", backends.ErrUnavailable},
		"no such account":  {404, "no", "", backends.ErrDenied},
		"no token":         {200, "{}", "", backends.ErrUnavailable},
	} {
		var sent atomic.Int64
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.head)
			chunk := strings.Repeat(c.fill, 64<<10)
			for err := error(nil); chunk != "" && err == nil && sent.Load() < most; sent.Add(int64(len(chunk))) {
				_, err = io.WriteString(w, chunk)
			}
		})
		say.Store(&h)
		_, err := Open(t.Context(), o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "CredentialsFile") {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if sent.Load() >= most {
			t.Errorf("%s: all %d bytes were read", name, sent.Load())
		}
	}
}
