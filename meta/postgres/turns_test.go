package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// Calls of one party that wait for the lock of a row leave connections to others.
// Where there are too few for that, one that becomes free goes to another party
// first, however many calls came before. Background work is a party as well.
func TestPartiesTakeTurns(t *testing.T) {
	const calls = 40
	for _, c := range []struct{ connections, held int }{{24, 21}, {8, 7}, {2, 2}} {
		t.Run(fmt.Sprint(c.connections, " connections"), func(t *testing.T) {
			name := files15.database(t)
			r := openRunner(t, files15.server.URL(name), Options{MaxConnections: c.connections, AcquireTimeout: time.Minute})
			s := sqlstore.New(r)
			addBucket(t, s)
			busy := meta.NewID()
			if err := s.CreateTenant(t.Context(), meta.Tenant{ID: busy, Name: "busy", Created: time.Now()}, newAccessKey(busy)); err != nil {
				t.Fatal(err)
			}
			lock, err := files15.conn(t, name).Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lock.Exec(t.Context(), "SELECT 1 FROM users WHERE id = $1 FOR UPDATE", busy[:]); err != nil {
				t.Fatal(err)
			}
			var making, asking sync.WaitGroup
			for range calls {
				making.Go(func() { makeBucket(t, s, busy) })
			}
			waitForLocks(t, name, c.held)
			for _, ctx := range []context.Context{t.Context(), by(t, "quiet")} {
				ask := func() {
					if n, err := s.CountBuckets(ctx, busy, calls); err != nil || n > calls/2 {
						t.Errorf("a call of %v came after %d of another party, %v", meta.Party(ctx), n, err)
					}
				}
				if c.held < c.connections {
					ask() // while the lock is held
					continue
				}
				asking.Go(ask)
				for r.turns.Users(meta.Party(ctx)) == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			if err := lock.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			asking.Wait()
			making.Wait()
		})
	}
}

// by returns a context of calls by a party.
func by(t *testing.T, party any) context.Context {
	return meta.WithParty(t.Context(), func() any { return party })
}

func newAccessKey(of meta.ID) meta.AccessKey {
	return meta.AccessKey{ID: "AK" + of.String()[:18], User: of, Secret: []byte("secret"), Created: time.Now()}
}

func makeBucket(t *testing.T, s meta.Store, owner meta.ID) {
	b := meta.Bucket{ID: meta.NewID(), Owner: owner, Backend: meta.FirstBackend, Created: time.Now()}
	b.Name = b.ID.String()
	err := s.CreateBucket(by(t, owner), b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount)
	if err != nil {
		t.Error(err)
	}
}

// waitForLocks waits until so many connections to the database wait for a lock.
func waitForLocks(t *testing.T, name string, most int) {
	t.Helper()
	watch := files15.conn(t, name)
	for n := 0; n < most; time.Sleep(time.Millisecond) {
		err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'", name).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
	}
}
