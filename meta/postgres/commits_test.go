package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanctum-storage/gateway/internal/servers/strictpg"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// insertCommitRow runs the end of a transaction, with COMMIT if asked.
func insertCommitRow(t *testing.T, conn *pgx.Conn, c commit) error {
	t.Helper()
	var made int64
	return conn.QueryRow(t.Context(), insertCommit, c.made, c.id[:]).Scan(&made)
}

// A settled outcome is final: a commit that did not happen cannot happen any more.
func TestSettleFences(t *testing.T) {
	name := files15.database(t)
	r := openRunner(t, files15.server.URL(name), Options{})
	conn := files15.conn(t, name)
	made := r.commits.clock.Load().made

	happened := r.commits.next(made)
	if err := insertCommitRow(t, conn, happened); err != nil {
		t.Fatal(err)
	}
	never := r.commits.next(made)
	for range 2 { // asking again changes nothing
		for c, want := range map[commit]int64{happened: 1, never: 0} {
			if done, err := r.ask(t.Context(), c); err != nil || done != want {
				t.Errorf("done is %d, %v, want %d", done, err, want)
			}
		}
	}
	if err := insertCommitRow(t, conn, never); code(err) != codeUnique {
		t.Errorf("a commit that was settled as not done: %v", err)
	}
}

// Settling waits for a transaction that is still in progress.
func TestSettleWaits(t *testing.T) {
	for _, end := range []string{"commit", "rollback"} {
		name := files15.database(t)
		r := openRunner(t, files15.server.URL(name), Options{})
		conn := files15.conn(t, name)
		c := r.commits.next(r.commits.clock.Load().made)
		if _, err := conn.Exec(t.Context(), "begin"); err != nil {
			t.Fatal(err)
		}
		if err := insertCommitRow(t, conn, c); err != nil {
			t.Fatal(err)
		}
		type answer struct {
			done int64
			err  error
		}
		answers := make(chan answer, 1)
		go func() {
			done, err := r.ask(context.Background(), c)
			answers <- answer{done, err}
		}()
		other := files15.conn(t, name)
		for waiting := 0; waiting == 0; { // until the server shows that it waits
			err := other.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting)
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(answers) > 0 {
			t.Fatal("it did not wait")
		}
		if _, err := conn.Exec(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		if a := <-answers; a.err != nil || (a.done == 1) != (end == "commit") {
			t.Errorf("after %s: done is %d, %v", end, a.done, a.err)
		}
	}
}

// By the database's clock, commits come too late before settling does, and
// settling before rows are forgotten.
func TestTooLate(t *testing.T) {
	name := files15.database(t)
	r := openRunner(t, files15.server.URL(name), Options{})
	conn := files15.conn(t, name)
	clock := r.commits.clock.Load().made
	for _, row := range []struct {
		age              int64
		commits, settles bool
		kept             bool
	}{
		{commitFor - 10, true, true, true},
		{commitFor + 1, false, true, true},
		{settleFor - 10, false, true, true},
		{settleFor + 1, false, false, true},
		{keepFor - 10, false, false, true},
		{keepFor + 1, false, false, false},
		{100 * keepFor, false, false, false},
	} {
		c := r.commits.next(clock - row.age)
		if err := insertCommitRow(t, conn, c); (err == nil) != row.commits || !row.commits && code(err) != codeNull {
			t.Errorf("commit of age %d: %v", row.age, err)
		}
		if _, err := r.ask(t.Context(), r.commits.next(clock-row.age)); (err == nil) != row.settles || !row.settles && code(err) != codeNull {
			t.Errorf("settling at age %d: %v", row.age, err)
		}
		old := r.commits.next(clock - row.age)
		if _, err := conn.Exec(t.Context(), "INSERT INTO commits (made, id, done) VALUES ($1, $2, 1)", old.made, old.id[:]); err != nil {
			t.Fatal(err)
		}
		r.commits.purged.Store(0)
		if err := r.purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM commits WHERE made = $1 AND id = $2", old.made, old.id[:]).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if (n == 1) != row.kept {
			t.Errorf("row of age %d: %d are left", row.age, n)
		}
	}
}

// A gateway that was stopped for long reads the clock again, and repeats the intent
// whose commit the database refused as too late.
func TestStaleClock(t *testing.T) {
	name := files15.database(t)
	r := openRunner(t, files15.server.URL(name), Options{})
	for _, at := range []time.Time{time.Now(), time.Now().Add(-time.Hour)} {
		r.commits.clock.Store(&reading{made: r.commits.clock.Load().made - 3600, at: at})
		runs := 0
		err := r.Write(t.Context(), func(tx sqlstore.Tx) error {
			runs++
			_, err := tx.Exec("INSERT INTO holders (id, beat) VALUES (?, 1)", idBytes())
			return err
		})
		if err != nil || runs > 2 {
			t.Errorf("%d runs, %v", runs, err)
		}
	}
}

// Each single fault around a COMMIT: the caller gets the true outcome, and the
// change happens once.
func TestFaultsAtCommit(t *testing.T) {
	name := files18.database(t)
	direct := openStore(t, files18.server.URL(name), Options{})
	for _, fault := range []strictpg.Fault{
		strictpg.Serialization, strictpg.BeforeCommit, strictpg.AfterCommit, strictpg.LateCommit, strictpg.HalfCommit,
	} {
		for _, mode := range []string{ModeCacheStatement, ModeSimple} {
			p := strict(t, files18, strictpg.Options{
				Named: true, Faults: map[strictpg.Fault]float64{fault: 0.5}, Seed: rand.Uint64(),
			})
			s := openStore(t, proxyURL(p, name), Options{ExecMode: mode})
			holder := meta.NewID()
			const tries = 20
			beats := int64(0)
			for range tries {
				err := s.Beat(t.Context(), holder, meta.SealingWhole)
				if err == nil {
					beats++
				} else if !errors.Is(err, meta.ErrUnavailable) { // too many faults in a row
					t.Fatalf("%s: %v", fault, err)
				}
			}
			hs, err := direct.Holders(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range hs {
				if h.ID == holder && h.Beat != beats {
					t.Errorf("%s, %s: %d beats were counted as %d", fault, mode, beats, h.Beat)
				}
			}
			if p.Happened()[fault] == 0 {
				t.Errorf("%s never happened in %d commits", fault, tries)
			}
		}
	}
}

// While the database cannot be reached after a COMMIT was sent, the outcome is
// ErrUnknown.
func TestUnknown(t *testing.T) {
	name := files15.database(t)
	r := openRunner(t, files15.server.URL(name), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	loss := fmt.Errorf("%w: as a test", errLost)
	c := r.commits.next(r.commits.clock.Load().made - settleFor - 10)
	if err := r.settle(ctx, c, loss); !errors.Is(err, meta.ErrUnknown) || errors.Is(err, meta.ErrUnavailable) || environmental(err) {
		t.Errorf("settled too late: %v", err)
	}
	// A commit is settled even after its context has ended.
	c = r.commits.next(r.commits.clock.Load().made)
	if err := r.settle(ctx, c, loss); !broken(err) || errors.Is(err, meta.ErrUnknown) {
		t.Errorf("settled as not done: %v", err)
	}
}

func idBytes() []byte {
	id := meta.NewID()
	return id[:]
}
