package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/s3err"
)

// gated is a body whose bytes come only when all bodies of a test are awaited.
type gated struct {
	io.Reader
	arrived *sync.WaitGroup
	once    sync.Once
}

func (g *gated) Read(p []byte) (int, error) {
	g.once.Do(func() {
		g.arrived.Done()
		g.arrived.Wait()
	})
	return g.Reader.Read(p)
}

// Bodies that are on their way at the same time do not share the same room of a quota:
// each fits alone, and one is stored.
func TestBodiesAtOnceShareNoRoom(t *testing.T) {
	const bodies, size = 8, 60_000
	for name, send := range map[string]func(r *rig) func(n int, b engine.Body) error{
		"objects": func(r *rig) func(int, engine.Body) error {
			return func(n int, b engine.Body) error {
				_, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: string(rune('a' + n)), Owner: r.b.Owner, Body: b})
				return err
			}
		},
		"parts": func(r *rig) func(int, engine.Body) error {
			u, err := r.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: r.b, Key: "k", Owner: r.b.Owner})
			if err != nil {
				t.Fatal(err)
			}
			return func(n int, b engine.Body) error {
				_, err := r.e.UploadPart(t.Context(), engine.UploadPart{Bucket: r.b, Key: "k", Upload: u.ID, Number: 1 + n, Body: b})
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if err := r.e.Accounts().SetLimits(t.Context(), r.b.Owner, meta.Limits{Bytes: 2*size - 1}); err != nil {
				t.Fatal(err)
			}
			one := send(r)
			var sending, arrived sync.WaitGroup
			arrived.Add(bodies)
			var stored atomic.Int64
			for n := range bodies {
				sending.Go(func() {
					b := engine.Body{Reader: &gated{Reader: bytes.NewReader(body(uint64(n), size)), arrived: &arrived}, Size: size}
					switch err := one(n, b); {
					case err == nil:
						stored.Add(1)
					case !errors.Is(err, s3err.QuotaExceeded):
						t.Errorf("body %d: %v", n, err)
					}
				})
			}
			sending.Wait()
			if n := stored.Load(); n != 1 {
				t.Errorf("%d bodies are stored, where one fits", n)
			}
			r.wantClean(-1)
		})
	}
}

// countedUsage is a store that counts the looks at usages.
type countedUsage struct {
	meta.Store
	under, most, all atomic.Int64
}

func (s *countedUsage) OwnerUsage(ctx context.Context, owner meta.ID) (meta.Usage, error) {
	n := s.under.Add(1)
	defer s.under.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	s.all.Add(1)
	return s.Store.OwnerUsage(ctx, owner)
}

// However many requests of a tenant need its usage, the store is asked for it by one at a
// time, and requests that asked before a read began share it, whatever is deleted meanwhile.
func TestUsageIsReadByOne(t *testing.T) {
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "meta.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	counted := &countedUsage{Store: store}
	r := enginetest.NewBare(t)
	r.Config.Store = counted
	r.Reopen()
	b := r.CreateBucket("bucket", "")
	if err := r.E.Accounts().SetLimits(t.Context(), b.Owner, meta.Limits{Bytes: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	const askers, rounds = 30, 40
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			for range rounds {
				if err := r.E.Buckets().Admit(t.Context(), b, meta.Usage{Bytes: 1}); err != nil {
					t.Error(err)
				}
				r.E.Buckets().Freed(b)
			}
		})
	}
	asking.Wait()
	if most, all := counted.most.Load(), counted.all.Load(); most != 1 || all >= askers*rounds {
		t.Errorf("%d requests had %d looks at the usage, %d at once", askers*rounds, all, most)
	}
}

// A claim holds its room until it ends, whatever is removed meanwhile; one that ended in
// vain holds none.
func TestClaimsOutliveReads(t *testing.T) {
	r := newRig(t)
	if err := r.e.Accounts().SetLimits(t.Context(), r.b.Owner, meta.Limits{Versions: 1}); err != nil {
		t.Fatal(err)
	}
	one := meta.Usage{Versions: 1}
	end, err := r.e.Buckets().Claim(t.Context(), r.b, one)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r.e.Buckets().Freed(r.b)
		// Keys that are taken away end what they opened, which a usage is not.
		if err := r.e.Revocations().Revoke(t.Context(), engine.Revoked{Bucket: meta.NewID(), Name: fmt.Sprint("another", i)}, "operator"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.e.Buckets().Claim(t.Context(), r.b, one); !errors.Is(err, s3err.QuotaExceeded) {
			t.Fatalf("beside a claim: %v", err)
		}
	}
	end(false)
	if end, err = r.e.Buckets().Claim(t.Context(), r.b, one); err != nil {
		t.Fatalf("after it ended: %v", err)
	}
	// The store knows best of one that is said to be stored.
	end(true)
	if err := r.e.Buckets().Admit(t.Context(), r.b, one); !errors.Is(err, s3err.QuotaExceeded) {
		t.Errorf("before the next read: %v", err)
	}
	r.e.Buckets().Freed(r.b)
	if err := r.e.Buckets().Admit(t.Context(), r.b, one); err != nil {
		t.Errorf("after it: %v", err)
	}
}
