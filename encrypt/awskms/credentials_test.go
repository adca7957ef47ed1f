package awskms

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

// file writes a file for the test's life.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// serve starts a source of credentials.
func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

// temporary is a credential as containers and instances give it.
func temporary(w http.ResponseWriter, access string, life time.Duration) {
	json.NewEncoder(w).Encode(map[string]any{"Code": "Success", "AccessKeyId": access, "SecretAccessKey": testSecret, "Token": "t", "Expiration": time.Now().Add(life).UTC()})
}

// role answers AssumeRoleWithWebIdentity.
func role(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "a token" || r.FormValue("RoleArn") != "arn:aws:iam::111122223333:role/a" {
		w.WriteHeader(403)
		fmt.Fprint(w, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>canary</Message></Error></ErrorResponse>")
		return
	}
	fmt.Fprintf(w, "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEB</AccessKeyId>"+
		"<SecretAccessKey>"+testSecret+"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials>"+
		"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// webIdentity sets what EKS gives a pod with a role for its service account.
func webIdentity(t *testing.T, token string) {
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file(t, token))
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/a")
	t.Setenv("AWS_ENDPOINT_URL_STS", serve(t, role))
}

// podIdentity sets what EKS gives a pod with a pod identity, or ECS a task.
func podIdentity(t *testing.T, token string) {
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "a pod's token" {
			http.Error(w, `{"code":"AccessDenied","message":"canary"}`, http.StatusForbidden)
			return
		}
		temporary(w, "POD", time.Hour)
	}))
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file(t, token))
}

// Each source of credentials that AWS's tools know signs the requests.
func TestCredentials(t *testing.T) {
	for want, set := range map[string]func(t *testing.T, o *Options){
		"AKIATEST": func(_ *testing.T, o *Options) { o.AccessKey, o.SecretKey = "AKIATEST", testSecret },
		"ENV": func(t *testing.T, _ *Options) {
			t.Setenv("AWS_ACCESS_KEY_ID", "ENV")
			t.Setenv("AWS_SECRET_ACCESS_KEY", testSecret)
		},
		"FILE": func(t *testing.T, o *Options) {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file(t, "[mine]\naws_access_key_id = FILE\naws_secret_access_key = "+testSecret+"\n"))
			o.Profile = "mine"
		},
		"WEB": func(t *testing.T, _ *Options) { webIdentity(t, "a token") },
		"POD": func(t *testing.T, _ *Options) { podIdentity(t, "a pod's token") },
		"IMDS": func(t *testing.T, _ *Options) {
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", serve(t, func(w http.ResponseWriter, r *http.Request) {
				const path = "/latest/meta-data/iam/security-credentials/"
				switch {
				case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
					w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
					fmt.Fprint(w, "a session")
				case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "a session":
					http.Error(w, "", http.StatusUnauthorized)
				case r.URL.Path == path:
					fmt.Fprint(w, "a-role")
				case r.URL.Path == path+"a-role":
					temporary(w, "IMDS", time.Hour)
				default:
					http.Error(w, "", 404)
				}
			}))
		},
	} {
		t.Run(want, func(t *testing.T) {
			alone(t)
			f := newFake(t, fakeRegion)
			o := settings(f.url, fakeRegion)
			o.AccessKey, o.SecretKey = "", ""
			set(t, &o)
			if err := opened(t, o).Check(t.Context()); err != nil {
				t.Error(err)
			}
			if got := f.seen(); !slices.Equal(got, []string{want}) {
				t.Errorf("signed with %q", got)
			}
		})
	}
}

// A source that refuses is an error of the configuration; one that is away is an outage.
// Neither sends anything to KMS, nor shows what the source said.
func TestNoCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(t *testing.T)
		want error
	}{
		"nothing":     {func(*testing.T) {}, encrypt.ErrUnavailable},
		"wrong token": {func(t *testing.T) { webIdentity(t, "another token") }, encrypt.ErrDenied},
		"wrong pod":   {func(t *testing.T) { podIdentity(t, "another token") }, encrypt.ErrDenied},
		"STS is away": {func(t *testing.T) {
			webIdentity(t, "a token")
			t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
		}, encrypt.ErrUnavailable},
		"STS throttles": {func(t *testing.T) {
			webIdentity(t, "a token")
			t.Setenv("AWS_ENDPOINT_URL_STS", serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(400)
				fmt.Fprint(w, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>")
			}))
		}, encrypt.ErrUnavailable},
		"an answer without an end": {func(t *testing.T) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for sent := 0; sent < 64<<20; sent += 4096 {
					if _, err := w.Write(make([]byte, 4096)); err != nil {
						return
					}
				}
				t.Error("64 MiB of an answer were read")
			}))
		}, encrypt.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t)
			c.set(t)
			f := newFake(t, fakeRegion)
			o := settings(f.url, fakeRegion)
			o.AccessKey, o.SecretKey = "", ""
			err := opened(t, o).Check(t.Context())
			if !errors.Is(err, c.want) || errors.Is(err, encrypt.ErrDenied) != (c.want == encrypt.ErrDenied) ||
				!strings.HasPrefix(err.Error(), "credentials: ") || strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
			if got := f.seen(); len(got) > 0 {
				t.Errorf("KMS got requests signed with %q", got)
			}
		})
	}
}

// Calls that need a credential at the same time ask its source once, and one that is about to
// end is renewed before.
func TestRenewal(t *testing.T) {
	alone(t)
	var asked atomic.Int32
	var life atomic.Int64
	life.Store(int64(time.Hour))
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		temporary(w, "POD", time.Duration(life.Load()))
	}))
	f := newFake(t, fakeRegion)
	o := settings(f.url, fakeRegion)
	o.AccessKey, o.SecretKey, o.Timeout = "", "", 10*testTimeout
	wrapAll := func(p *Provider, want int32) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := p.Wrap(t.Context(), seedContext(), seed); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := asked.Swap(0); n != want {
			t.Errorf("the source was asked %d times, want %d", n, want)
		}
	}
	p := opened(t, o)
	wrapAll(p, 1)
	wrapAll(p, 0)
	life.Store(int64(time.Minute))
	p = opened(t, o)
	for range 2 {
		if _, err := p.Wrap(t.Context(), seedContext(), seed); err != nil {
			t.Error(err)
		}
		p.credentials.pace.at = time.Time{} // a second later
	}
	if n := asked.Load(); n < 2 {
		t.Errorf("a credential that ends in a minute was renewed %d times", n-1)
	}
}

// AWS_CA_BUNDLE counts for KMS, as for AWS's own tools.
func TestAuthorities(t *testing.T) {
	alone(t)
	f := newFake(t, fakeRegion)
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	o := settings(s.URL, fakeRegion)
	if err := opened(t, o).Check(t.Context()); !errors.Is(err, encrypt.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	t.Setenv("AWS_CA_BUNDLE", file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))))
	if err := opened(t, o).Check(t.Context()); err != nil {
		t.Error(err)
	}
}
