package fs

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
)

// BenchmarkPut4KiB is 16 clients with small durable writes, once all folders
// exist: making the 1,024 costs a new store about two seconds in all.
func BenchmarkPut4KiB(b *testing.B) {
	s := mustOpen(b, b.TempDir(), Options{})
	for i := range shardCount {
		shard, err := s.makeShard(s.now.Load(), backends.BlobID{byte(i >> 2), byte(i << 6)})
		if err != nil {
			b.Fatal(err)
		}
		shard.Close()
	}
	data := make([]byte, 4096)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 16 {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := s.Put(context.Background(), backends.NewBlobID(), bytes.NewReader(data), 4096); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkPut64MiB is one client with a large durable write.
func BenchmarkPut64MiB(b *testing.B) {
	const size = 64 << 20
	s := mustOpen(b, b.TempDir(), Options{})
	data := make([]byte, size)
	b.SetBytes(size)
	for b.Loop() {
		id := backends.NewBlobID()
		if err := s.Put(b.Context(), id, struct{ io.Reader }{bytes.NewReader(data)}, size); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Delete(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkGet64MiB reads from the page cache in sealed segments.
func BenchmarkGet64MiB(b *testing.B) {
	const size = 64 << 20
	s := mustOpen(b, b.TempDir(), Options{})
	id := backends.NewBlobID()
	if err := s.Put(b.Context(), id, bytes.NewReader(make([]byte, size)), size); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 65568)
	b.SetBytes(size)
	for b.Loop() {
		rc, err := s.Get(b.Context(), id, 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = rc.Read(buf)
		}
		rc.Close()
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}
