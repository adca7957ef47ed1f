package api_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/sigv4"
)

// heldStore is a store in which one tenant's costly calls last until they are
// released.
type heldStore struct {
	meta.Store
	mu     sync.Mutex
	held   map[meta.ID]bool // tenants and buckets
	begun  chan struct{}    // one value for each held call
	letGo  chan struct{}    // closed
	active int              // held calls
	most   int
}

func (s *heldStore) hold(of meta.ID) {
	s.mu.Lock()
	held := s.held[of]
	if held {
		s.active++
		s.most = max(s.most, s.active)
	}
	s.mu.Unlock()
	if !held {
		return
	}
	s.begun <- struct{}{}
	<-s.letGo
	s.mu.Lock()
	s.active--
	s.mu.Unlock()
}

func (s *heldStore) ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error) {
	s.hold(q.Owner)
	return s.Store.ListBuckets(ctx, q)
}

func (s *heldStore) ListIdentities(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, after string, limit int) ([]meta.Identity, error) {
	s.hold(tenant)
	return s.Store.ListIdentities(ctx, tenant, kind, after, limit)
}

func (s *heldStore) ListObjects(ctx context.Context, q meta.ListQuery) (meta.ListPage, error) {
	s.hold(q.Bucket)
	return s.Store.ListObjects(ctx, q)
}

func (s *heldStore) ListVersions(ctx context.Context, q meta.VersionQuery) (meta.VersionPage, error) {
	s.hold(q.Bucket)
	return s.Store.ListVersions(ctx, q)
}

func (s *heldStore) ListUploads(ctx context.Context, q meta.UploadQuery) (meta.UploadPage, error) {
	s.hold(q.Bucket)
	return s.Store.ListUploads(ctx, q)
}

func (s *heldStore) RemoveObjects(ctx context.Context, bucket meta.ID, v meta.Versioning, rs []meta.Removal, now time.Time) ([]meta.Removed, error) {
	s.hold(bucket)
	return s.Store.RemoveObjects(ctx, bucket, v, rs, now)
}

func (s *heldStore) CompleteUpload(ctx context.Context, c meta.Complete) error {
	s.hold(c.Version.Bucket)
	return s.Store.CompleteUpload(ctx, c)
}

// asked is a request that costs the store much.
type asked struct {
	name string
	send func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, bucket string) gatewaytest.Response
}

// askedFor are all such requests.
func askedFor() (all []asked) {
	for _, query := range []string{"?delimiter=/", "?list-type=2&delimiter=/", "?versions&delimiter=/", "?uploads&delimiter=/", "?uploads"} {
		all = append(all, asked{"a listing " + query, func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, bucket string) gatewaytest.Response {
			return g.Do(t, c, "GET", "/"+bucket+query, nil)
		}})
	}
	for _, action := range [][]string{{"ListUsers", "PathPrefix", "/a/"}, {"ListPolicies"}, {"GetAccountSummary"}, {"GetGroup", "GroupName", "g"}} {
		all = append(all, asked{action[0], func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, _ string) gatewaytest.Response {
			return iamCall(t, g, c, append([]string{"Action"}, action...)...)
		}})
	}
	return append(all,
		asked{"ListBuckets", func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, _ string) gatewaytest.Response {
			return g.Do(t, c, "GET", "/", nil)
		}},
		asked{"DeleteObjects", func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, bucket string) gatewaytest.Response {
			document := []byte("<Delete><Object><Key>absent</Key></Object></Delete>")
			return g.Do(t, c, "POST", "/"+bucket+"?delete", document, "Content-Md5", md5Of(string(document)))
		}},
		asked{"CompleteMultipartUpload", func(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, bucket string) gatewaytest.Response {
			id := g.Do(t, c, "POST", "/"+bucket+"/key?uploads", nil).Element("UploadId")
			etag := g.Do(t, c, "PUT", "/"+bucket+"/key?partNumber=1&uploadId="+id, []byte("x")).Header.Get("ETag")
			return g.Do(t, c, "POST", "/"+bucket+"/key?uploadId="+id, completeDocument(part(1, strings.ReplaceAll(etag, `"`, "&quot;"))))
		}})
}

// Costly requests take turns with those of the same tenant, in whatever bucket,
// and all succeed. Costly requests of another tenant do not wait for them, nor
// do small requests.
func TestMuchTakesTurns(t *testing.T) {
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	held := &heldStore{Store: store}
	g, alice, bob := shared(t, gatewaytest.Options{Store: held, Limits: api.Limits{Turns: 3}})
	const width, all = 3, 12
	expect(t, "alice's second", g.Do(t, alice, "PUT", "/second", nil), 200, "")
	expect(t, "bob's", g.Do(t, bob, "PUT", "/bobs", nil), 200, "")
	for _, c := range []accounts.Credential{alice, bob} {
		iamCall(t, g, c, "Action", "CreateGroup", "GroupName", "g")
	}
	of := map[meta.ID]bool{alice.Tenant.ID: true}
	for _, name := range []string{"bucket", "second"} {
		b, err := g.Engine.Buckets().Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		of[b.ID] = true
	}
	for _, a := range askedFor() {
		t.Run(a.name, func(t *testing.T) {
			held.mu.Lock()
			held.held, held.active, held.most = of, 0, 0
			held.begun, held.letGo = make(chan struct{}, 100*all), make(chan struct{})
			held.mu.Unlock()
			var done sync.WaitGroup
			for n := range all {
				done.Go(func() {
					if res := a.send(t, g, alice, []string{"bucket", "second"}[n%2]); res.Status != 200 {
						t.Errorf("request %d: %d %s", n, res.Status, res.Body)
					}
				})
			}
			for range width {
				<-held.begun
			}
			expect(t, "bob's", a.send(t, g, bob, "bobs"), 200, "")
			expect(t, "alice's that asks for little", g.Do(t, alice, "HEAD", "/bucket/open", nil), 200, "")
			close(held.letGo)
			done.Wait()
			if held.most != width {
				t.Errorf("%d of one tenant were at the store at once, want %d", held.most, width)
			}
		})
	}
}

// Anonymous requests take turns among themselves, for each tenant whose buckets
// they are for. The tenant's own requests do not wait for them.
func TestStrangersTakeTurnsOfTheirOwn(t *testing.T) {
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	held := &heldStore{Store: store}
	const width, all = 2, 10
	g, alice, bob := shared(t, gatewaytest.Options{Store: held, Limits: api.Limits{Turns: width}})
	expect(t, "bob's", g.Do(t, bob, "PUT", "/bobs", nil), 200, "")
	for name, c := range map[string]accounts.Credential{"bucket": alice, "bobs": bob} {
		expect(t, "policy of "+name, g.Do(t, c, "PUT", "/"+name+"?policy", policyOf(
			`{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::`+name+`"}`)), 204, "")
	}
	b, err := g.Engine.Buckets().Get(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	held.begun, held.letGo = make(chan struct{}, all), make(chan struct{})
	held.held = map[meta.ID]bool{b.ID: true}
	var done sync.WaitGroup
	for range all {
		done.Go(func() { expect(t, "a stranger's", anonymously(t, g, "GET", "/bucket?delimiter=/", nil), 200, "") })
	}
	for range width {
		<-held.begun
	}
	held.mu.Lock()
	held.held = nil
	held.mu.Unlock()
	for range width {
		expect(t, "alice's", g.Do(t, alice, "GET", "/bucket?delimiter=/", nil), 200, "")
		expect(t, "a stranger's of bob's bucket", anonymously(t, g, "GET", "/bobs?delimiter=/", nil), 200, "")
	}
	close(held.letGo)
	done.Wait()
}

// A request whose client leaves while it waits for its turn, or that fails in
// its turn, leaves the turn to others.
func TestTurnsAreGivenBack(t *testing.T) {
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	broken := &panickyStore{Store: store}
	g, alice, _ := shared(t, gatewaytest.Options{Store: broken, Limits: api.Limits{Turns: 1}})
	broken.panics.Store(true)
	for range 5 {
		expect(t, "a panic", g.Do(t, alice, "GET", "/bucket?delimiter=/", nil), 500, "InternalError")
	}
	broken.panics.Store(false)
	if res := g.Do(t, alice, "GET", "/bucket?delimiter=/", nil); res.Status != 200 {
		t.Fatalf("after panics: %d %s", res.Status, res.Body)
	}
	hung := make(chan struct{}, 10)
	broken.hang.Store(&hung)
	ctx, leave := context.WithCancel(t.Context())
	var gone sync.WaitGroup
	for range 5 {
		gone.Go(func() {
			r := g.Request(t, "GET", "/bucket?delimiter=/", nil)
			if err := sigv4.Sign(r, alice.AccessKey, alice.SecretKey, g.Region, "s3", sigv4.PayloadHash(nil), time.Now()); err != nil {
				t.Error(err)
			}
			if res, err := g.Client.Do(r.WithContext(ctx)); err == nil {
				res.Body.Close()
				t.Error("a listing that hangs is answered")
			}
		})
	}
	<-hung // one hangs in the store
	leave()
	gone.Wait()
	broken.hang.Store(nil)
	expect(t, "after clients that left", g.Do(t, alice, "GET", "/bucket?delimiter=/", nil), 200, "")
}

// panickyStore is a store whose listings panic, or hang until their client
// leaves.
type panickyStore struct {
	meta.Store
	panics atomic.Bool
	hang   atomic.Pointer[chan struct{}] // one value for each hanging listing
}

func (s *panickyStore) ListObjects(ctx context.Context, q meta.ListQuery) (meta.ListPage, error) {
	if s.panics.Load() {
		panic("a defect")
	}
	if hung := s.hang.Load(); hung != nil {
		*hung <- struct{}{}
		<-ctx.Done()
		return meta.ListPage{}, ctx.Err()
	}
	return s.Store.ListObjects(ctx, q)
}
