package api_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// heldStore is a store in which listings of some buckets go on until they are let go.
type heldStore struct {
	meta.Store
	mu     sync.Mutex
	held   map[meta.ID]bool
	begun  chan struct{} // a value for each listing that is held
	letGo  chan struct{} // closed
	active int           // of those that are held
	most   int
}

func (s *heldStore) hold(bucket meta.ID) {
	s.mu.Lock()
	held := s.held[bucket]
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

// Listings that may ask the store often take turns with those of the same tenant,
// whichever listing it is and whatever bucket, and with no other's.
func TestListingsTakeTurns(t *testing.T) {
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	const width, all = 4, 40
	held := &heldStore{Store: store, held: make(map[meta.ID]bool), begun: make(chan struct{}, all), letGo: make(chan struct{})}
	g, alice, bob := shared(t, gatewaytest.Options{Store: held})
	for _, name := range []string{"bucket", "second"} {
		if name == "second" {
			expect(t, name, g.Do(t, alice, "PUT", "/second", nil), 200, "")
		}
		b, err := g.Engine.Bucket(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		held.mu.Lock()
		held.held[b.ID] = true
		held.mu.Unlock()
	}
	expect(t, "bob's", g.Do(t, bob, "PUT", "/bobs", nil), 200, "")
	roads := []string{"?delimiter=/", "?list-type=2&delimiter=/", "?versions&delimiter=/", "?uploads&delimiter=/"}
	list := func(c accounts.Credential, bucket string, n int) gatewaytest.Response {
		return g.Do(t, c, "GET", "/"+bucket+roads[n%len(roads)], nil)
	}
	var done sync.WaitGroup
	for n := range all {
		done.Go(func() {
			if res := list(alice, []string{"bucket", "second"}[n/len(roads)%2], n); res.Status != 200 {
				t.Errorf("listing %d: %d %s", n, res.Status, res.Body)
			}
		})
	}
	for range width {
		<-held.begun
	}
	for n := range roads { // they end beside those of alice, which do not
		expect(t, fmt.Sprintf("bob's listing %d", n), list(bob, "bobs", n), 200, "")
	}
	expect(t, "alice's without a delimiter", g.Do(t, alice, "HEAD", "/bucket/open", nil), 200, "")
	close(held.letGo)
	done.Wait()
	if held.most != width {
		t.Errorf("%d listings of one tenant were at the store at once, want %d", held.most, width)
	}
}
