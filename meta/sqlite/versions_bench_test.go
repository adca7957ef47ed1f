package sqlite

import (
	"context"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// age gives every object of the bucket n noncurrent versions.
func age(b *testing.B, r *runner, bucket meta.ID, n int) {
	b.Helper()
	err := r.Write(context.Background(), func(tx sqlstore.Tx) error {
		_, err := tx.Exec(`INSERT INTO versions (bucket_id, key, rank, public, version_id, null_version, marker, displaced, owner, size,
			modified, generation, body_kind, encryption, lock_mode, lock_hold, revision, list_record, wrapped_key, manifest)
			WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < ?)
			SELECT bucket_id, key, i, randomblob(16), randomblob(16), 0, 0, 1, owner, size, modified, generation, 0, 0, 0, 0, 0,
			list_record, wrapped_key, manifest FROM objects, c WHERE bucket_id = ? AND i > 0`, n, bucket[:])
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkListVersions compares a page of versions with a page of objects. A row
// should cost the same in both.
func BenchmarkListVersions(b *testing.B) {
	ctx := context.Background()
	r := openRunner(b, b.TempDir()+"/meta.db")
	s := sqlstore.New(r)
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	for _, c := range []struct {
		name       string
		keys, more int
	}{{"one", 100_000, 0}, {"two", 50_000, 1}, {"ten", 10_000, 9}} {
		bucket := meta.NewID()
		fill(b, r, bucket, c.keys)
		age(b, r, bucket, c.more)
		for _, delimiter := range []string{"", "/"} {
			want := meta.MaxPage
			if delimiter != "" {
				want = 100
			}
			b.Run(c.name+delimiter+"/objects", func(b *testing.B) {
				for b.Loop() {
					p, err := s.ListObjects(ctx, meta.ListQuery{Bucket: bucket, Delimiter: delimiter, Limit: meta.MaxPage})
					if err != nil || len(p.Entries) != want {
						b.Fatalf("%d entries, %v", len(p.Entries), err)
					}
				}
			})
			b.Run(c.name+delimiter+"/versions", func(b *testing.B) {
				for b.Loop() {
					p, err := s.ListVersions(ctx, meta.VersionQuery{Bucket: bucket, Delimiter: delimiter, Limit: meta.MaxPage, Brief: true})
					if err != nil || len(p.Entries) != want {
						b.Fatalf("%d entries, %v", len(p.Entries), err)
					}
				}
			})
		}
	}
}
