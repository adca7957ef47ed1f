// Package postgres keeps the store in a PostgreSQL database, or in one of its
// relatives that speak the same protocol, shared by any number of gateways: the
// engine's side of sqlstore.
//
// Every intent is one transaction. It runs again when the database asks for that,
// or when a connection breaks before the commit was sent. A commit whose answer was
// lost is settled by a row that it wrote: see commits.go.
//
// It relies on no session state: no SET, advisory locks, LISTEN, temporary tables,
// savepoints or cursors, and, in the modes that say so, no prepared statements. It
// reads from the primary only. It never puts a password into an error.
//
// # Connection poolers
//
// A pooler in transaction mode may stand in front of the database. Options.ExecMode
// exec and simple_protocol work with every pooler. The default, cache_statement,
// works only with one that tracks prepared statements, as PgBouncer does since
// 1.21. cache_describe and describe_exec work with none.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// Defaults of Options.
const (
	DefaultMaxConnections   = 24
	DefaultConnectTimeout   = 5 * time.Second
	DefaultAcquireTimeout   = 10 * time.Second
	DefaultStatementTimeout = 30 * time.Second
)

// Modes of sending statements, in pgx's words. Modes with fewer round trips and
// less parsing require more of a pooler.
const (
	ModeCacheStatement = "cache_statement" // prepared once per connection, by name
	ModeCacheDescribe  = "cache_describe"  // types are requested once per connection
	ModeDescribeExec   = "describe_exec"   // types are requested every time
	ModeExec           = "exec"            // types follow from the arguments
	ModeSimple         = "simple_protocol" // arguments are part of the text
)

// Isolation levels of the transaction of a Write.
const (
	ReadCommitted  = "read committed"
	RepeatableRead = "repeatable read"
	Serializable   = "serializable"
)

// Options are the options of a store. The zero value is ready to use.
type Options struct {
	// ExecMode is one of the modes above. Empty: default_query_exec_mode of the
	// URL, else cache_statement.
	ExecMode string
	// Isolation is one of the levels above; empty: read committed, which is enough.
	// The others are for databases that do not have it.
	Isolation string
	// MaxConnections bounds the connections to the database; 0 is the default.
	MaxConnections int
	// ConnectTimeout bounds one attempt to connect to one host; 0 is the default.
	ConnectTimeout time.Duration
	// AcquireTimeout bounds the wait for a connection; 0 is the default.
	AcquireTimeout time.Duration
	// StatementTimeout bounds the statements of one run of an intent together,
	// waits for locks included; 0 is the default.
	StatementTimeout time.Duration
	// Migrate brings the schema up to date when the store is opened. Without it,
	// Open refuses an older schema with sqlstore.ErrOlderSchema.
	Migrate bool
	// Report receives failures of background upkeep, which fail no intent. It is
	// called from the store's goroutine. May be nil.
	Report func(error)
}

func (o Options) withDefaults() Options {
	if o.Isolation == "" {
		o.Isolation = ReadCommitted
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.AcquireTimeout <= 0 {
		o.AcquireTimeout = DefaultAcquireTimeout
	}
	if o.StatementTimeout <= 0 {
		o.StatementTimeout = DefaultStatementTimeout
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return o
}

// Open opens the store in the database of the URL: postgres://… with one or several
// hosts, or keyword=value pairs, in libpq's syntax, TLS included. It uses only a
// host that takes writes, whatever target_session_attrs says. Errors have one line
// each and no password. sqlstore.ErrNewerSchema when a later release has migrated
// the database.
func Open(ctx context.Context, url string, o Options) (*sqlstore.Store, error) {
	r, err := open(ctx, url, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open the Postgres store: %w", err)
	}
	return sqlstore.New(r), nil
}

func open(ctx context.Context, url string, o Options) (*runner, error) {
	level, err := begin(o.Isolation)
	if err != nil {
		return nil, err
	}
	pool, err := connect(ctx, url, o)
	if err != nil {
		return nil, err
	}
	r := &runner{
		pool: pool, options: o, begin: level, commits: newCommits(), turns: takeTurns(int(pool.Config().MaxConns)), stopped: make(chan struct{}),
	}
	if err := r.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	upkeep, stop := context.WithCancel(context.Background())
	r.stop = stop
	go r.upkeep(upkeep)
	return r, nil
}

// prepare migrates or checks the schema, and reads the clock.
func (r *runner) prepare(ctx context.Context) error {
	schema := current
	if r.options.Migrate {
		schema = migrate
	}
	if err := steadily(ctx, func() error { return schema(ctx, r.pool) }); err != nil {
		return err
	}
	return steadily(ctx, func() error {
		return r.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return r.commits.readClock(ctx, c.Conn()) })
	})
}

// steadily repeats an action when an established connection breaks, even during the
// handshake.
func steadily(ctx context.Context, do func() error) error {
	for losses := 1; ; losses++ {
		err := do()
		var connect *pgconn.ConnectError
		unreachable := errors.As(err, &connect) && !cut(err)
		if err == nil || !broken(err) || unreachable || losses == maxLosses {
			return oneLine(err)
		}
		if err := sleep(ctx, lossPause<<min(losses, 16)); err != nil {
			return err
		}
	}
}

// upkeep purges old commits, and makes missing guards of buckets, until the store
// is closed.
func (r *runner) upkeep(ctx context.Context) {
	defer close(r.stopped)
	var guarded meta.ID // guards were made up to this bucket
	for {
		// The random pause spreads the upkeep of gateways that started together.
		pause := time.NewTimer(purgeEvery/2 + rand.N(purgeEvery))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		if err := r.purge(ctx); err != nil && ctx.Err() == nil {
			r.options.Report(fmt.Errorf("forget old commits of the Postgres store: %w", err))
		}
		next, err := sqlstore.GuardBuckets(ctx, r, guarded, guardStep)
		if err == nil {
			guarded = next
		} else if ctx.Err() == nil {
			r.options.Report(fmt.Errorf("make guards of buckets of the Postgres store: %w", err))
		}
	}
}

// Close waits for the current intents.
// Intents that come later get meta.ErrUnavailable.
func (r *runner) Close() error {
	r.gate.Lock()
	defer r.gate.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.stop()
	<-r.stopped
	r.pool.Close()
	return nil
}

// begin returns the statement that opens a Write.
func begin(isolation string) (string, error) {
	switch isolation {
	case ReadCommitted:
		return "begin isolation level read committed", nil
	case RepeatableRead:
		return "begin isolation level repeatable read", nil
	case Serializable:
		return "begin isolation level serializable", nil
	}
	return "", errors.New("isolation level is not one of: " + ReadCommitted + ", " + RepeatableRead + ", " + Serializable)
}
