package postgres

import (
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// A client that aborts an upload while Sweep ends it for a deleted bucket is no
// error: the rest of the sweep is done.
func TestSweepMeetsAbort(t *testing.T) {
	name := files15.database(t)
	s, conn := openStore(t, files15.server.URL(name), Options{}), files15.conn(t, name)
	bucket, now := addBucket(t, s), time.Now()
	u := meta.Upload{ID: meta.NewID(), Bucket: bucket, Key: "upload", Owner: meta.NewID(), Created: now, Generation: 1}
	if err := s.CreateUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	hold, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Rollback(t.Context())
	if _, err := hold.Exec(t.Context(), "LOCK TABLE commits IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	aborted, swept := make(chan error, 1), make(chan error, 1)
	go func() { aborted <- s.AbortUpload(t.Context(), u.ID) }()
	watch := files15.conn(t, name)
	awaitLocks(t, watch, 1)
	go func() {
		_, err := s.Sweep(t.Context(), meta.MaxPage, now, now, nil)
		swept <- err
	}()
	awaitLocks(t, watch, 2)
	if err := hold.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-aborted; err != nil {
		t.Error(err)
	}
	if err := <-swept; err != nil {
		t.Errorf("the sweep: %v", err)
	}
}
