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

// maxGroup is the most intents that share a commit.
const maxGroup = 128

// runner is a serving store: reads run on the pool, and one goroutine writes groups
// of intents on its own connection.
type runner struct {
	*pool
	w      *conn
	keeper *checkpointer
	lock   *os.File

	dir     string // of the file
	minFree int64

	queue   chan *job // unbuffered: a caller that waits to be taken may still give up
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once

	// doubt: a COMMIT failed, but a restart may bring its changes back.
	doubt  atomic.Bool
	commit func() error // the COMMIT; tests replace it to make it fail
}

// job is an intent in a group. Once it is taken, its caller waits for done.
// Its fields belong to the writer from when it was taken until done is closed.
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

// Write adds the intent to the next group and waits for its outcome. The intent
// fails if its context ends before it runs; after that, the context is ignored.
// Errors beside those of the intent: meta.ErrFull, meta.ErrUnavailable, meta.ErrUnknown.
func (r *runner) Write(ctx context.Context, intent func(sqlstore.Tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.minFree > 0 && sqlstore.Grows(ctx) {
		if free, known := freeBytes(r.dir); known && free < r.minFree {
			return fmt.Errorf("%w: only %d bytes are free, and %d are reserved for deletions", meta.ErrFull, free, r.minFree)
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

// Read and Snapshot first settle a commit in doubt. Otherwise a caller could see
// that a change is absent, and see it after a restart.
func (r *runner) Read(ctx context.Context, intent func(sqlstore.Tx) error) error {
	if err := r.settled(ctx); err != nil {
		return err
	}
	return r.pool.Read(ctx, intent)
}

// ReadNow implements sqlstore.Prompt.
func (r *runner) ReadNow(ctx context.Context, intent func(sqlstore.Tx) error) (ran bool, err error) {
	if r.doubt.Load() {
		return false, nil
	}
	return r.pool.ReadNow(ctx, intent)
}

func (r *runner) Snapshot(ctx context.Context, intent func(sqlstore.Tx) error) error {
	if err := r.settled(ctx); err != nil {
		return err
	}
	return r.pool.Snapshot(ctx, intent)
}

// An empty intent is enough, because the writer settles before each group.
func (r *runner) settled(ctx context.Context) error {
	if !r.doubt.Load() {
		return nil
	}
	return r.Write(ctx, func(sqlstore.Tx) error { return nil })
}

// Close finishes the current group and reads, and closes the file.
func (r *runner) Close() (err error) {
	r.once.Do(func() {
		close(r.stop)
		<-r.stopped
		// The writer closes last, because the last connection moves the log into
		// the file.
		err = errors.Join(r.pool.close(), r.keeper.close(), r.w.close(), unlockFile(r.lock))
	})
	return err
}

// It is the only goroutine that uses the writing connection.
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

// gather adds the intents that are waiting at the moment.
// It does not wait for more: a single intent is committed at once.
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

// answer runs the group and reports the outcome to each waiting caller.
func (r *runner) answer(group []*job) {
	r.attempt(group)
	for i, j := range group {
		close(j.done)
		group[i] = nil
	}
}

// While a commit is in doubt that cannot be settled, nothing is written.
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
				j.err = unavailable(err) // it changed nothing, but may have seen changes of the others
			}
		}
	}
}

// again rolls back a group that the engine failed without leaving anything behind,
// and runs its intents again, each alone. So an intent that does not fit on the
// disk does not fail the others, some of which may free space.
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

// apply runs the intents. An intent that fails does not fail the others. The
// returned error is the engine's, and fails all of them.
// All intents of the group see the changes of those before them, and all become durable with one
// commit.
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
// that only reads needs none.
type intentTx struct {
	*conn
	wrote bool
}

// The savepoint lets an intent that fails later be undone alone.
func (t *intentTx) Exec(query string, args ...any) (int64, error) {
	if !t.wrote {
		if _, err := t.conn.Exec("SAVEPOINT intent"); err != nil {
			return 0, err
		}
		t.wrote = true
	}
	return t.conn.Exec(query, args...)
}

// Later uses this type's Exec, which opens the savepoint.
func (t *intentTx) Later(check func(int64) error, query string, args ...any) error {
	return sqlstore.AtOnce(t, check, query, args...)
}

// end keeps or undoes the changes of the intent.
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

// begin opens the transaction. If one is still open, because a ROLLBACK failed,
// begin first ends it.
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

// rollback ends the transaction. Its error is ignored: it fails when SQLite has
// already rolled back, and begin handles the other cases.
func (r *runner) rollback() { _, _ = r.w.Exec("ROLLBACK") }

// settle ends the doubt about a COMMIT that failed after it may have reached the
// log. The next commit overwrites its frames there; once that commit is flushed, no
// restart can bring them back. Until then the store neither reads nor writes.
func (r *runner) settle() error {
	if !r.doubt.Load() {
		return nil
	}
	if err := r.begin(); err != nil {
		return err
	}
	var n int32 // nothing else uses user_version: goose has a table
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
