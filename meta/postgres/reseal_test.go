package postgres

import (
	"bytes"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanctum-storage/gateway/meta"
)

// A version that becomes current while it is resealed gets its record. Without one,
// it would be unreadable once every row must have one.
func TestResealMeetsPromotion(t *testing.T) {
	name := files15.database(t)
	s, conn := openStore(t, files15.server.URL(name), Options{}), files15.conn(t, name)
	addBucket(t, s)
	b := meta.Bucket{ID: meta.NewID(), Owner: rootOf(t, s), Backend: meta.FirstBackend, Name: "versioned", Versioning: meta.VersioningEnabled}
	if err := s.CreateBucket(t.Context(), b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount); err != nil {
		t.Fatal(err)
	}
	var kept [2]meta.Version
	for i := range kept {
		kept[i] = newVersion(b.ID, "key")
		kept[i].Null = false
		if err := s.CommitObject(t.Context(), meta.Commit{Version: kept[i], Versioning: b.Versioning}); err != nil {
			t.Fatal(err)
		}
	}
	older, newer := kept[0], kept[1]
	hold, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Rollback(t.Context())
	if _, err := hold.Exec(t.Context(), "LOCK TABLE usage_changes IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 2)
	go func() { // the older version's row has moved to the other table, which is not committed yet
		_, err := s.RemoveObjects(t.Context(), b.ID, b.Versioning, []meta.Removal{{Key: "key", Version: newer.Ref(), Marker: meta.Version{ID: meta.NewID()}}}, time.Now())
		failed <- err
	}()
	watch := files15.conn(t, name)
	awaitLocks(t, watch, 1)
	record := []byte("a record that vouches for the whole row")
	go func() {
		_, err := s.ResealVersions(t.Context(), []meta.Reseal{{Bucket: b.ID, Key: "key", Version: older.ID, Generation: 1, ListRecord: record}})
		failed <- err
	}()
	awaitLocks(t, watch, 2)
	if err := hold.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	v, err := s.Object(t.Context(), b.ID, "key")
	if err != nil || v.ID != older.ID || !bytes.Equal(v.ListRecord, record) {
		t.Errorf("the version that became current has the record %q, %v", v.ListRecord, err)
	}
}

// awaitLocks waits until n transactions wait for others.
func awaitLocks(t *testing.T, c *pgx.Conn, n int) {
	t.Helper()
	for {
		var waiting int
		err := c.QueryRow(t.Context(), "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if waiting >= n {
			return
		}
	}
}
