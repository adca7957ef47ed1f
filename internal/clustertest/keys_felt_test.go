//go:build linux

package clustertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/s3err"
)

// takenKeys is a key provider of which one kind of seeds can be taken away.
type takenKeys struct {
	encrypt.Provider
	taken atomic.Pointer[taken]
	calls atomic.Int64
}

// taken says which seeds do not open, and why.
type taken struct {
	purpose string
	err     error
}

func (k *takenKeys) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	k.calls.Add(1)
	if t := k.taken.Load(); t != nil && t.purpose == c.Purpose {
		return nil, t.err
	}
	return k.Provider.Unwrap(ctx, c, wrapped)
}

// keysCache is short, because a gateway that shows no life for half a minute is taken for
// dead, and the tests' clock passes it at once.
const keysCache = 10 * time.Second

// felt is three gateways over one store, whose keys a test takes away.
type felt struct {
	t        *testing.T
	keys     *takenKeys
	clock    atomic.Int64
	gateways []*gatewaytest.Gateway
	root     accounts.Credential
	alice    accounts.Credential
	upload   string
}

// stores of the tests: how each opens it for one more gateway.
var feltStores = map[string]func(t *testing.T) (open func() meta.Store){
	"sqlite": func(t *testing.T) func() meta.Store {
		store, err := sqlite.Open(filepath.Join(t.TempDir(), "meta.db"), sqlite.Options{})
		must(t, err)
		t.Cleanup(func() { store.Close() })
		return func() meta.Store { return store }
	},
	"postgres": func(t *testing.T) func() meta.Store {
		name := newDatabase(t)
		return func() meta.Store {
			store, err := postgres.Open(context.Background(), database.server.URL(name), postgres.Options{MaxConnections: poolSize})
			must(t, err)
			t.Cleanup(func() { store.Close() })
			return store
		}
	},
}

func newFelt(t *testing.T, open func() meta.Store) *felt {
	f := &felt{t: t, keys: &takenKeys{Provider: keytest.NewFake("fake")}}
	b := mem.New()
	t.Cleanup(func() { b.Close() })
	for range engines {
		f.gateways = append(f.gateways, gatewaytest.Start(t, gatewaytest.Options{
			Store: open(), Backend: b, Keys: f.keys, Several: true, KeysCache: keysCache, Websites: []string{"web.test"},
			Elapsed: f.elapsed,
		}))
	}
	f.root = f.gateways[0].Root
	f.watch(nil)
	f.fill()
	return f
}

// fill makes buckets with settings of every kind, objects, an upload and a tenant.
func (f *felt) fill() {
	g, t := f.gateways[0], f.t
	f.alice = g.User(t, "alice")
	for _, bucket := range []string{"/bucket", "/other", "/logs"} {
		g.Must(t, 200, "PUT", bucket, nil)
	}
	g.Must(t, 204, "PUT", "/bucket?policy", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",`+
		`"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`))
	g.Must(t, 200, "PUT", "/bucket?cors", []byte("<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"))
	g.Must(t, 200, "PUT", "/bucket?website", []byte("<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>"))
	g.Must(t, 200, "PUT", "/bucket?lifecycle", []byte("<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter>"+
		"<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"))
	g.Must(t, 200, "PUT", "/bucket?logging", []byte("<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>of/</TargetPrefix>"+
		"</LoggingEnabled></BucketLoggingStatus>"))
	g.Must(t, 200, "PUT", "/bucket/index.html", []byte("home"), "X-Amz-Tagging", "a=b", "X-Amz-Meta-Who", "me")
	g.Must(t, 200, "PUT", "/bucket?inventory&id=a", []byte("<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::logs</Bucket><Format>CSV</Format>"+
		"</S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>a</Id><IncludedObjectVersions>All</IncludedObjectVersions>"+
		"<Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>"))
	g.Must(t, 200, "PUT", "/other/k", []byte("x"))
	if res := g.Do(t, f.alice, "PUT", "/of-alice", nil); res.Status != 200 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	f.upload = g.Must(t, 200, "POST", "/bucket/m?uploads", nil).Element("UploadId")
}

// watch is one look of every gateway at its keys, which ends as it must.
func (f *felt) watch(want error) {
	f.t.Helper()
	for i, g := range f.gateways {
		if err := g.Engine.WatchKeys(context.Background()); !errors.Is(err, want) {
			f.t.Errorf("gateway %d looks at its keys: %v, want %v", i, err, want)
		}
		// A beat proves the deployment's row, which takes the keys.
		if err := g.Engine.Beat(context.Background()); err != nil && want == nil {
			f.t.Errorf("gateway %d: %v", i, err)
		}
	}
}

func (f *felt) elapsed() time.Duration { return time.Duration(f.clock.Load()) }

// pass has the clock pass a time.
func (f *felt) pass(d time.Duration) { f.clock.Add(int64(d)) }

// road is a way to something sealed. Its status is that of success.
type road struct {
	name   string
	status int
	do     func(g *gatewaytest.Gateway) gatewaytest.Response
}

func (f *felt) signed(by accounts.Credential, status int, method, target string, body string, headers ...string) road {
	return road{strings.TrimSpace(method + " " + target + " " + strings.Join(headers, " ")), status, func(g *gatewaytest.Gateway) gatewaytest.Response {
		return g.Do(f.t, by, method, target, []byte(body), headers...)
	}}
}

func (f *felt) site(name string) road {
	return road{"the website " + name, 200, func(g *gatewaytest.Gateway) gatewaytest.Response {
		r := g.Request(f.t, "GET", "/", nil)
		r.Host = name
		return g.Send(f.t, r)
	}}
}

// ofBucket are the roads that need the keys of /bucket.
func (f *felt) ofBucket() []road {
	root := f.root
	return []road{
		f.signed(root, 200, "GET", "/bucket/index.html", ""), f.signed(root, 206, "GET", "/bucket/index.html", "", "Range", "bytes=1-2"),
		f.signed(root, 200, "HEAD", "/bucket/index.html", ""), f.signed(root, 200, "GET", "/bucket/index.html?tagging", ""),
		f.signed(root, 200, "GET", "/bucket/index.html?attributes", "", "X-Amz-Object-Attributes", "ETag"),
		f.signed(root, 200, "PUT", "/bucket/new", "body"), f.signed(root, 200, "PUT", "/bucket/new?tagging", "<Tagging><TagSet/></Tagging>"),
		f.signed(root, 200, "PUT", "/other/copy", "", "X-Amz-Copy-Source", "/bucket/index.html"),
		f.signed(root, 200, "PUT", "/bucket/copy", "", "X-Amz-Copy-Source", "/other/k"),
		f.signed(root, 200, "POST", "/bucket/begun?uploads", ""),
		f.signed(root, 200, "PUT", "/bucket/m?partNumber=1&uploadId="+f.upload, "part"),
		f.signed(root, 200, "GET", "/bucket/m?uploadId="+f.upload, ""),
		f.signed(root, 200, "GET", "/bucket?list-type=2", ""), f.signed(root, 200, "GET", "/bucket?versions", ""), f.signed(root, 200, "GET", "/bucket?uploads", ""),
		f.signed(root, 200, "GET", "/bucket?policy", ""), f.signed(root, 200, "GET", "/bucket?cors", ""), f.signed(root, 200, "GET", "/bucket?website", ""),
		f.signed(root, 200, "GET", "/bucket?lifecycle", ""), f.signed(root, 200, "GET", "/bucket?logging", ""),
		f.signed(root, 200, "GET", "/bucket?inventory&id=a", ""),
		f.signed(root, 200, "PUT", "/bucket?cors", "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"),
		f.signed(f.alice, 200, "GET", "/bucket/index.html", ""),
		{"nobody's GET", 200, func(g *gatewaytest.Gateway) gatewaytest.Response {
			return g.Send(f.t, g.Request(f.t, "GET", "/bucket/index.html", nil))
		}},
		f.site("bucket.web.test"),
	}
}

// ofSystem are roads that need no keys of a bucket.
func (f *felt) ofSystem() []road {
	return []road{
		f.signed(f.root, 200, "GET", "/", ""), f.signed(f.root, 200, "HEAD", "/other", ""), f.signed(f.root, 200, "GET", "/other?versioning", ""),
		f.signed(f.alice, 200, "GET", "/", ""),
		{"a tenant's user", 200, func(g *gatewaytest.Gateway) gatewaytest.Response {
			_, err := g.Engine.Accounts().Tenants(f.t.Context(), "", 10)
			return told(err)
		}},
		{"a session", 200, func(g *gatewaytest.Gateway) gatewaytest.Response {
			_, err := g.Engine.Accounts().NewSession(accounts.Session{Tenant: f.root.Tenant.ID, Holder: f.root.Tenant.ID, Expires: time.Now().Add(time.Hour)})
			return told(err)
		}},
	}
}

// told is an error as a client is told of it.
func told(err error) gatewaytest.Response {
	e := s3err.From(err)
	if e == nil {
		return gatewaytest.Response{Status: http.StatusOK}
	}
	return gatewaytest.Response{Status: e.Code.Status(), Body: []byte("<Code>" + string(e.Code) + "</Code>")}
}

// travel goes every road on every gateway. want is the code of its answers, or empty: it
// leads to its end.
func (f *felt) travel(when string, roads []road, want s3err.Code, status int) {
	f.t.Helper()
	for i, g := range f.gateways {
		for _, r := range roads {
			res, wanted := r.do(g), status
			if want == "" {
				wanted = r.status
			}
			// HEAD has no body, and a website's errors are pages.
			if code := res.Code(); res.Status != wanted || len(res.Body) > 0 && !strings.HasPrefix(r.name, "the website") && code != string(want) && want != "" {
				f.t.Errorf("%s: gateway %d: %s: %d %s, want %d %s", when, i, r.name, res.Status, code, wanted, want)
			}
		}
	}
}

// tellings are how a key is away, and what clients are told.
var tellings = map[error]struct {
	code   s3err.Code
	status int
}{
	encrypt.ErrKeyDisabled: {s3err.KMSDisabled, 400}, encrypt.ErrKeyNotFound: {s3err.KMSNotFound, 400}, encrypt.ErrUnavailable: {s3err.ServiceUnavailable, 503},
}

// A key of a bucket that was taken away is felt on every road and gateway when the keys'
// time is over, and no later; until then, and for warm buckets, the provider is not asked.
func TestKeyOfABucketIsFelt(t *testing.T) {
	for name, open := range feltStores {
		t.Run(name, func(t *testing.T) {
			f := newFelt(t, open(t))
			roads := f.ofBucket()
			f.travel("cold", roads, "", 0)
			for kind, is := range tellings {
				f.keys.calls.Store(0)
				f.keys.taken.Store(&taken{"bucket", fmt.Errorf("%w: by a test", kind)})
				f.travel("warm", roads, "", 0)
				if n := f.keys.calls.Load(); n != 0 {
					t.Errorf("%d calls of the provider for warm buckets", n)
				}
				// Settings that are read now, with keys that are nearly over, end with the keys.
				f.pass(keysCache * 9 / 10)
				f.watch(nil)
				f.travel("still warm", roads, "", 0)
				f.pass(keysCache/10 + 1)
				f.watch(nil)
				f.travel("taken away", roads, is.code, is.status)
				for i, g := range f.gateways {
					if r, err := g.API.DeliverLogs(t.Context(), true); r.Delivered != 0 {
						t.Errorf("gateway %d delivers logs into a bucket without keys: %+v, %v", i, r, err)
					}
				}
				f.keys.taken.Store(nil)
				f.travel("restored", roads, "", 0)
			}
		})
	}
}

// Lifecycles and inventories, which read the settings of all buckets, do nothing without the
// bucket's keys, and say why.
func TestBackgroundFeelsKeys(t *testing.T) {
	for kind, is := range tellings {
		f := newFelt(t, feltStores["sqlite"](t))
		f.keys.taken.Store(&taken{"bucket", fmt.Errorf("%w: by a test", kind)})
		f.pass(keysCache + 1)
		f.watch(nil)
		for name, step := range map[string]func() error{
			"lifecycle": func() error { _, err := f.gateways[0].Lifecycles.Step(t.Context()); return err },
			"inventory": func() error { _, err := f.gateways[0].Inventories.Step(t.Context()); return err },
		} {
			var err error
			for range 5 { // a round looks at one bucket after the other
				err = errors.Join(err, step())
			}
			if !errors.Is(err, is.code) {
				t.Errorf("%s without keys: %v, want %s", name, err, is.code)
			}
		}
	}
}

// The system's key is felt on every road too: at once where the provider says that it was
// taken away, and with the end of the keys' time where the provider is away.
func TestKeyOfTheSystemIsFelt(t *testing.T) {
	for name, open := range feltStores {
		t.Run(name, func(t *testing.T) {
			f := newFelt(t, open(t))
			roads := append(f.ofBucket(), f.ofSystem()...)
			f.travel("at first", roads, "", 0)
			for kind, is := range tellings {
				f.keys.taken.Store(&taken{"system", fmt.Errorf("%w: by a test", kind)})
				f.travel("not yet felt", roads, "", 0)
				f.pass(keysCache/2 + 1)
				f.watch(kind)
				if errors.Is(kind, encrypt.ErrUnavailable) {
					f.travel("away, and remembered", roads, "", 0)
					f.pass(keysCache/2 + 1)
					f.travel("away, before the look", roads, is.code, is.status)
					f.watch(kind)
				}
				f.travel("taken away", roads, is.code, is.status)
				f.keys.taken.Store(nil)
				f.watch(nil)
				f.travel("restored", roads, "", 0)
			}
		})
	}
}

// However many requests meet a bucket that is not remembered, the provider is asked once.
func TestColdBucketFetchesOnce(t *testing.T) {
	f := newFelt(t, feltStores["sqlite"](t))
	f.pass(keysCache + 1)
	f.watch(nil)
	f.keys.calls.Store(0)
	var asking sync.WaitGroup
	for range 32 {
		asking.Go(func() {
			if res := f.gateways[0].Do(t, f.root, "GET", "/bucket/index.html", nil); res.Status != 200 {
				t.Errorf("%d %s", res.Status, res.Code())
			}
		})
	}
	asking.Wait()
	if n := f.keys.calls.Load(); n != 1 {
		t.Errorf("%d calls of the provider for one bucket", n)
	}
}
