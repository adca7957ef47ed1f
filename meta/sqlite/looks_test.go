package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// lookCounter counts the statements whose answers an intent waits for: over a network each
// is a round trip.
type lookCounter struct {
	sqlstore.Runner
	looks int
}

func (c *lookCounter) Write(ctx context.Context, intent func(sqlstore.Tx) error) error {
	return c.Runner.Write(ctx, func(tx sqlstore.Tx) error { return intent(&countedTx{tx, c}) })
}

type countedTx struct {
	sqlstore.Tx
	c *lookCounter
}

func (t *countedTx) Exec(query string, args ...any) (int64, error) {
	t.c.looks++
	return t.Tx.Exec(query, args...)
}

func (t *countedTx) Query(query string, args ...any) (sqlstore.Rows, error) {
	t.c.looks++
	return t.Tx.Query(query, args...)
}

func (t *countedTx) QueryRow(query string, args ...any) sqlstore.Row {
	t.c.looks++
	return t.Tx.QueryRow(query, args...)
}

// A batch of removals waits for the store as often as a small one.
func TestRemovalsOfABatchLookOnce(t *testing.T) {
	b := newBench(t)
	counter := &lookCounter{Runner: b.r}
	s := sqlstore.New(counter)
	remove := func(n int) int {
		var rs []meta.Removal
		for i := range n {
			v := newVersion(b.bucket, fmt.Sprint("key ", i))
			v.Body = meta.Body{Kind: meta.BodyBlob, Blob: newBlobID()}
			err := b.s.Reserve(t.Context(), b.holder, meta.FirstBackend, []meta.BlobID{v.Body.Blob}, time.Now())
			if err == nil {
				err = b.s.CommitObject(t.Context(), meta.Commit{Version: v, Holder: b.holder})
			}
			if err != nil {
				t.Fatal(err)
			}
			rs = append(rs, meta.Removal{Key: v.Key})
		}
		counter.looks = 0
		if _, err := s.RemoveObjects(t.Context(), b.bucket, meta.VersioningOff, rs, time.Now()); err != nil {
			t.Fatal(err)
		}
		return counter.looks
	}
	if few, many := remove(2), remove(meta.MaxBatch); few != many {
		t.Errorf("two removals look %d times, and %d look %d times", few, meta.MaxBatch, many)
	}
}
