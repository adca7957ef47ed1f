// Package gatewaytest runs a whole gateway inside a test: real engine, real store,
// real sealing, S3 over loopback. It is for tests only, keeps everything in the
// test's own folder, and never replaces a part by a mock: a test that needs faults
// passes a backend or store that has them.
package gatewaytest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/reseal"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Options choose the parts of a gateway. The zero value is a SQLite store, a
// backend in memory and a key file, all new.
type Options struct {
	Store   meta.Store       // closed by the caller; nil: SQLite in t.TempDir()
	Backend backends.Backend // closed by the caller; nil: in memory; called BackendName
	// Backends replace Backend where there are several; closed by the caller.
	Backends []blobs.Backend
	Default  string           // of Backends; see engine.Config
	Keys     encrypt.Provider // closed by the caller; nil: a key file in t.TempDir()
	Now      func() time.Time // nil: time.Now
	// KeysCache and Elapsed: see engine.Config.
	KeysCache time.Duration
	Elapsed   func() time.Duration
	// Wait is of api.Config.
	Wait     func(context.Context, time.Duration) error
	Log      *slog.Logger  // nil: nothing is logged
	Grace    time.Duration // see engine.Config
	Region   string        // empty: api.DefaultRegion
	Domains  []string      // see api.Config
	Websites []string      // see api.Config
	Limits   api.Limits    // see api.Config
	Observe  func(api.Observation)
	// ProviderKeys are of identity providers; see iam.Handler.
	ProviderKeys *iam.Keys
	Proxies      []netip.Prefix // see api.Config
	TLS          bool           // serve https; use Gateway.Client
	// Several says that the store has other gateways: see engine.Config.Sole.
	Several bool
	// BlockPublicAccess: see api.Config.
	BlockPublicAccess bool
	// Ownership, Regions, AnyRegion and SignatureV2: see api.Config.
	Ownership   access.Ownership
	Regions     []string
	AnyRegion   bool
	SignatureV2 sigv4.Version2Use
}

// BackendName is the name of Options.Backend.
const BackendName = "local"

// Gateway is a running gateway. It stops when its test ends.
type Gateway struct {
	URL    string // http://127.0.0.1:port, without a slash at the end
	Region string
	API    *api.Server
	Engine *engine.Engine
	// Lifecycles and Inventories are the background steps of rules and lists. The
	// test runs them.
	Lifecycles  *lifecycle.Steps
	Inventories *inventory.Steps
	Resealing   *reseal.Steps
	Store       meta.Store
	path        string           // of the store's file, if it was made here
	Backend     backends.Backend // the first, where there are several
	Keys        encrypt.Provider
	Root        accounts.Credential
	Client      *http.Client // follows no redirects
	Server      *httptest.Server
	Now         func() time.Time // by which requests are signed
}

// Start runs a gateway until the test ends.
func Start(t testing.TB, o Options) *Gateway {
	t.Helper()
	g := &Gateway{Store: o.Store, Backend: o.Backend, Keys: o.Keys, Region: o.Region, Now: o.Now}
	if g.Now == nil {
		g.Now = time.Now
	}
	if g.Region == "" {
		g.Region = api.DefaultRegion
	}
	g.parts(t, o.Backends)
	if o.Backends == nil {
		o.Backends = []blobs.Backend{{Name: BackendName, Backend: g.Backend}}
	}
	ctx := context.Background()
	var err error
	g.Engine, err = engine.Open(ctx, engine.Config{
		Store: g.Store, Backends: o.Backends, Default: o.Default, Region: g.Region, Keys: g.Keys,
		Now: o.Now, Log: o.Log, Sole: !o.Several, Grace: o.Grace, TransitionClasses: lifecycle.TransitionClasses,
		KeysCache: o.KeysCache, Elapsed: o.Elapsed,
	})
	if err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(func() {
		if err := g.Engine.Close(); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	if g.Root, _, err = g.Engine.Accounts().EnsureRootCredential(ctx); err != nil {
		t.Fatalf("root credential: %v", err)
	}
	g.API = api.New(api.Config{
		Engine: g.Engine, IAM: &iam.Handler{Accounts: g.Engine.Accounts(), Now: o.Now, Keys: o.ProviderKeys}, Region: o.Region, Domains: o.Domains, Websites: o.Websites, Now: o.Now, Wait: o.Wait, Log: o.Log,
		Observe: o.Observe, Limits: o.Limits, Proxies: o.Proxies, BlockPublicAccess: o.BlockPublicAccess,
		Ownership: o.Ownership, Regions: o.Regions, AnyRegion: o.AnyRegion, SignatureV2: o.SignatureV2,
	})
	g.Lifecycles = lifecycle.New(lifecycle.Config{Engine: g.Engine, Store: g.Store, Now: o.Now, Log: o.Log, Tell: g.API.LogLifecycle})
	g.Resealing = reseal.New(reseal.Config{Engine: g.Engine, Log: o.Log})
	g.Inventories = inventory.New(inventory.Config{Engine: g.Engine, Store: g.Store, Now: o.Now, Permit: g.API.PermitInventory})
	g.Server = httptest.NewUnstartedServer(g.API)
	g.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // some tests abort connections on purpose
	if o.TLS {
		g.Server.StartTLS()
	} else {
		g.Server.Start()
	}
	t.Cleanup(g.Server.Close)
	g.URL, g.Client = g.Server.URL, g.Server.Client()
	g.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return g
}

// parts creates the parts that were not given.
func (g *Gateway) parts(t testing.TB, several []blobs.Backend) {
	t.Helper()
	if g.Store == nil {
		g.path = filepath.Join(t.TempDir(), "store.db")
		store, err := sqlite.Open(g.path, sqlite.Options{})
		if err != nil {
			t.Fatalf("open the store: %v", err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Errorf("close the store: %v", err)
			}
		})
		g.Store = store
	}
	switch {
	case len(several) > 0:
		g.Backend = several[0].Backend
	case g.Backend == nil:
		g.Backend = mem.New()
	}
	if g.Keys == nil {
		keys, err := keyring.Create(filepath.Join(t.TempDir(), "keys"), nil)
		if err != nil {
			t.Fatalf("make a key file: %v", err)
		}
		t.Cleanup(func() { keys.Close() })
		g.Keys = keys
	}
}

// User makes a user with a credential.
func (g *Gateway) User(t testing.TB, name string) accounts.Credential {
	t.Helper()
	c, err := g.Engine.Accounts().CreateTenant(context.Background(), name, "", "", "")
	if err != nil {
		t.Fatalf("create user %s: %v", name, err)
	}
	return c
}

// Request creates an unsigned request. target is the request target as it is sent:
// escaped, with its query.
func (g *Gateway) Request(t testing.TB, method, target string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, g.URL+target, bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return r
}

// Sign signs a request with the hash of body, which must be what it sends.
func (g *Gateway) Sign(t testing.TB, r *http.Request, c accounts.Credential, body []byte) {
	t.Helper()
	if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, g.Region, "s3", sigv4.PayloadHash(body), g.Now()); err != nil {
		t.Fatalf("sign %s %s: %v", r.Method, r.URL, err)
	}
}

// Response is a response with its whole body.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send sends a request unchanged.
func (g *Gateway) Send(t testing.TB, r *http.Request) Response {
	t.Helper()
	res, err := g.Client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", r.Method, r.URL, err)
	}
	return Response{Status: res.StatusCode, Header: res.Header, Body: body}
}

// Do sends a signed request and returns its response. headers are alternating names
// and values.
func (g *Gateway) Do(t testing.TB, c accounts.Credential, method, target string, body []byte, headers ...string) Response {
	t.Helper()
	r := g.Request(t, method, target, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	g.Sign(t, r, c, body)
	return g.Send(t, r)
}

// Must is Do as root, and demands the status.
func (g *Gateway) Must(t testing.TB, status int, method, target string, body []byte, headers ...string) Response {
	t.Helper()
	res := g.Do(t, g.Root, method, target, body, headers...)
	if res.Status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, target, res.Status, status, res.Body)
	}
	return res
}

// Code returns the code of an error document; empty when there is none.
func (r Response) Code() string { return r.Element("Code") }

// Element returns the raw text of the first element of that name in the body; empty
// when there is none.
func (r Response) Element(name string) string {
	_, rest, ok := bytes.Cut(r.Body, []byte("<"+name+">"))
	if !ok {
		return ""
	}
	text, _, _ := bytes.Cut(rest, []byte("</"+name+">"))
	return string(text)
}
