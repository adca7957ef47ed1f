package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// maxGroup is how many intents share a commit at most.
const maxGroup = 128

// runner is a serving store: reads on the pool, writes in groups on one
// connection that one goroutine uses.
type runner struct {
	*pool
	w      *conn
	keeper *checkpointer
	lock   *os.File

	dir     string // of the file
	minFree int64

	queue   chan *job // unbuffered: who waits to be taken may still walk away
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once

	// doubt: a COMMIT failed in a way that may come back after a restart.
	doubt  atomic.Bool
	commit func() error // the COMMIT; tests make it fail
}

// job is an intent in a group. Its goroutine waits for done once it was taken.
type job struct {
	ctx    context.Context
	intent func(sqlstore.Tx) error
	err    error
	wrote  bool
	done   chan struct{}
}

func newRunner(w *conn, p *pool, keeper *checkpointer) *runner {
	r := &runner{
		pool: p, w: w, keeper: keeper,
		queue: make(chan *job), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	r.commit = func() error { _, err := w.Exec("COMMIT"); return err }
	go r.serve()
	return r
}

// Write hands the intent to the next group and waits for its outcome. A context
// that ends before the intent is run makes it fail; after that it is ignored.
func (r *runner) Write(ctx context.Context, intent func(sqlstore.Tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.minFree > 0 && sqlstore.Grows(ctx) {
		if free, known := freeBytes(r.dir); known && free < r.minFree {
			return fmt.Errorf("%w: %d bytes are free, and %d are kept for deletions", meta.ErrFull, free, r.minFree)
		}
	}
	j := &job{ctx: ctx, intent: intent, done: make(chan struct{})}
	select {
	case r.queue <- j:
		<-j.done
		return j.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.stop:
		return errClosed
	}
}

// Read and Snapshot first settle a commit in doubt, so that nobody is shown the
// absence of a change that a restart would bring.
func (r *runner) Read(ctx context.Context, intent func(sqlstore.Tx) error) error {
	if err := r.settled(ctx); err != nil {
		return err
	}
	return r.pool.Read(ctx, intent)
}

func (r *runner) Snapshot(ctx context.Context, intent func(sqlstore.Tx) error) error {
	if err := r.settled(ctx); err != nil {
		return err
	}
	return r.pool.Snapshot(ctx, intent)
}

func (r *runner) settled(ctx context.Context) error {
	if !r.doubt.Load() {
		return nil
	}
	return r.Write(ctx, func(sqlstore.Tx) error { return nil })
}

// Close finishes the group and the reads under way and closes the file.
func (r *runner) Close() (err error) {
	r.once.Do(func() {
		close(r.stop)
		<-r.stopped
		// The writer goes last: the last connection moves the log into the file.
		err = errors.Join(r.pool.close(), r.keeper.close(), r.w.close(), unlockFile(r.lock))
	})
	return err
}

func (r *runner) serve() {
	defer close(r.stopped)
	group := make([]*job, 0, maxGroup)
	for {
		select {
		case j := <-r.queue:
			group = r.gather(append(group[:0], j))
			r.answer(group)
		case <-r.stop:
			return
		}
	}
}

// gather adds the intents that are waiting now.
func (r *runner) gather(group []*job) []*job {
	for len(group) < maxGroup {
		select {
		case j := <-r.queue:
			group = append(group, j)
		default:
			return group
		}
	}
	return group
}

// answer runs the group and tells each waiting caller its outcome.
func (r *runner) answer(group []*job) {
	r.attempt(group)
	for i, j := range group {
		close(j.done)
		group[i] = nil
	}
}

func (r *runner) attempt(group []*job) {
	if err := r.settle(); err != nil {
		for _, j := range group {
			j.err = unavailable(err)
		}
		return
	}
	r.transact(group)
}

// transact runs the group in one transaction.
func (r *runner) transact(group []*job) {
	if err := r.apply(group); err != nil {
		r.again(group, err)
		return
	}
	err := r.commit()
	switch {
	case err == nil:
		r.keeper.committed(len(group))
	case undone(err):
		r.again(group, err)
	default:
		r.rollback()
		r.doubt.Store(true)
		for _, j := range group {
			if j.err == nil && j.wrote {
				j.err = fmt.Errorf("%w: %w", meta.ErrUnknown, err)
			} else {
				j.err = unavailable(err) // it changed nothing, but saw what others did
			}
		}
	}
}

// again rolls back a group that the engine failed and that surely left nothing
// behind, and runs its intents once more, each alone: what has no room may have
// stood beside what makes room.
func (r *runner) again(group []*job, err error) {
	r.rollback()
	if len(group) == 1 {
		group[0].err = unavailable(err)
		return
	}
	for i := range group {
		r.attempt(group[i : i+1])
	}
}

// apply runs the intents, each of which fails by itself. The error is the
// engine's, which fails them all.
func (r *runner) apply(group []*job) error {
	if err := r.begin(); err != nil {
		return err
	}
	for _, j := range group {
		if j.ctx.Err() != nil {
			j.err = context.Cause(j.ctx)
			continue
		}
		tx := &intentTx{conn: r.w}
		j.err = j.intent(tx)
		if environmental(j.err) {
			return j.err
		}
		if err := tx.end(j.err == nil); err != nil {
			return err
		}
		j.wrote = tx.wrote
	}
	return nil
}

// intentTx opens a savepoint before the intent's first change, so that an intent
// which only looks costs none.
type intentTx struct {
	*conn
	wrote bool
}

func (t *intentTx) Exec(query string, args ...any) (int64, error) {
	if !t.wrote {
		if _, err := t.conn.Exec("SAVEPOINT intent"); err != nil {
			return 0, err
		}
		t.wrote = true
	}
	return t.conn.Exec(query, args...)
}

// Later is Exec's, with its savepoint.
func (t *intentTx) Later(check func(int64) error, query string, args ...any) error {
	return sqlstore.AtOnce(t, check, query, args...)
}

// end keeps or undoes what the intent changed.
func (t *intentTx) end(keep bool) error {
	if !t.wrote {
		return nil
	}
	if !keep {
		if _, err := t.conn.Exec("ROLLBACK TO intent"); err != nil {
			return err
		}
	}
	_, err := t.conn.Exec("RELEASE intent")
	return err
}

// begin opens the transaction. If one is open still, because a ROLLBACK failed,
// it is ended first.
func (r *runner) begin() error {
	_, err := r.w.Exec("BEGIN IMMEDIATE")
	if err == nil {
		return nil
	}
	if _, undo := r.w.Exec("ROLLBACK"); undo != nil {
		return err
	}
	_, err = r.w.Exec("BEGIN IMMEDIATE")
	return err
}

// rollback ends the transaction. It fails when SQLite has done so itself, and
// begin sees to what is left otherwise.
func (r *runner) rollback() { _, _ = r.w.Exec("ROLLBACK") }

// settle ends the doubt about a COMMIT that failed after it may have reached the
// log. The next commit overwrites its frames there; once that is flushed, no
// restart can bring them back. Until then the store neither reads nor writes.
func (r *runner) settle() error {
	if !r.doubt.Load() {
		return nil
	}
	if err := r.begin(); err != nil {
		return err
	}
	var n int32 // user_version is nobody's: goose has a table
	err := r.w.QueryRow("PRAGMA user_version").Scan(&n)
	if err == nil {
		_, err = r.w.c.ExecContext(context.Background(), fmt.Sprintf("PRAGMA user_version = %d", (n+1)&0x7fffffff))
	}
	if err == nil {
		err = r.commit()
	}
	if err != nil {
		r.rollback()
		return err
	}
	r.doubt.Store(false)
	return nil
}
