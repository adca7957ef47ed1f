package sqlite

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

var errFlush = errors.New("the flush failed")

// failing makes the COMMIT fail until lift is called. With before, the transaction
// stays open; otherwise it is committed and only the answer is lost.
func (b *bench) failing(err error, before bool) (lift func()) {
	commit := b.r.commit
	b.r.commit = func() error {
		if !before {
			if err := commit(); err != nil {
				return err
			}
		}
		return err
	}
	return func() { b.r.commit = commit }
}

// A COMMIT that failed but may come back after a restart has an unknown outcome,
// and no intent reads or writes before it is settled.
func TestCommitInDoubt(t *testing.T) {
	for _, before := range []bool{true, false} {
		b := newBench(t)
		b.mustPut("old")
		lift := b.failing(errFlush, before)
		b.is(b.put("k", 100), meta.ErrUnknown)
		for range 2 {
			_, err := b.s.Object(t.Context(), b.bucket, "old")
			b.is(err, meta.ErrUnavailable)
			_, err = b.s.ListObjects(t.Context(), meta.ListQuery{Bucket: b.bucket, Limit: 1})
			b.is(err, meta.ErrUnavailable)
			err = b.put("more", 100)
			b.is(err, meta.ErrUnavailable)
			if errors.Is(err, meta.ErrUnknown) {
				t.Errorf("a write that was never begun: %v", err)
			}
		}
		lift()
		b.want("old", true)
		b.want("k", !before)
		b.want("more", false)
		b.mustPut("k")
		b.want("k", true)
	}
}

// In a group whose COMMIT is in doubt, intents that changed something get
// ErrUnknown; intents that changed nothing, or failed alone, learn that nothing
// happened.
func TestGroupInDoubt(t *testing.T) {
	for _, before := range []bool{true, false} {
		b := newBench(t)
		one, two, three := newBlobID(), newBlobID(), newBlobID()
		writers := []*job{{intent: insert(one)}, {intent: insert(two)}}
		reader := &job{intent: func(tx sqlstore.Tx) error {
			_, err := exists(tx, one)
			return err
		}}
		refused := &job{intent: func(tx sqlstore.Tx) error {
			return errors.Join(insert(three)(tx), meta.ErrConflict)
		}}
		lift := b.failing(errFlush, before)
		b.group(writers[0], reader, refused, writers[1])
		lift()
		for _, j := range writers {
			b.is(j.err, meta.ErrUnknown)
		}
		for _, j := range []*job{reader, refused} {
			if b.is(j.err, meta.ErrUnavailable); errors.Is(j.err, meta.ErrUnknown) {
				t.Errorf("changed nothing, and is told %v", j.err)
			}
		}
		b.wantReserved(one, !before)
		b.wantReserved(two, !before)
		b.wantReserved(three, false)
	}
}

func exists(tx sqlstore.Tx, blob meta.BlobID) (n int, err error) {
	err = tx.QueryRow("SELECT count(*) FROM reservations WHERE id = ?", blob[:]).Scan(&n)
	return n, err
}

// A COMMIT that fails on a full disk leaves nothing behind, and each intent is
// tried alone.
func TestCommitWithoutRoom(t *testing.T) {
	full := fullError(t)
	b := newBench(t)
	lift := b.failing(full, true)
	if err := b.put("k", 100); !errors.Is(err, meta.ErrUnavailable) || errors.Is(err, meta.ErrUnknown) {
		t.Errorf("%v, want that nothing happened", err)
	}
	lift()
	b.want("k", false)
	b.mustPut("k")

	one, two := &job{intent: insert(newBlobID())}, newBlobID()
	commit, calls := b.r.commit, 0
	b.r.commit = func() error {
		if calls++; calls <= 2 { // the group's, and the first intent's own
			return full
		}
		return commit()
	}
	last := &job{intent: insert(two)}
	b.group(one, last)
	b.r.commit = commit
	b.is(one.err, meta.ErrUnavailable)
	if last.err != nil || calls != 3 {
		t.Errorf("after %d commits: %v", calls, last.err)
	}
	b.wantReserved(two, true)
}

// An intent fails alone: its changes are undone, and its group is committed.
func TestGroupMembersFailAlone(t *testing.T) {
	b := newBench(t)
	good, bad := []meta.BlobID{newBlobID(), newBlobID(), newBlobID()}, newBlobID()
	cancelled, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the client went away")
	cancel(cause)
	ran := false
	jobs := []*job{
		{intent: insert(good[0])},
		{intent: func(tx sqlstore.Tx) error { return errors.Join(insert(bad)(tx), meta.ErrConflict) }},
		{intent: insert(good[1])},
		{intent: insert(good[0])}, // violates the primary key
		{intent: func(sqlstore.Tx) error { ran = true; return nil }, ctx: cancelled},
		{intent: func(tx sqlstore.Tx) error { _, err := tx.Exec("no such statement"); return err }},
		{intent: func(tx sqlstore.Tx) error { // sees the changes of its group, except the failed one
			n, err := exists(tx, good[0])
			m, err2 := exists(tx, bad)
			if n != 1 || m != 0 {
				t.Errorf("an intent sees %d of what came before and %d of what failed", n, m)
			}
			return errors.Join(err, err2, insert(good[2])(tx))
		}},
	}
	b.group(jobs...)
	for _, i := range []int{0, 2, 6} {
		if jobs[i].err != nil {
			t.Errorf("intent %d: %v", i, jobs[i].err)
		}
	}
	b.is(jobs[1].err, meta.ErrConflict)
	b.is(jobs[4].err, cause)
	if ran {
		t.Error("an intent ran after its context had ended")
	}
	for _, i := range []int{3, 5} {
		if jobs[i].err == nil || errors.Is(jobs[i].err, meta.ErrUnavailable) {
			t.Errorf("intent %d: %v", i, jobs[i].err)
		}
	}
	for _, id := range good {
		b.wantReserved(id, true)
	}
	b.wantReserved(bad, false)
}

// An engine failure in one intent ends the group's transaction, and the others are
// run again.
func TestGroupSurvivesEngineFailure(t *testing.T) {
	full := fullError(t)
	b := newBench(t)
	good, bad := []meta.BlobID{newBlobID(), newBlobID()}, newBlobID()
	failed := &job{intent: func(tx sqlstore.Tx) error {
		if err := insert(bad)(tx); err != nil {
			return err
		}
		return full
	}}
	first, last := &job{intent: insert(good[0])}, &job{intent: insert(good[1])}
	b.group(first, failed, last)
	if first.err != nil || last.err != nil {
		t.Errorf("the others: %v, %v", first.err, last.err)
	}
	b.is(failed.err, meta.ErrUnavailable)
	b.wantReserved(good[0], true)
	b.wantReserved(good[1], true)
	b.wantReserved(bad, false)
}

// A context stops an intent that waits, but not one that has been taken.
func TestCancelWhileWaiting(t *testing.T) {
	b := newBench(t)
	taken, release, first := make(chan struct{}), make(chan struct{}), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	blob := newBlobID()
	go func() {
		first <- b.r.Write(ctx, func(tx sqlstore.Tx) error {
			close(taken)
			<-release
			return insert(blob)(tx)
		})
	}()
	<-taken
	var ran atomic.Bool
	waiting := make(chan error)
	go func() {
		waiting <- b.r.Write(ctx, func(sqlstore.Tx) error { ran.Store(true); return nil })
	}()
	cancel()
	b.is(<-waiting, context.Canceled)
	close(release)
	if err := <-first; err != nil {
		t.Errorf("an intent that had begun: %v", err)
	}
	b.mustPut("next")
	b.wantReserved(blob, true)
	if ran.Load() {
		t.Error("an intent ran after its caller had gone")
	}
}

// After Close, all calls fail.
func TestCloseRefuses(t *testing.T) {
	b := newBench(t)
	b.mustPut("k")
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	b.is(b.put("k", 100), meta.ErrUnavailable)
	_, err := b.s.Object(t.Context(), b.bucket, "k")
	b.is(err, meta.ErrUnavailable)
	if err := b.s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}
