package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

const (
	crashes      = 3
	crashWriters = 4 // in each of two stores
	crashPause   = 300 * time.Millisecond
)

// The server crashes and restarts under the writes of two stores: all acknowledged
// changes are there, no failed one is, and every caller gets an answer.
func TestServerCrash(t *testing.T) {
	t.Parallel()
	server, err := servers.StartPostgres(servers.Postgres15, t.TempDir(), servers.PostgresOptions{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	url := server.URL("postgres")
	stores := []meta.Store{openStore(t, url, Options{Migrate: true, Report: func(error) {}})}
	stores = append(stores, openStore(t, url, Options{Report: func(error) {}}))
	bucket := addBucket(t, stores[0])

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var mu sync.Mutex
	outcomes := make(map[string]error)
	var writers sync.WaitGroup
	for i, s := range stores {
		for w := range crashWriters {
			writers.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					k := fmt.Sprintf("%d/%d/%d", i, w, n)
					err := s.CommitObject(context.Background(), meta.Commit{Version: newVersion(bucket, k)})
					mu.Lock()
					outcomes[k] = err
					mu.Unlock()
				}
			})
		}
	}
	for range crashes {
		time.Sleep(crashPause)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(crashPause)
	stop()
	writers.Wait()
	counts := make(map[string]int)
	for k, told := range outcomes {
		_, err := stores[0].Object(context.Background(), bucket, k)
		switch {
		case told == nil:
			counts["acknowledged"]++
			if err != nil {
				t.Errorf("%s was acknowledged: %v", k, err)
			}
		case errors.Is(told, meta.ErrUnknown):
			t.Errorf("%s: the database came back: %v", k, told)
		case errors.Is(told, meta.ErrUnavailable):
			counts["refused"]++
			if !errors.Is(err, meta.ErrNotFound) {
				t.Errorf("%s failed with %v, and reading it: %v", k, told, err)
			}
		default:
			t.Errorf("%s: %v", k, told)
		}
	}
	if counts["acknowledged"] == 0 {
		t.Error("nothing was written")
	}
	t.Log(counts)
	if err := metatest.CheckLedger(context.Background(), stores[1]); err != nil {
		t.Error(err)
	}
}
