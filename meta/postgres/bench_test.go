package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/meta"
)

// benchClients is the number of clients per processor.
const benchClients = 16

// openBench starts a server that flushes, with an empty store.
func openBench(b *testing.B) (*servers.Postgres, meta.Store) {
	b.Helper()
	server, err := servers.StartPostgres(servers.Postgres15, b.TempDir(), servers.PostgresOptions{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Stop(); err != nil {
			b.Error(err)
		}
	})
	return server, openStore(b, server.URL("postgres"), Options{Migrate: true, MaxConnections: 32})
}

func each(b *testing.B, do func(n int64) error) {
	var n atomic.Int64
	b.SetParallelism(benchClients)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(n.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkBaseline measures the server and the machine: a commit of one row,
// without the store.
func BenchmarkBaseline(b *testing.B) {
	server, _ := openBench(b)
	pool, err := pgxpool.New(context.Background(), server.URL("postgres")+"&pool_max_conns=32")
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if err := server.Exec(context.Background(), "postgres", "CREATE TABLE rows (id BIGINT PRIMARY KEY, v BYTEA)"); err != nil {
		b.Fatal(err)
	}
	each(b, func(n int64) error {
		_, err := pool.Exec(context.Background(), "INSERT INTO rows VALUES ($1, $2)", n, make([]byte, 100))
		return err
	})
}

// BenchmarkCommit measures the store's part of a PUT: new keys of one bucket, with
// reservations in batches as a gateway makes them.
func BenchmarkCommit(b *testing.B) {
	_, s := openBench(b)
	bucket, holder := addBucket(b, s), meta.NewID()
	ids := make(chan meta.BlobID, meta.MaxReservation)
	each(b, func(n int64) error {
		if n%meta.MaxReservation == 1 {
			batch := make([]meta.BlobID, meta.MaxReservation)
			for i := range batch {
				batch[i] = newBlobID()
			}
			if err := s.Reserve(context.Background(), holder, meta.FirstBackend, batch, time.Now()); err != nil {
				return err
			}
			go func() {
				for _, id := range batch {
					ids <- id
				}
			}()
		}
		v := newVersion(bucket, fmt.Sprintf("some/path/%016x/object", n*0x9e3779b9))
		v.Body = meta.Body{Kind: meta.BodyBlob, Blob: <-ids}
		return s.CommitObject(context.Background(), meta.Commit{Version: v, Holder: holder})
	})
}

// BenchmarkObject measures the store's part of HEAD and GET.
func BenchmarkObject(b *testing.B) {
	const keys = 1000
	_, s := openBench(b)
	bucket := addBucket(b, s)
	fill(b, s, bucket, keys)
	each(b, func(n int64) error {
		_, err := s.Object(context.Background(), bucket, key(int(n%keys)))
		return err
	})
}

// BenchmarkList measures a page of 1000 keys.
func BenchmarkList(b *testing.B) {
	_, s := openBench(b)
	bucket := addBucket(b, s)
	fill(b, s, bucket, 2000)
	each(b, func(int64) error {
		_, err := s.ListObjects(context.Background(), meta.ListQuery{Bucket: bucket, Limit: 1000})
		return err
	})
}

func key(n int) string { return fmt.Sprintf("some/path/%08d/object", n) }

// fill commits objects without blobs.
func fill(b testing.TB, s meta.Store, bucket meta.ID, n int) {
	b.Helper()
	for i := range n {
		if err := s.CommitObject(context.Background(), meta.Commit{Version: newVersion(bucket, key(i))}); err != nil {
			b.Fatal(err)
		}
	}
}
