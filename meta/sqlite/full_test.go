package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// A full database refuses growth, keeps its data, and allows reads and deletions;
// once there is room, service resumes by itself.
func TestFull(t *testing.T) {
	const (
		writers  = 8
		each     = 30
		manifest = 20_000
	)
	b := newBench(t)
	b.mustPut("first")
	before := b.pragma("max_page_count")
	b.pragma(fmt.Sprintf("max_page_count = %d", b.pragma("page_count")+100))
	var mu sync.Mutex
	acked := make(map[string]bool)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprint(w, "/", i)
				err := b.put(key, manifest)
				if err != nil && (!errors.Is(err, meta.ErrUnavailable) || errors.Is(err, meta.ErrUnknown)) {
					t.Errorf("put %s: %v, want that nothing happened", key, err)
				}
				mu.Lock()
				acked[key] = err == nil
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	stored := ""
	refused := 0
	for key, ok := range acked {
		b.want(key, ok)
		if ok {
			stored = key
		} else {
			refused++
		}
	}
	if stored == "" || refused == 0 {
		t.Fatalf("%d of %d were refused: the limit was not met", refused, len(acked))
	}
	// Growth fails; a concurrent intent that frees space succeeds.
	if err := b.put("large", 1<<20); !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("a large object: %v", err)
	}
	if err := b.remove(stored); err != nil {
		t.Errorf("a deletion in a full database: %v", err)
	}
	b.want(stored, false)
	if err := b.put("small", 100); err != nil {
		t.Errorf("a small object after a deletion: %v", err)
	}
	b.pragma(fmt.Sprintf("max_page_count = %d", before))
	if err := b.put("large", 1<<20); err != nil {
		t.Errorf("with room again: %v", err)
	}
	b.want("large", true)
	b.want("first", true)
}

// The reserved space is for deletions: new objects do not use it.
func TestKeptFree(t *testing.T) {
	b := newBench(t)
	b.mustPut("first")
	b.r.minFree = 1 << 62
	if err := b.put("second", 10); !errors.Is(err, meta.ErrFull) || !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("a new object: %v, want ErrFull", err)
	}
	if err := b.s.CreateUpload(t.Context(), meta.Upload{ID: meta.NewID(), Bucket: b.bucket, Key: "k"}); !errors.Is(err, meta.ErrFull) {
		t.Errorf("a new upload: %v, want ErrFull", err)
	}
	if err := b.s.Beat(t.Context(), b.holder, 0); err != nil {
		t.Errorf("a sign of life: %v", err)
	}
	if err := b.remove("first"); err != nil {
		t.Errorf("a deletion: %v", err)
	}
	b.want("first", false)
	b.want("second", false)
	b.r.minFree = 1
	b.mustPut("second")
}
