package api_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// partyStore is a store that notes whose calls it gets.
type partyStore struct {
	meta.Store
	mu sync.Mutex
	of []any
}

func (s *partyStore) note(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = append(s.of, meta.Party(ctx))
}

// only returns the party of all calls since the last look.
func (s *partyStore) only(t *testing.T, name string) any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.of = nil }()
	if len(s.of) == 0 {
		t.Fatalf("%s: no call of the store", name)
	}
	for _, p := range s.of {
		if p != s.of[0] || p == nil {
			t.Errorf("%s: the store's calls are those of %v", name, s.of)
		}
	}
	return s.of[0]
}

func (s *partyStore) Bucket(ctx context.Context, name string) (meta.Bucket, error) {
	s.note(ctx)
	return s.Store.Bucket(ctx, name)
}

func (s *partyStore) Find(ctx context.Context, bucket, key string) (meta.Bucket, meta.Version, error) {
	s.note(ctx)
	return s.Store.Find(ctx, bucket, key)
}

func (s *partyStore) Vacant(ctx context.Context, bucket, key string) (meta.Bucket, bool, error) {
	s.note(ctx)
	return s.Store.Vacant(ctx, bucket, key)
}

func (s *partyStore) CreateBucket(ctx context.Context, b meta.Bucket, seed meta.BucketSeed, most int) error {
	s.note(ctx)
	return s.Store.CreateBucket(ctx, b, seed, most)
}

func (s *partyStore) CommitObject(ctx context.Context, c meta.Commit) error {
	s.note(ctx)
	return s.Store.CommitObject(ctx, c)
}

func (s *partyStore) CreateIdentity(ctx context.Context, i meta.Identity) error {
	s.note(ctx)
	return s.Store.CreateIdentity(ctx, i)
}

func (s *partyStore) CreateAccessKey(ctx context.Context, k meta.AccessKey) error {
	s.note(ctx)
	return s.Store.CreateAccessKey(ctx, k)
}

func (s *partyStore) SetSetting(ctx context.Context, id meta.ID, c meta.Change, setting meta.Setting) error {
	s.note(ctx)
	return s.Store.SetSetting(ctx, id, c, setting)
}

// The store's calls of a request count with the tenant that sent it, by every road, and
// those of an unsigned one with its address. The store shares its connections by them.
func TestStoreKnowsWhoAsks(t *testing.T) {
	inner, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inner.Close() })
	store := &partyStore{Store: inner}
	g, alice, bob := shared(t, gatewaytest.Options{Store: store, Websites: []string{"sites.test"}})
	expect(t, "policy", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(readOpen)), 204, "")
	store.of = nil

	expect(t, "alice", g.Do(t, alice, "PUT", "/bucket/k", []byte("x")), 200, "")
	alices := store.only(t, "alice's")
	same := func(name string, res gatewaytest.Response, status int) gatewaytest.Response {
		t.Helper()
		if res.Status != status {
			t.Errorf("%s: %d %s", name, res.Status, res.Body)
		}
		if got := store.only(t, name); got != alices {
			t.Errorf("%s counts with %v, want %v", name, got, alices)
		}
		return res
	}
	same("GET", g.Do(t, alice, "GET", "/bucket/k", nil), 200)
	same("a listing", g.Do(t, alice, "GET", "/bucket?list-type=2", nil), 200)
	same("CreateBucket", g.Do(t, alice, "PUT", "/second", nil), 200)
	same("a setting", g.Do(t, alice, "PUT", "/bucket?tagging", []byte("<Tagging><TagSet/></Tagging>")), 204)
	same("a copy", g.Do(t, alice, "PUT", "/bucket/copy", nil, "x-amz-copy-source", "/bucket/k"), 200)
	same("CreateUser", iamCall(t, g, alice, "Action", "CreateUser", "UserName", "u"), 200)
	made := same("CreateAccessKey", iamCall(t, g, alice, "Action", "CreateAccessKey", "UserName", "u"), 200)
	user := accounts.Credential{AccessKey: made.Element("AccessKeyId"), SecretKey: made.Element("SecretAccessKey")}
	same("a user of the tenant", g.Do(t, user, "GET", "/bucket/k", nil), 403)
	presigned := g.Request(t, "GET", "/bucket/k", nil)
	presign(t, g, presigned, alice, time.Now())
	same("a presigned GET", g.Send(t, presigned), 200)

	site := g.Request(t, "GET", "/k", nil)
	site.Host = "bucket.sites.test"
	strangers := map[any]bool{alices: true}
	for _, res := range []struct {
		name string
		send func() gatewaytest.Response
		new  bool
	}{
		{"bob's", func() gatewaytest.Response { return g.Do(t, bob, "GET", "/bucket/k", nil) }, true},
		{"an unsigned GET", func() gatewaytest.Response { return anonymously(t, g, "GET", "/bucket/open", nil) }, true},
		{"a visit to a website", func() gatewaytest.Response { return g.Send(t, site) }, false},
	} {
		store.of = nil
		res.send()
		if got := store.only(t, res.name); strangers[got] == res.new {
			t.Errorf("%s counts with %v", res.name, got)
		} else {
			strangers[got] = true
		}
	}
}
