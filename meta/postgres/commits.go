package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanctum-storage/gateway/meta"
)

// How a commit is settled whose answer was lost.
//
// The last statement of every transaction that changed something inserts a row
// (made, id) into commits, in the same packet as COMMIT, so that it costs no round
// trip. An id is never used twice. made is a time of the database's clock that the
// gateway read a moment before, usually from the answer to another commit.
//
// To settle, the gateway tries to insert the same (made, id) with done = 0 on
// another connection. If the transaction is still in progress and has inserted its
// row, the unique index makes the settling statement wait for its end. Then there
// are two cases. If the row has done = 1, the commit happened. If the row has done
// = 0, the commit did not happen and never will: an INSERT that is still on its
// way, in a packet or a pooler, conflicts with that row and fails, and its COMMIT
// fails with it. If that answer is lost as well, the gateway can ask again.
//
// Rows are removed after a while, which must not change either answer. Three rules
// ensure that. They all use the database's clock, the only one that counts:
//
//   - a commit inserts its row only until made + commitFor, or fails;
//   - it is settled only until made + settleFor, or is unknown;
//   - a row is deleted only after made + keepFor.
//
// So when a row is deleted, no transaction can insert it any more. A gateway that
// asks later learns that it is too late, and not that nothing happened. The time
// between the second and the third limit is how far the clock may step back, for
// example at a failover, without harm.
const (
	commitFor = 60  // seconds
	settleFor = 180 // seconds
	keepFor   = 360 // seconds
	// clockAge is the greatest age of a reading of the database's clock that a
	// commit uses. It is far below commitFor.
	clockAge = 20 * time.Second
	// commitTimeout bounds the wait for the answer to COMMIT, after which the
	// commit is settled on another connection.
	commitTimeout = 20 * time.Second
	// settleTimeout bounds settling, and settleTry one attempt. Together with
	// commitTimeout and clockAge they stay below settleFor.
	settleTimeout = 60 * time.Second
	settleTry     = 15 * time.Second
	// purgeEvery is the mean time between two purges, and purgeStep is the age
	// range in seconds that one statement deletes.
	purgeEvery = 30 * time.Second
	purgeStep  = 10
	// guardStep is how many buckets get missing guards in one pass.
	guardStep = 100
	// purgeTimeout bounds one purge.
	purgeTimeout = time.Minute
)

// now is the database's clock in seconds at this moment, not at the beginning of
// the transaction.
const now = "CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)"

// The columns of a row are NOT NULL: a CASE without ELSE makes a statement fail
// that is too late.
var (
	insertCommit = insertCommitIf("$1", "$2", "")
	settleCommit = "INSERT INTO commits (made, id, done) VALUES (" + madeWithin("$1", settleFor, "") + ", $2, 0)" +
		" ON CONFLICT (made, id) DO UPDATE SET done = commits.done RETURNING done"
	oldestCommit  = "SELECT min(made), " + now + " FROM commits WHERE made >= $1"
	deleteCommits = "DELETE FROM commits WHERE made >= $1 AND made < $2"
)

// insertCommitIf inserts made and id, which are placeholders. It fails unless the
// conditions in and hold, which begins with AND.
func insertCommitIf(made, id, and string) string {
	return "INSERT INTO commits (made, id, done) VALUES (" + madeWithin(made, commitFor, and) + ", " + id + ", 1) RETURNING " + now
}

// madeWithin is made, or NULL when that is so many seconds old.
func madeWithin(made string, seconds int, and string) string {
	return fmt.Sprintf("CASE WHEN %s < CAST(%s AS BIGINT) + %d%s THEN CAST(%s AS BIGINT) END", now, made, seconds, and, made)
}

// commit identifies one COMMIT.
type commit struct {
	made int64
	id   [16]byte
}

// commits makes the identities of a store's commits.
type commits struct {
	store  [8]byte // random
	n      atomic.Uint64
	clock  atomic.Pointer[reading]
	purged atomic.Int64 // rows made earlier are deleted
}

// reading is a reading of the database's clock, with the local time of the request.
type reading struct {
	made int64
	at   time.Time
}

func newCommits() *commits {
	c := &commits{}
	rand.Read(c.store[:]) // never fails
	return c
}

// The random part tells stores apart, and the number the commits of one store, so no id is used
// twice.
func (c *commits) next(made int64) commit {
	n := commit{made: made}
	copy(n.id[:], c.store[:])
	binary.BigEndian.PutUint64(n.id[len(c.store):], c.n.Add(1))
	return n
}

func (c *commits) set(made int64, asked time.Time) { c.clock.Store(&reading{made, asked}) }

// fresh reports whether the clock was read recently enough for a commit.
func (c *commits) fresh() bool { return time.Since(c.clock.Load().at) <= clockAge }

// The local time is taken before the question, so that the reading is never taken for younger than
// it is.
func (c *commits) readClock(ctx context.Context, conn *pgx.Conn) error {
	asked := time.Now()
	var made int64
	if err := conn.QueryRow(ctx, "SELECT "+now).Scan(&made); err != nil {
		return err
	}
	c.set(made, asked)
	return nil
}

// errStale: the reading of the database's clock was too old. Nothing happened.
var errStale = fmt.Errorf("%w: the commit came too late", meta.ErrUnavailable)

// commit ends the transaction atomically. If the outcome is uncertain, it also
// returns the commit. It ignores the end of the context.
func (r *runner) commit(ctx context.Context, t *tx) (doubtful *commit, err error) {
	if !r.commits.fresh() {
		if err := r.commits.readClock(t.ctx, t.c); err != nil {
			t.rollback()
			return nil, t.lost(err)
		}
	}
	begin, last := t.begin, t.queue
	t.begin, t.queue = "", nil
	timeout := commitTimeout
	if len(last) > 0 {
		timeout = min(timeout, r.options.StatementTimeout)
	}
	timeout = meta.Patience(ctx, timeout)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	name := r.commits.next(r.commits.clock.Load().made)
	asked := time.Now()
	var b pgx.Batch
	if begin != "" {
		b.Queue(begin)
	}
	query, args := name.insert(last)
	b.Queue(query, args...)
	b.Queue("commit")
	answers := t.c.SendBatch(ctx, &b)
	if begin != "" {
		if _, err := answers.Exec(); err != nil {
			_ = answers.Close() // repeats the error
			return r.uncommitted(t, name, err)
		}
	}
	var made int64
	if err := answers.QueryRow().Scan(&made); err != nil {
		_ = answers.Close() // repeats the error
		slow := len(last) > 0 && ctx.Err() != nil
		doubtful, err = r.uncommitted(t, name, err)
		switch {
		case doubtful == nil && len(last) > 0 && code(err) == codeNull:
			return nil, errApart
		case doubtful != nil && slow:
			err = fmt.Errorf("%w: %w", errSlow, err)
		}
		return doubtful, err
	}
	tag, err := answers.Exec()
	if end := answers.Close(); err != nil {
		return r.uncommitted(t, name, err)
	} else if tag.String() != "COMMIT" { // the server rolled back without an earlier error
		return r.uncommitted(t, name, fmt.Errorf("%w: %q in answer to COMMIT, then %v", errLost, tag, end))
	}
	r.commits.set(made, asked)
	return nil, nil
}

// uncommitted tells a commit that the server refused from one in doubt. The server
// skips COMMIT when the statement before it fails.
func (r *runner) uncommitted(t *tx, name commit, err error) (*commit, error) {
	if !refused(err) {
		return &name, t.lost(err)
	}
	t.rollback()
	if code(err) == codeNull {
		r.commits.clock.Store(&reading{}) // read it again before the next commit
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	return nil, err
}

// settle finds out whether the commit happened: nil if it did. Otherwise it never
// will, and the intent may be run again after the returned error; or the error is
// meta.ErrUnknown.
func (r *runner) settle(ctx context.Context, c commit, loss error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), meta.Patience(ctx, settleTimeout))
	defer cancel()
	for try := 0; ; try++ {
		done, err := r.ask(ctx, c)
		switch {
		case err == nil && done == 1:
			return nil
		case err == nil:
			return fmt.Errorf("%w before its commit: %w", errLost, loss)
		case code(err) == codeNull:
			return unknown(loss, err)
		}
		if sleep(ctx, lossPause<<min(try, 16)) != nil {
			return unknown(loss, err)
		}
	}
}

// unknown hides the types of both errors, because they must not be taken for those
// of an intent that did not happen.
func unknown(loss, err error) error {
	return fmt.Errorf("%w: %v; and to settle it: %v", meta.ErrUnknown, oneLine(loss), oneLine(err))
}

// ask settles the commit if the database answers.
// Asking writes the row if there is none, and so prevents the commit: it is not a mere look.
func (r *runner) ask(ctx context.Context, c commit) (done int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleTry)
	defer cancel()
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	err = conn.QueryRow(ctx, settleCommit, c.made, c.id[:]).Scan(&done)
	return done, err
}

// purge deletes the rows that no gateway can ask for any more, step by step.
// Each gateway purges. Two that delete the same rows do no harm.
func (r *runner) purge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	conn, release, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	for {
		// Start where the last purge ended, to skip the dead entries of the index.
		from := r.commits.purged.Load()
		var oldest *int64
		var clock int64
		if err := conn.QueryRow(ctx, oldestCommit, from).Scan(&oldest, &clock); err != nil {
			return err
		}
		until := clock - keepFor
		if until < from {
			r.commits.purged.Store(0) // the clock stepped back
			return nil
		}
		if oldest == nil || *oldest >= until {
			r.commits.purged.Store(until)
			return nil
		}
		until = min(until, *oldest+purgeStep)
		if _, err := conn.Exec(ctx, deleteCommits, *oldest, until); err != nil {
			return err
		}
		r.commits.purged.Store(until)
	}
}
