package sqlite

import (
	"context"
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// fill adds n objects under 100 prefixes, bypassing the ledger.
func fill(b *testing.B, r *runner, bucket meta.ID, n int) {
	b.Helper()
	const step = 50_000 // rows per transaction
	for from := 0; from < n; from += step {
		err := r.Write(context.Background(), func(tx sqlstore.Tx) error {
			_, err := tx.Exec(`INSERT INTO objects (bucket_id, key, version_id, owner, size, modified, generation,
				body_kind, list_record, wrapped_key, manifest)
				WITH RECURSIVE c(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM c WHERE i + 1 < ?)
				SELECT ?, CAST(printf('prefix%02d/%010d', i % 100, i) AS BLOB), randomblob(16), randomblob(16), 1, 1, 1,
				0, randomblob(80), randomblob(130), randomblob(400) FROM c`, from, min(n, from+step), bucket[:])
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead measures HEAD and LIST at two sizes: a page must cost the same at
// both.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		r := openRunner(b, b.TempDir()+"/meta.db")
		s := sqlstore.New(r)
		bucket := addBucket(b, s)
		fill(b, r, bucket, n)
		ctx := context.Background()
		page := func(q meta.ListQuery, want int) func(b *testing.B) {
			return func(b *testing.B) {
				q.Bucket, q.Limit = bucket, meta.MaxPage
				for b.Loop() {
					p, err := s.ListObjects(ctx, q)
					if err != nil || len(p.Entries) != want {
						b.Fatalf("%d entries, %v", len(p.Entries), err)
					}
				}
			}
		}
		b.Run(fmt.Sprintf("keys=%d/object", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				k := i * 7919 % n
				if _, err := s.Object(ctx, bucket, fmt.Sprintf("prefix%02d/%010d", k%100, k)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("keys=%d/object-parallel", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					k := i * 7919 % n
					if _, err := s.Object(ctx, bucket, fmt.Sprintf("prefix%02d/%010d", k%100, k)); err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(fmt.Sprintf("keys=%d/prefixes", n), page(meta.ListQuery{Delimiter: "/"}, 100))
		b.Run(fmt.Sprintf("keys=%d/plain", n), page(meta.ListQuery{}, meta.MaxPage))
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
