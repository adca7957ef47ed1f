package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// members returns how many members of multixacts the server has ever stored, modulo
// 2³². Source: https://www.postgresql.org/docs/15/functions-info.html
// (pg_control_checkpoint)
func members(t *testing.T, c *pgx.Conn) uint32 {
	t.Helper()
	if _, err := c.Exec(t.Context(), "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	var n uint32
	err := c.QueryRow(t.Context(), "SELECT CAST(CAST(next_multi_offset AS TEXT) AS BIGINT) FROM pg_control_checkpoint()").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Writers of one bucket do not share a row lock, whatever their number and their
// writes.
func TestMultixacts(t *testing.T) {
	const clients, writes, most = 32, 4000, 800 // a fifth of a member for each write
	for _, gateways := range []int{1, 3} {
		t.Run(fmt.Sprint(gateways, " gateways"), func(t *testing.T) {
			name := files15.database(t)
			conn := files15.conn(t, name)
			var stores []*sqlstore.Store
			for range gateways {
				stores = append(stores, openStore(t, files15.server.URL(name), Options{}))
			}
			bucket := addBucket(t, stores[0])
			before := members(t, conn)
			spread(clients, writes, func(client, n int) {
				s, v := stores[client%gateways], newVersion(bucket, fmt.Sprint(client%4, "/", n/2))
				if n%4 != 3 {
					if err := s.CommitObject(t.Context(), meta.Commit{Version: v, Vacant: n%2 == 0}); err != nil {
						t.Error(err)
					}
					return
				}
				_, err := s.RemoveObjects(t.Context(), bucket, meta.VersioningOff, []meta.Removal{{Key: v.Key}}, v.Modified)
				if err != nil {
					t.Error(err)
				}
			})
			if n := members(t, conn) - before; n > most {
				t.Errorf("%d writes stored %d members of multixacts, want at most %d", writes, n, most)
			} else {
				t.Logf("%d writes stored %d members of multixacts", writes, n)
			}
		})
	}
}

// spread runs do for the numbers below n on several concurrent clients.
func spread(clients, n int, do func(client, n int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(c, i)
			}
		})
	}
	all.Wait()
}

// No write that the deletion of its bucket has missed is acknowledged, and no write
// under a former versioning: with guards, without, and while they are made.
func TestGuardsHold(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	name := files15.database(t)
	r := openRunner(t, files15.server.URL(name), Options{})
	s, conn := sqlstore.New(r), files15.conn(t, name)
	first := addBucket(t, s)
	for round := range 60 {
		b := meta.Bucket{ID: meta.NewID(), Owner: rootOf(t, s), Backend: meta.FirstBackend, Name: fmt.Sprint("bucket-", round)}
		if err := s.CreateBucket(t.Context(), b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount); err != nil {
			t.Fatal(err)
		}
		if guards := count(t, conn, "bucket_guards", b.ID); guards != sqlstore.Guards {
			t.Fatalf("a new bucket has %d guards", guards)
		}
		if round%3 > 0 {
			if _, err := conn.Exec(t.Context(), "DELETE FROM bucket_guards WHERE bucket_id = $1", b.ID[:]); err != nil {
				t.Fatal(err)
			}
		}
		deletes, pause := random.IntN(2) == 0, random.IntN(40)
		var left atomic.Bool // the bucket has been deleted, or its versioning changed
		var writing sync.WaitGroup
		for client := range 6 {
			writing.Go(func() {
				for n := 0; ; n++ {
					late := left.Load()
					err := s.CommitObject(t.Context(), meta.Commit{Version: newVersion(b.ID, fmt.Sprint(client, "/", n)), Vacant: n%2 == 0})
					switch {
					case errors.Is(err, meta.ErrNoBucket) && deletes, errors.Is(err, meta.ErrVersioning) && !deletes:
						return
					case err != nil:
						t.Errorf("round %d: %v", round, err)
						return
					case late:
						t.Errorf("round %d: a write was acknowledged after the change, deletes %t", round, deletes)
						return
					}
					if deletes { // otherwise the bucket would never be empty
						if _, err := s.RemoveObjects(t.Context(), b.ID, meta.VersioningOff, []meta.Removal{{Key: fmt.Sprint(client, "/", n)}}, newVersion(b.ID, "k").Modified); err != nil && !errors.Is(err, meta.ErrNoBucket) {
							t.Errorf("round %d: %v", round, err)
						}
					}
				}
			})
		}
		if round%3 == 2 {
			writing.Go(func() {
				if _, err := sqlstore.GuardBuckets(t.Context(), r, first, 1000); err != nil {
					t.Error(err)
				}
			})
		}
		for n := 0; ; n++ {
			var err error
			if deletes {
				err = s.DeleteBucket(t.Context(), b.ID)
			} else if n > pause {
				err = s.SetVersioning(t.Context(), b.ID, meta.Change{}, meta.VersioningEnabled, false)
			} else {
				err = s.Check(t.Context())
				if err == nil {
					continue
				}
			}
			if errors.Is(err, meta.ErrNotEmpty) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			break
		}
		left.Store(true)
		writing.Wait()
		if !deletes {
			continue
		}
		for _, table := range []string{"objects", "versions", "bucket_guards"} {
			if rows := count(t, conn, table, b.ID); rows > 0 {
				t.Errorf("round %d: %d rows of %s are left of a deleted bucket", round, rows, table)
			}
		}
	}
}

func count(t *testing.T, c *pgx.Conn, table string, bucket meta.ID) (n int) {
	t.Helper()
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE bucket_id = $1", bucket[:]).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Buckets of a previous release, or of a copy from another store, get guards in
// bounded steps, with their current versioning.
func TestGuardBuckets(t *testing.T) {
	name := files15.database(t)
	r := openRunner(t, files15.server.URL(name), Options{})
	s, conn := sqlstore.New(r), files15.conn(t, name)
	addBucket(t, s)
	for n := range 4 {
		b := meta.Bucket{ID: meta.NewID(), Owner: rootOf(t, s), Backend: meta.FirstBackend, Name: fmt.Sprint("bucket-", n)}
		if n%2 == 0 {
			b.Versioning = meta.VersioningEnabled
		}
		if err := s.CreateBucket(t.Context(), b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), "DELETE FROM bucket_guards"); err != nil {
		t.Fatal(err)
	}
	var after meta.ID
	for step := range 4 {
		var err error
		if after, err = sqlstore.GuardBuckets(context.Background(), r, after, 2); err != nil {
			t.Fatal(err)
		}
		if done := step == 3; done != after.IsZero() {
			t.Errorf("step %d ended at %v", step, after)
		}
	}
	var guarded, wrong int
	err := conn.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE g.versioning <> b.versioning)
		FROM bucket_guards g JOIN buckets b ON b.id = g.bucket_id`).Scan(&guarded, &wrong)
	if err != nil || guarded != 5*sqlstore.Guards || wrong != 0 {
		t.Errorf("%d guards, %d of them wrong, %v", guarded, wrong, err)
	}
}
