package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// pool runs reads, each on its own connection.
type pool struct {
	db   *sql.DB
	size int
	idle chan *conn
	// turns are those at the connections, by meta.Party: many reads of one party would
	// otherwise keep everybody's waiting.
	turns   *fair.Turns[any]
	closing chan struct{}
	once    sync.Once
}

func openPool(path string) (*pool, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err // SQLite would create it
	}
	n := readers()
	db, err := openDB(dsn(path, readerPragmas()), n)
	if err != nil {
		return nil, err
	}
	p := &pool{db: db, size: n, idle: make(chan *conn, n), turns: fair.NewSharedTurns[any](n, n), closing: make(chan struct{})}
	for range n {
		p.idle <- &conn{db: db}
	}
	return p, nil
}

// hasTables returns ErrWithoutLog for an empty file: all data is in a log that is
// missing.
func hasTables(db *sql.DB) error {
	var n int
	err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&n)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w, or it was never served", ErrWithoutLog)
	}
	return err
}

// take waits for the party's turn and an idle connection, which the caller has until it
// calls release.
// A pool that is closing refuses before it looks for an idle connection, so that close gets all of
// them.
func (p *pool) take(ctx context.Context) (c *conn, release func(), err error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	leave, err := p.turns.Enter(ctx, meta.Party(ctx))
	if err != nil {
		return nil, nil, err
	}
	select {
	case <-p.closing:
		leave()
		return nil, nil, errClosed
	default:
	}
	select {
	case c := <-p.idle:
		return c, func() { p.idle <- c; leave() }, nil
	case <-p.closing: // it has the connections already
		leave()
		return nil, nil, errClosed
	}
}

// takeNow is take for a turn that is free. The release is nil if there is none.
func (p *pool) takeNow(ctx context.Context) (c *conn, release func()) {
	if ctx.Err() != nil {
		return nil, nil
	}
	leave, free := p.turns.TryEnter(meta.Party(ctx))
	if !free {
		return nil, nil
	}
	select {
	case <-p.closing:
		leave()
		return nil, nil
	default:
	}
	select {
	case c := <-p.idle:
		return c, func() { p.idle <- c; leave() }
	default: // close has the connections already
		leave()
		return nil, nil
	}
}

// Read runs the intent's only SELECT, which is its own transaction.
func (p *pool) Read(ctx context.Context, intent func(sqlstore.Tx) error) error {
	c, release, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	return outward(intent(c))
}

// ReadNow implements sqlstore.Prompt.
func (p *pool) ReadNow(ctx context.Context, intent func(sqlstore.Tx) error) (ran bool, err error) {
	c, release := p.takeNow(ctx)
	if release == nil {
		return false, nil
	}
	defer release()
	return true, outward(intent(c))
}

// Snapshot runs the intent in one transaction, which sees the state at its first
// SELECT.
func (p *pool) Snapshot(ctx context.Context, intent func(sqlstore.Tx) error) error {
	c, release, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, err := c.Exec("BEGIN"); err != nil {
		return outward(err)
	}
	err = intent(c)
	_, end := c.Exec("ROLLBACK") // there is nothing to commit
	return outward(errors.Join(err, end))
}

// close waits for current reads and closes the connections.
func (p *pool) close() error {
	var errs []error
	p.once.Do(func() {
		close(p.closing)
		for range p.size {
			c := <-p.idle
			c.db = nil // the handle is shared
			errs = append(errs, c.close())
		}
		errs = append(errs, p.db.Close())
	})
	return errors.Join(errs...)
}

// readOnly is the runner of a store that was opened read-only.
// It has neither a writer nor a lock file, so it may run beside a serving process.
type readOnly struct{ *pool }

func (r readOnly) Write(context.Context, func(sqlstore.Tx) error) error { return ErrReadOnly }

func (r readOnly) Close() error { return r.close() }
