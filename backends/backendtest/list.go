package backendtest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	listed   = 3000 // blobs in the listing test: three pages of S3
	fillers  = 16   // goroutines that write them
	pageSize = 170
)

func testDelete(t *testing.T, b backends.Backend) {
	gone, stays := put(t, b, body(10)), body(20)
	kept := put(t, b, stays)
	for range 2 { // the second time it is absent
		if err := b.Delete(t.Context(), gone, gone); err != nil {
			t.Fatal(err)
		}
		wantAbsent(t, b, gone, "deleted blob")
	}
	if err := b.Delete(t.Context()); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	wantBody(t, b, kept, stays)
}

func testDeleteMany(t *testing.T, b backends.Backend) {
	kept := put(t, b, body(5))
	var ids []backends.BlobID
	for i := range backends.MaxDelete {
		if i%10 == 0 {
			ids = append(ids, put(t, b, body(1)))
		} else {
			ids = append(ids, backends.NewBlobID())
		}
	}
	if err := b.Delete(t.Context(), ids...); err != nil {
		t.Fatal(err)
	}
	if got := list(t, b, backends.BlobID{}); !slices.Equal(got, []backends.BlobID{kept}) {
		t.Errorf("%d blobs are left, want the one that was not deleted", len(got))
	}
}

func testListEmpty(t *testing.T, b backends.Backend) {
	for _, after := range []backends.BlobID{{}, backends.NewBlobID()} {
		if ids := list(t, b, after); len(ids) > 0 {
			t.Errorf("an empty backend lists %v", ids)
		}
	}
}

// fill puts n blobs, blob i being i%100 bytes, and returns their sizes.
func fill(t *testing.T, b backends.Backend, n int) map[backends.BlobID]int64 {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	sizes := make(map[backends.BlobID]int64, n)
	for w := range fillers {
		wg.Go(func() {
			for i := w; i < n; i += fillers {
				id, data := backends.NewBlobID(), body(i%100)
				if err := b.Put(t.Context(), id, bytes.NewReader(data), int64(len(data))); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				mu.Lock()
				sizes[id] = int64(len(data))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sizes
}

func testList(t *testing.T, b backends.Backend) {
	sizes := fill(t, b, listed)
	var all []backends.BlobID
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		if size, ok := sizes[info.ID]; !ok || size != info.Size || info.Modified.IsZero() {
			t.Fatalf("List yields %+v, put with %d bytes", info, size)
		}
		all = append(all, info.ID)
	}
	if len(all) != listed || len(sizes) != listed {
		t.Fatalf("List yields %d of %d blobs", len(all), listed)
	}
	if !slices.IsSortedFunc(all, backends.BlobID.Compare) {
		t.Fatal("List is not ascending")
	}
	wantPages(t, b, all)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 10 {
		i := rng.IntN(listed)
		if got := list(t, b, all[i]); !slices.Equal(got, all[i+1:]) {
			t.Errorf("seed %d: after blob %d come %d, want %d", seed, i, len(got), listed-i-1)
		}
		absent := backends.NewBlobID()
		at, _ := slices.BinarySearchFunc(all, absent, backends.BlobID.Compare)
		if got := list(t, b, absent); !slices.Equal(got, all[at:]) {
			t.Errorf("after the absent %v come %d, want %d", absent, len(got), listed-at)
		}
	}
	if got := list(t, b, all[listed-1]); len(got) > 0 {
		t.Errorf("after the last come %d", len(got))
	}
	wantCancelledList(t, b)
}

// wantPages walks the listing with a new List for each page, and stops early.
func wantPages(t *testing.T, b backends.Backend, all []backends.BlobID) {
	t.Helper()
	var paged []backends.BlobID
	for more := true; more; {
		var after backends.BlobID
		if len(paged) > 0 {
			after = paged[len(paged)-1]
		}
		n := 0
		for info, err := range b.List(t.Context(), after) {
			if err != nil {
				t.Fatal(err)
			}
			paged = append(paged, info.ID)
			if n++; n == pageSize {
				break
			}
		}
		more = n == pageSize
	}
	if !slices.Equal(paged, all) {
		t.Errorf("pages yield %d blobs, one pass %d", len(paged), len(all))
	}
}

func wantCancelledList(t *testing.T, b backends.Backend) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range b.List(ctx, backends.BlobID{}) {
		if last != nil {
			t.Error("List goes on after an error")
		}
		last = err
		cancel()
	}
	wantError(t, "List cancelled after its first step", last, context.Canceled)
}

func testListWhileWriting(t *testing.T, b backends.Backend) {
	stable := fill(t, b, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				id := backends.NewBlobID()
				if err := b.Put(t.Context(), id, bytes.NewReader(body(10)), 10); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				if err := b.Delete(t.Context(), id); err != nil {
					t.Errorf("Delete: %v", err)
					return
				}
			}
		})
	}
	for range 20 {
		ids := list(t, b, backends.BlobID{})
		if !slices.IsSortedFunc(ids, backends.BlobID.Compare) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Error("List is not strictly ascending")
		}
		seen := 0
		for _, id := range ids {
			if _, ok := stable[id]; ok {
				seen++
			}
		}
		if seen != len(stable) {
			t.Errorf("List yields %d of %d blobs that were there all along", seen, len(stable))
		}
	}
	cancel()
	wg.Wait()
}

func testConcurrent(t *testing.T, b backends.Backend) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				data := body(i * 1000)
				id := backends.NewBlobID()
				if err := b.Put(t.Context(), id, bytes.NewReader(data), int64(len(data))); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				got, err := read(t.Context(), b, id, 0, -1)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("Get of %d bytes: %d bytes, %v", len(data), len(got), err)
				}
				if err := b.Delete(t.Context(), id); err != nil {
					t.Errorf("Delete: %v", err)
				}
				_, err = b.Stat(t.Context(), id)
				wantError(t, "Stat after Delete", err, backends.ErrNotFound)
			}
		})
	}
	wg.Wait()
}
