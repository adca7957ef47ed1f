package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

const (
	// maxConflicts bounds the repetitions of an intent because of conflicts with
	// others.
	maxConflicts = 50
	// maxLosses bounds the repetitions because of broken connections.
	maxLosses = 6
	// conflictPause and lossPause are the longest pauses before the first
	// repetition; they double up to maxPause.
	conflictPause = time.Millisecond
	lossPause     = 20 * time.Millisecond
	maxPause      = 300 * time.Millisecond
	// endTimeout bounds a ROLLBACK or the end of a snapshot.
	endTimeout = 5 * time.Second
	// beginSnapshot opens a Snapshot: repeatable read sees one state, and read-only
	// transactions never fail at this level.
	beginSnapshot = "begin isolation level repeatable read read only"
)

// takeTurns returns the turns at a number of connections. One party leaves an eighth
// of them to others: its calls may all wait for one lock for as long as a statement
// may take.
func takeTurns(connections int) *fair.Turns[any] {
	return fair.NewSharedTurns[any](connections-connections/8, connections)
}

// runner runs intents on a pool of connections.
type runner struct {
	pool    *pgxpool.Pool
	options Options
	begin   string // the statement that opens a Write's transaction
	commits *commits
	// turns are those at the connections, by meta.Party. The pool itself serves its
	// callers in the order of their arrival: many calls of one party, above all those
	// that wait for the lock of one row, would keep everybody waiting.
	turns *fair.Turns[any]

	gate    sync.RWMutex // held for reading during an intent
	closed  bool         // under gate
	stop    func()       // ends upkeep
	stopped chan struct{}
}

// Write runs the intent in a transaction, and repeats it if necessary.
func (r *runner) Write(ctx context.Context, intent func(sqlstore.Tx) error) error {
	return r.retry(ctx, func() error {
		doubtful, err := r.attempt(ctx, intent, true)
		if errors.Is(err, errApart) {
			doubtful, err = r.attempt(ctx, intent, false)
		}
		if doubtful == nil {
			return err
		}
		if err = r.settle(ctx, *doubtful, err); errors.Is(err, errSlow) {
			return errSlow
		}
		return err
	})
}

// Read runs the intent's only SELECT, which is its own transaction.
// It needs no BEGIN, which would cost a round trip.
func (r *runner) Read(ctx context.Context, intent func(sqlstore.Tx) error) error {
	return r.retry(ctx, func() error {
		return r.session(ctx, func(t *tx) error { return intent(t) })
	})
}

// Snapshot runs the intent's SELECTs so that they see one state. Most intents have
// only one SELECT and need no transaction. So the first try is without one.
func (r *runner) Snapshot(ctx context.Context, intent func(sqlstore.Tx) error) error {
	return r.retry(ctx, func() error {
		err := r.session(ctx, func(t *tx) error {
			t.single = true
			return intent(t)
		})
		if !errors.Is(err, errSecond) {
			return err
		}
		return r.session(ctx, func(t *tx) error {
			t.begin = beginSnapshot
			err := intent(t)
			t.rollback() // there is nothing to commit
			return err
		})
	})
}

// retry calls once until it succeeds, fails for good, or has been repeated too
// often.
// The pause is random, so that intents that conflicted do not meet again.
func (r *runner) retry(ctx context.Context, once func() error) error {
	r.gate.RLock()
	defer r.gate.RUnlock()
	if r.closed {
		return errClosed
	}
	for conflicts, losses := 0, 0; ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := once()
		var longest time.Duration
		switch {
		case err == nil || errors.Is(err, meta.ErrUnknown):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, sqlstore.ErrRetry) || errors.Is(err, errStale) || again(err):
			if conflicts++; conflicts > maxConflicts {
				return fmt.Errorf("%w: %w", meta.ErrUnavailable, err)
			}
			longest = conflictPause << min(conflicts, 16)
		case broken(err):
			if code(err) == codeReadOnly {
				r.pool.Reset() // the hosts have changed roles
			}
			if losses++; losses > maxLosses {
				return outward(err)
			}
			longest = lossPause << min(losses, 16)
		default:
			return outward(err)
		}
		if err := sleep(ctx, longest); err != nil {
			return err
		}
	}
}

// sleep waits for a random time up to longest or maxPause.
func sleep(ctx context.Context, longest time.Duration) error {
	t := time.NewTimer(rand.N(min(longest, maxPause)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errSlow: the statements of an intent took longer than Options.StatementTimeout.
var errSlow = fmt.Errorf("%w: the database did not answer in time", meta.ErrUnavailable)

// session runs f on a connection. A connection that f leaves inside a transaction
// is not reused.
// The time limit is for one run of the intent. A repetition has the whole of it again.
func (r *runner) session(ctx context.Context, f func(*tx) error) error {
	c, release, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	run, cancel := context.WithTimeout(ctx, r.options.StatementTimeout)
	defer cancel()
	err = f(&tx{ctx: run, c: c})
	if err != nil && run.Err() != nil && ctx.Err() == nil && !errors.Is(err, meta.ErrUnknown) && broken(err) {
		return errSlow
	}
	return err
}

// acquire takes a connection until release is called. The holder must not ask for
// another one.
// The turn is taken before the connection and given back after it, so that a party never holds
// more connections than turns.
func (r *runner) acquire(ctx context.Context) (_ *pgx.Conn, release func(), err error) {
	wait, cancel := context.WithTimeout(ctx, r.options.AcquireTimeout)
	defer cancel()
	leave, err := r.turns.Enter(wait, meta.Party(ctx))
	if err == nil {
		var c *pgxpool.Conn
		if c, err = r.pool.Acquire(wait); err == nil {
			return c.Conn(), func() { c.Release(); leave() }, nil
		}
		leave()
	}
	if wait.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errAcquire, oneLine(err))
	}
	return nil, nil, err
}

// attempt runs the intent once. If the answer to its COMMIT was lost, it returns
// the commit, and the error of the loss. With together, the intent's last
// statements may be sent with COMMIT.
func (r *runner) attempt(ctx context.Context, intent func(sqlstore.Tx) error, together bool) (doubtful *commit, err error) {
	err = r.session(ctx, func(t *tx) error {
		t.begin = r.begin
		err := intent(t)
		last := together && t.last() && r.commits.fresh()
		if err == nil && !last {
			err = t.flush()
		}
		if err != nil {
			t.rollback()
			return err
		}
		if t.begin != "" && !last {
			return nil // it ran no statement
		}
		if ctx.Err() != nil {
			t.rollback()
			return context.Cause(ctx)
		}
		if !t.changed && !last {
			// Committed instead of rolled back, because reads at the level
			// serializable are only valid after a commit. A lost answer does not
			// matter.
			_, err = t.c.Exec(t.ctx, "commit")
			return t.lost(err)
		}
		doubtful, err = r.commit(ctx, t)
		return err
	})
	return doubtful, err
}

// rollback ends the transaction, if there is one. If it fails, the connection is
// not reused, and the server ends the transaction.
func (t *tx) rollback() {
	if t.c.IsClosed() || t.c.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), endTimeout)
	defer cancel()
	_, _ = t.c.Exec(ctx, "rollback")
}

var _ sqlstore.Runner = (*runner)(nil)
var _ sqlstore.Tx = (*tx)(nil)
