package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

func openBench(b *testing.B) meta.Store {
	b.Helper()
	s, err := Open(filepath.Join(b.TempDir(), "meta.db"), Options{Report: func(err error) { b.Log(err) }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// BenchmarkCommitObject measures the store's part of a PUT: new keys, reservations
// in batches of 64.
func BenchmarkCommitObject(b *testing.B) {
	const batch = 64
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			ctx := context.Background()
			s := openBench(b)
			bucket := addBucket(b, s)
			var n atomic.Int64
			b.SetParallelism((writers + 1) / 2)
			if writers == 1 {
				b.SetParallelism(1)
			}
			b.ResetTimer()
			work := func(next func() bool) {
				holder := meta.NewID()
				var ids []meta.BlobID
				for next() {
					if len(ids) == 0 {
						for range batch {
							ids = append(ids, newBlobID())
						}
						if err := s.Reserve(ctx, holder, meta.FirstBackend, ids, time.Now()); err != nil {
							b.Error(err)
							return
						}
					}
					v := newVersion(bucket, fmt.Sprintf("some/path/%016x/object", n.Add(1)*0x9e3779b9))
					v.Body = meta.Body{Kind: meta.BodyBlob, Blob: ids[0]}
					ids = ids[1:]
					if err := s.CommitObject(ctx, meta.Commit{Version: v, Holder: holder}); err != nil {
						b.Error(err)
						return
					}
				}
			}
			if writers == 1 {
				i := 0
				work(func() bool { i++; return i <= b.N })
			} else {
				b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
