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

// How a commit whose answer was lost is settled.
//
// The last statement of every transaction that changed something inserts a row
// (made, id) into commits, in the same packet as COMMIT, so that it costs no
// round trip. id is never used twice. made is a time by the database's clock
// that the gateway read a moment before, from the answer to another commit as a
// rule.
//
// To settle, the gateway tries to insert the same (made, id) with done = 0 on
// another connection. If the transaction is still under way and has inserted its
// row, the unique index makes the settling statement wait for its end. Then
// either there is a row with done = 1: the commit happened. Or the row with
// done = 0 is now there: it did not, and never will, for should its INSERT still
// be on its way, in a packet or a pooler, it meets that row and fails, and takes
// COMMIT with it. Both can be asked again, should that answer be lost as well.
//
// Rows are forgotten after a while, which must not undo either. Three rules see
// to that, all by the database's clock, which is the only one that counts:
//
//   - a commit inserts its row only until made + commitFor, or fails;
//   - it is settled only until made + settleFor, or is unknown;
//   - a row is deleted only after made + keepFor.
//
// So when a row is deleted, no transaction can insert it any more, and whoever
// still asks is told that it is too late, rather than that nothing happened.
// Between the second and the third lies what that clock may step back, at a
// failover say, without harm.
const (
	commitFor = 60  // seconds
	settleFor = 180 // seconds
	keepFor   = 360 // seconds
	// clockAge is how old a reading of the database's clock may be that a commit
	// uses. Far below commitFor.
	clockAge = 20 * time.Second
	// commitTimeout bounds the wait for the answer to COMMIT, after which the
	// commit is settled on another connection.
	commitTimeout = 20 * time.Second
	// settleTimeout bounds settling, and settleTry one attempt at it. Together
	// with commitTimeout and clockAge they stay below settleFor.
	settleTimeout = 60 * time.Second
	settleTry     = 15 * time.Second
	// purgeEvery is the mean time between two looks for rows to forget, and
	// purgeStep how many seconds' rows one statement deletes.
	purgeEvery = 30 * time.Second
	purgeStep  = 10
	// guardStep is how many buckets without guards get them at one look.
	guardStep = 100
	// purgeTimeout bounds one look.
	purgeTimeout = time.Minute
)

// now is the database's clock in seconds, at the moment and not at the
// transaction's beginning.
const now = "CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)"

// A row's columns are all NOT NULL: CASE without ELSE is how a statement fails
// that comes too late.
var (
	insertCommit = insertCommitIf("$1", "$2", "")
	settleCommit = "INSERT INTO commits (made, id, done) VALUES (" + madeWithin("$1", settleFor, "") + ", $2, 0)" +
		" ON CONFLICT (made, id) DO UPDATE SET done = commits.done RETURNING done"
	oldestCommit  = "SELECT min(made), " + now + " FROM commits WHERE made >= $1"
	deleteCommits = "DELETE FROM commits WHERE made >= $1 AND made < $2"
)

// insertCommitIf inserts made and id, which are placeholders, or fails unless the
// conditions hold that follow AND.
func insertCommitIf(made, id, and string) string {
	return "INSERT INTO commits (made, id, done) VALUES (" + madeWithin(made, commitFor, and) + ", " + id + ", 1) RETURNING " + now
}

// madeWithin is made, or NULL when it is that many seconds old.
func madeWithin(made string, seconds int, and string) string {
	return fmt.Sprintf("CASE WHEN %s < CAST(%s AS BIGINT) + %d%s THEN CAST(%s AS BIGINT) END", now, made, seconds, and, made)
}

// commit names one COMMIT.
type commit struct {
	made int64
	id   [16]byte
}

// commits makes names for a store's commits.
type commits struct {
	store  [8]byte // random
	n      atomic.Uint64
	clock  atomic.Pointer[reading]
	purged atomic.Int64 // rows made before are gone
}

// reading is what the database's clock said, and when by ours.
type reading struct {
	made int64
	at   time.Time
}

func newCommits() *commits {
	c := &commits{}
	rand.Read(c.store[:]) // never fails
	return c
}

func (c *commits) next(made int64) commit {
	n := commit{made: made}
	copy(n.id[:], c.store[:])
	binary.BigEndian.PutUint64(n.id[len(c.store):], c.n.Add(1))
	return n
}

func (c *commits) set(made int64, asked time.Time) { c.clock.Store(&reading{made, asked}) }

// fresh reports whether the clock was read lately enough for a commit.
func (c *commits) fresh() bool { return time.Since(c.clock.Load().at) <= clockAge }

func (c *commits) readClock(ctx context.Context, conn *pgx.Conn) error {
	asked := time.Now()
	var made int64
	if err := conn.QueryRow(ctx, "SELECT "+now).Scan(&made); err != nil {
		return err
	}
	c.set(made, asked)
	return nil
}

// errStale: the database's clock had been read too long ago. Nothing happened.
var errStale = fmt.Errorf("%w: the commit came too late", meta.ErrUnavailable)

// commit ends the transaction so that it happened wholly or not at all. Where
// that cannot be told, it returns the commit too. The context no longer matters.
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
			_ = answers.Close() // says the same
			return r.uncommitted(t, name, err)
		}
	}
	var made int64
	if err := answers.QueryRow().Scan(&made); err != nil {
		_ = answers.Close() // says the same
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
	} else if tag.String() != "COMMIT" { // the server rolled back; so said nobody before
		return r.uncommitted(t, name, fmt.Errorf("%w: %q in answer to COMMIT, then %v", errLost, tag, end))
	}
	r.commits.set(made, asked)
	return nil, nil
}

// uncommitted tells a commit that the server refused from one in doubt. The
// server skips COMMIT when the statement before it fails.
func (r *runner) uncommitted(t *tx, name commit, err error) (*commit, error) {
	if !refused(err) {
		return &name, t.lost(err)
	}
	t.rollback()
	if code(err) == codeNull {
		r.commits.clock.Store(&reading{}) // to be read before the next
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	return nil, err
}

// settle finds out whether the commit happened: nil if so. Else it never will,
// and the error is one after which the intent may be run again; or
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

// unknown hides the errors behind it from classification, for they are not of an
// intent that did not happen.
func unknown(loss, err error) error {
	return fmt.Errorf("%w: %v; and to settle it: %v", meta.ErrUnknown, oneLine(loss), oneLine(err))
}

// ask settles the commit, if the database answers.
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

// purge deletes the rows that nobody can ask for any more, a step at a time.
func (r *runner) purge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	conn, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	for {
		// From where the last purge ended, past the dead entries of the index.
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
