//go:build linux

package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/internal/servers"
)

func mustTLS(t *testing.T, c servers.Certificate) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// Each wrong option is refused by name.
func TestInvalidOptions(t *testing.T) {
	for _, c := range []struct {
		set  func(*Options)
		want string
	}{
		{func(o *Options) { o.Endpoint = "127.0.0.1:9000" }, "endpoint"},
		{func(o *Options) { o.Endpoint = "ftp://host" }, `endpoint "ftp://host": want a URL`},
		{func(o *Options) { o.Endpoint = "http://host/bucket" }, "endpoint"},
		{func(o *Options) { o.Endpoint = "http://me:hunter2@host" }, "endpoint has a user name"},
		{func(o *Options) { o.Endpoint = "http://me:hunter2@ho st" }, "endpoint is not a URL"},
		{func(o *Options) { o.Bucket = "" }, "bucket"},
		{func(o *Options) { o.Bucket = "No_Such" }, "bucket"},
		{func(o *Options) { o.Prefix = "a/../b" }, "prefix"},
		{func(o *Options) { o.Prefix = "a//b" }, "prefix"},
		{func(o *Options) { o.Prefix = "a b" }, "prefix"},
		{func(o *Options) { o.Prefix = strings.Repeat("x", MaxPrefixLen) }, "prefix"},
		{func(o *Options) { o.Addressing = "x" }, `addressing "x": want auto, path or virtual`},
		{func(o *Options) { o.Dialect = "x" }, `dialect "x": want auto, aws`},
		{func(o *Options) { o.Credentials = "x" }, `credentials "x": want auto`},
		{func(o *Options) { o.Credentials = "env" }, "credentials"},
		{func(o *Options) { o.SecretKey = "" }, "secret key is missing"},
		{func(o *Options) { o.AccessKey = "" }, "access key is missing"},
		{func(o *Options) { o.CAFile = "/nowhere" }, "ca file"},
		{func(o *Options) { o.CAFile = os.Args[0] }, "ca file"},
		{func(o *Options) { o.PartSize = -1 }, "part size"},
		{func(o *Options) { o.SingleLimit = -1 }, "single limit"},
		{func(o *Options) { o.ConnectTimeout = -time.Second }, "connect timeout"},
		{func(o *Options) { o.Dialect = "gcs" }, "endpoint"}, // plain HTTP
	} {
		o := optionsFor(plainServer)
		c.set(&o)
		_, err := Open(t.Context(), o)
		if err == nil || !strings.HasPrefix(err.Error(), "s3 backend: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("an error tells a secret: %v", err)
		}
	}
}

// Something is wrong with the service, or with our place in it.
func TestOpenFails(t *testing.T) {
	free, err := servers.FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		on   *servers.S3Server
		set  func(*Options)
		is   error
		text string
	}{
		{"no bucket", plainServer, func(o *Options) { o.Bucket = "absent" }, ErrNoBucket, `"absent"`},
		{"wrong secret key", plainServer, func(o *Options) { o.SecretKey += "x" }, backends.ErrDenied, "secret key"},
		{"unknown access key", plainServer, func(o *Options) { o.AccessKey = "NOBODY" }, backends.ErrDenied, "access key"},
		{"wrong region", plainServer, func(o *Options) { o.Region = "mars-1" }, backends.ErrDenied, "region"},
		{"nobody there", plainServer, func(o *Options) { o.Endpoint = "http://" + free[0] }, backends.ErrUnavailable, "refused"},
		{"unknown authority", tlsServer, func(o *Options) { o.CAFile = "" }, backends.ErrUnavailable, "ca file"},
		{"TLS to a plain server", plainServer, func(o *Options) { o.Endpoint = "https" + strings.TrimPrefix(o.Endpoint, "http") }, backends.ErrUnavailable, ""},
	} {
		for _, readOnly := range []bool{false, true} {
			o := optionsFor(c.on)
			c.set(&o)
			o.ReadOnly = readOnly
			_, err := Open(t.Context(), o)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v, want %v with %q", c.name, err, c.is, c.text)
			}
			wantNoSecrets(t, err)
		}
	}
}

// A clock that is off is told as such at Open, and so is a throttled probe,
// which must not be taken for a lack of abilities.
func TestOpenMeetsAnswers(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		code   string
		is     error
		text   string
	}{
		{http.MethodGet, 403, "RequestTimeTooSkewed", backends.ErrDenied, "clock"},
		{http.MethodPut, 503, "SlowDown", backends.ErrThrottled, "test the abilities"},
		{http.MethodPut, 403, "AccessDenied", backends.ErrDenied, "test the abilities"},
	} {
		o := optionsFor(plainServer)
		o.Dialect = DialectAuto
		_, err := open(t.Context(), o, func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				if req.Method != c.method {
					return next.RoundTrip(req)
				}
				rec := httptest.NewRecorder()
				answer("", c.status, "", errorBody(c.code))(rec, httptest.NewRequest(req.Method, "/", nil), nil)
				return rec.Result(), nil
			})
		})
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s %s: %v, want %v with %q", c.method, c.code, err, c.is, c.text)
		}
	}
}

// A server that does not know some part of S3 is found out, and works.
func TestProbeOfLesserServers(t *testing.T) {
	refuse := func(when func(*http.Request) bool) func(http.RoundTripper) http.RoundTripper {
		return func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				if !when(req) {
					return next.RoundTrip(req)
				}
				rec := httptest.NewRecorder()
				answer("", http.StatusNotImplemented, "", errorBody("NotImplemented"))(rec, httptest.NewRequest(req.Method, "/", nil), nil)
				return rec.Result(), nil
			})
		}
	}
	has := func(header string) func(*http.Request) bool {
		return func(req *http.Request) bool { return req.Header.Get(header) != "" }
	}
	for name, c := range map[string]struct {
		when func(*http.Request) bool
		lost func(Dialect) bool
	}{
		"conditions":    {has("If-None-Match"), func(d Dialect) bool { return !d.Conditional && d.CRC32C && d.BulkDelete }},
		"checksums":     {has(crc32cHeader), func(d Dialect) bool { return d.Conditional && !d.CRC32C && !d.Echo && !d.Trailers }},
		"trailers":      {has("X-Amz-Trailer"), func(d Dialect) bool { return d.CRC32C && !d.Trailers }},
		"DeleteObjects": {func(req *http.Request) bool { return req.URL.RawQuery == "delete=" }, func(d Dialect) bool { return !d.BulkDelete && d.Conditional }},
	} {
		t.Run(name, func(t *testing.T) {
			o := optionsFor(tlsServer)
			o.Dialect = DialectAuto
			b := mustOpen(t, o, refuse(c.when))
			if !c.lost(b.Dialect()) {
				t.Errorf("taken for %+v", b.Dialect())
			}
			for _, n := range []int{100, 1 << 20} {
				id, data := backends.NewBlobID(), random(n)
				if err := b.Put(t.Context(), id, strings.NewReader(string(data)), int64(n)); err != nil {
					t.Fatal(err)
				}
				wantBody(t, b, id, data)
				if err := b.Delete(t.Context(), id, backends.NewBlobID()); err != nil {
					t.Error(err)
				}
			}
			wantEmpty(t, b)
		})
	}
}

// Where keys come from.
func TestCredentials(t *testing.T) {
	key, secret := plainServer.AccessKey, plainServer.SecretKey
	file := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id = NOBODY\naws_secret_access_key = x\n[other]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key, secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	task := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":"","Expiration":%q}`, key, secret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer task.Close()
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		name string
		env  map[string]string
		set  func(*Options)
		is   error
	}{
		{"env", map[string]string{"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}, func(o *Options) { o.Credentials = "env" }, nil},
		{"env, auto", map[string]string{"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}, func(o *Options) {}, nil},
		{"file", nil, func(o *Options) { o.Credentials, o.CredentialsFile, o.Profile = "file", file, "other" }, nil},
		{"file, other profile", nil, func(o *Options) { o.Credentials, o.CredentialsFile = "file", file }, backends.ErrDenied},
		{"file, auto", nil, func(o *Options) { o.CredentialsFile, o.Profile = file, "other" }, nil},
		{"no file", nil, func(o *Options) { o.Credentials, o.CredentialsFile = "file", none }, backends.ErrDenied},
		{"task role", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": task.URL}, func(o *Options) { o.Credentials = "imds" }, nil},
		{"task role, auto", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": task.URL}, func(o *Options) { o.CredentialsFile = none }, nil},
		{"no env", nil, func(o *Options) { o.Credentials = "env" }, backends.ErrDenied},
		{"no token file", nil, func(o *Options) { o.Credentials = "web_identity" }, backends.ErrDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN",
				"AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
				t.Setenv(name, c.env[name])
			}
			o := optionsFor(plainServer)
			o.AccessKey, o.SecretKey = "", ""
			c.set(&o)
			b, err := Open(t.Context(), o)
			if !errors.Is(err, c.is) {
				t.Fatalf("%v, want %v", err, c.is)
			}
			wantNoSecrets(t, err)
			if b != nil {
				b.Close()
			}
		})
	}
}

// Buckets as host names.
func TestAddressing(t *testing.T) {
	for addressing, want := range map[string]string{"path": "s3.example.org", "virtual": bucket + ".s3.example.org", "auto": "s3.example.org"} {
		host := ""
		o := Options{Endpoint: "https://s3.example.org", Bucket: bucket, Addressing: addressing, Dialect: "generic", Region: "r", AccessKey: "a", SecretKey: "s"}
		_, err := open(t.Context(), o, func(http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				host = req.URL.Host
				return nil, context.DeadlineExceeded
			})
		})
		if err == nil || host != want {
			t.Errorf("%s: asked %q, want %q (%v)", addressing, host, want, err)
		}
	}
}
